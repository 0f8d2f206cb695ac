//! Expressions and templates of a definition are checked where they stand.

use nova_workflow::{Known, check_text};

/// Checks a text; `expect` are the problems as they are told, `line:column: path: message`.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let said: Vec<String> = match check_text(text, Known::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    assert_eq!(said, expect, "\n{text}");
}

/// Checks a workflow of these steps, indented by two.
#[track_caller]
fn check_steps(steps: &str, expect: &[&str]) {
    check(&format!("workflow: w\nsteps:\n{steps}"), expect);
}

/// One expression, as the `when` of a step among others.
#[track_caller]
fn check_when(code: &str, expect: &[&str]) {
    let quoted = serde_json::Value::from(code).to_string();
    let text = format!(
        "workflow: w\ninput: {{n: {{type: int}}, s: {{type: string}}, l: {{type: list}}, f: {{type: number}}}}\nsteps:\n  a: {{task: {{skill: echo}}}}\n  b:\n    when: {quoted}\n    task: {{skill: echo}}\n"
    );
    check(&text, expect);
}

#[test]
fn expressions_are_checked() {
    for good in [
        "true",
        "input.n > 1",
        "input.n + 1 == 2",
        "input.s + 'x' == 'y'",
        "size(input.l) > 0",
        "input.l.exists(x, x == 1)",
        "has(steps.a.error) || steps.a.result.n + 1 > 2",
        "steps.a.result",
        "input.f * 2.0 > 1.0",
        "input['n'] == 1",
        "input.l[0].x",
        "input.n == 1.0",
        "run.id.startsWith('x')",
        "input.l.map(x, x + 1).size() == 2",
        "type(input.n) == int",
        "null == input.s",
        "[1, 2].all(x, x > 0)",
        "{'a': 1}.exists(k, k == 'a')",
        "steps.a.status in ['failed', 'skipped']",
        "input.n > 0 ? true : false",
        "string(input.n) == '1'",
        "int(input.s) < 3 && double(input.n) < 2.0",
        "!(input.n in [1, 2])",
        "steps['a'].result.x",
        "// comment\ntrue",
        "input.l.exists_one(x, x)",
        "-input.n < 0",
        "dyn(input.n) == 'x'",
    ] {
        check_when(good, &[]);
    }
    for (bad, column, message) in [
        ("", 12, "an expression is empty"),
        ("1 +", 15, "the expression ends too early"),
        ("1 + + )", 16, "`+` is not expected here"),
        ("(1", 14, "`)` is missing here"),
        ("a b", 14, "`b` is not expected here"),
        ("§", 12, "`§` means nothing in an expression"),
        ("'abc", 12, "a text is never closed"),
        ("input.n = 1", 20, "`=` means nothing in an expression; did you mean `==`?"),
        ("1 + 'a' == 2", 14, "`+` does not work on an int and a string; make text of the other with string(...)"),
        ("'yes'", 12, "it must be true or false, and is a string"),
        ("input.n", 12, "it must be true or false, and is an int"),
        ("input.s + 1 == 'x'", 20, "`+` does not work on a string and an int; make text of the other with string(...)"),
        ("input.x > 1", 17, "there is no input `x`; there is `f`, `l`, `n`, `s`"),
        ("inpt.n > 1", 12, "there is no variable `inpt`; did you mean `input`?"),
        ("input['nn'] == 1", 17, "there is no input `nn`; did you mean `n`?"),
        ("steps.b.result", 12, "step `b` cannot read itself"),
        ("steps.zz.result", 12, "there is no step `zz`; there is `a`, `b`"),
        ("steps['zz'].result", 12, "there is no step `zz`; there is `a`, `b`"),
        ("steps[input.s].result", 12, r#"`steps` needs the step's name right behind it: steps.<id> or steps["<id>"]"#),
        ("steps == null", 12, r#"`steps` needs the step's name right behind it: steps.<id> or steps["<id>"]"#),
        ("steps.a.reslt", 19, "a step has no `reslt`; did you mean `result`?"),
        ("steps.A.result", 12, "there is no step `A`; there is `a`, `b`"),
        ("has(steps.a)", 15, "step `a` is always there; ask for has(steps.a.error), or steps.a.status"),
        ("item.x", 12, "`item` means nothing here; it can be read in the `do` of a map"),
        (
            "result == 1",
            12,
            "`result` means nothing here; it can be read in the `until` of a loop, the `ballot` of a vote and an `undo`",
        ),
        (
            "index == 0",
            12,
            "`index` means nothing here; it can be read in the `do` of a map, and in the `do` and `until` of a loop",
        ),
        ("last == 1", 12, "`last` means nothing here; it can be read in the `do` of a loop"),
        ("ballots == []", 12, "`ballots` means nothing here; it can be read in the `judge` of a vote"),
        ("a.result", 12, "there is no variable `a`; write steps.a.result for that step's result"),
        ("n > 1", 12, "there is no variable `n`; write input.n for that input"),
        ("sise(input.l) > 0", 12, "there is no function `sise`; did you mean `size`?"),
        ("input.l.len() > 0", 20, "there is no function `len`"),
        ("size() > 0", 12, "`size` takes 1 argument, not 0"),
        ("contains(input.s, 'x')", 12, "`contains` is called as x.contains()"),
        ("input.s.size(1)", 20, "`size` takes 0 arguments, not 1"),
        ("math.abs(input.n) > 1", 17, "there is no function `math.abs`"),
        ("now() > 1", 12, "there is no function `now`"),
        ("input.s > 1", 20, "a string and an int cannot be compared"),
        ("input.l > 1", 20, "a list and an int cannot be compared"),
        ("1 == 'a'", 14, "an int never equals a string"),
        ("input.n && true", 20, "`&&` works on true and false, and this is an int"),
        ("!input.s", 12, "`!` works on true and false, and this is a string"),
        ("input.n ? true : false", 20, "what is before `?` must be true or false, and is an int"),
        ("1 in 2", 14, "`in` looks into a list or a map, and this is an int"),
        ("input.n.x", 19, "an int has no `x`"),
        ("input.n[0]", 19, "an int has no items by an int"),
        ("input.s.exists(x, true)", 17, "a loop goes over a list or a map, and this is a string"),
        ("input.l.map(x, x)", 12, "it must be true or false, and is a list"),
        (
            "input.l.exists(x, 1 + 'a' == 2)",
            32,
            "`+` does not work on an int and a string; make text of the other with string(...)",
        ),
        ("input.l.all(steps, true)", 23, "`steps` already means something; give the variable of the loop another name"),
        ("Foo{a: 1}", 15, r#"there is no type `Foo` here; write a map, {"key": value}"#),
        ("run.name == 'x'", 15, "a run has no `name`; there is `id`, `workflow`"),
        (
            "1.5 + input.n > 2.0",
            16,
            "`+` does not work on a double and an int; convert one with int(...), uint(...) or double(...)",
        ),
        ("input.l.map(a, input.l.map(b, input.l.map(c, input.l.map(d, 1)))) == []", 68, "loops nest deeper than 3"),
        (
            "[1].map(1, 2) == []",
            20,
            "the first argument of a loop is the name of its variable, such as x in list.map(x, x + 1)",
        ),
        ("has(input) == true", 16, "`has` asks for a field, such as has(input.x)"),
        ("1 / 0 == 'x'", 18, "an int never equals a string"),
        ("size(1) == 1", 12, "`size` does not work on an int"),
        ("string([]) == 'x'", 12, "`string` does not work on a list"),
        ("as == 1", 12, "`as` is a word the language keeps for itself"),
        ("input.s.matches('x')", 20, "there is no function `matches`"),
        ("timestamp('x') == 1", 12, "there is no function `timestamp`"),
        ("optional.of(1)", 21, "there is no function `optional.of`"),
        ("input.?n == 1", 17, "`.?` is not part of the language here"),
        ("🦀 == 1", 12, "`🦀` means nothing in an expression"),
        ("'🦀' + 1 == 'x'", 19, "`+` does not work on a string and an int; make text of the other with string(...)"),
        ("{1: 2}", 12, "it must be true or false, and is a map"),
        ("null", 12, "it must be true or false, and is null"),
        ("-'a' == 1", 12, "`-` does not work on a string"),
    ] {
        check_when(bad, &[&format!("6:{column}: /steps/b/when: {message}")]);
    }
}
#[test]
fn templates_are_checked() {
    check_steps(
        "  a:\n    task:\n      skill: echo\n      input:\n        x: ['a ${input.y', 'b ${1 + \"a\"}', {k/~: '${nope}'}]\n",
        &[
            "7:16: /steps/a/task/input/x/0: this `${` is never closed by a `}`; write `$${` for a plain `${`",
            "7:35: /steps/a/task/input/x/1: `+` does not work on an int and a string; make text of the other with string(...)",
            "7:53: /steps/a/task/input/x/2/k~1~0: there is no variable `nope`; there is `input`, `run`, `steps`",
        ],
    );
    check_steps(
        "  a:\n    task:\n      skill: echo\n      input: |\n        first line\n        then ${nope} and\n        ${1 +}\n",
        &[
            "8:16: /steps/a/task/input: there is no variable `nope`; there is `input`, `run`, `steps`",
            "9:14: /steps/a/task/input: the expression ends too early",
        ],
    );
    check_steps(
        "  a:\n    when: |\n      true &&\n      nope\n    task: {skill: echo}\n",
        &["6:7: /steps/a/when: there is no variable `nope`; there is `input`, `run`, `steps`"],
    );
    check_steps(
        "  a:\n    when: >-\n      true &&\n      nope\n    task: {skill: echo}\n",
        &["5:7: /steps/a/when: there is no variable `nope`; there is `input`, `run`, `steps`"],
    );
    check_steps(
        "  a: {map: {over: '\"3\"', do: {skill: echo, key: '${[1]}'}}}\n",
        &[
            "3:20: /steps/a/map/over: it must be a list, and is a string",
            "3:52: /steps/a/map/do/key: it must be a string, a number or a bool, and is a list",
        ],
    );
    check_steps(
        "  a: {map: {over: '3', do: {skill: echo, input: '${last}'}}}\n",
        &[
            "3:20: /steps/a/map/over: it must be a list, and is an int",
            "3:52: /steps/a/map/do/input: `last` means nothing here; it can be read in the `do` of a loop",
        ],
    );
    check_steps(
        "  a: {loop: {do: {skill: echo, input: '${item}'}, until: result, max: 2}}\n",
        &["3:42: /steps/a/loop/do/input: `item` means nothing here; it can be read in the `do` of a map"],
    );
    check_steps(
        "  a: {loop: {do: {skill: echo}, until: '1', max: 2}}\n",
        &["3:41: /steps/a/loop/until: it must be true or false, and is an int"],
    );
    check_steps(
        "  a: {wait: {until: '[1]'}}\n",
        &["3:22: /steps/a/wait/until: it must be a string in RFC 3339 or an int of milliseconds, and is a list"],
    );
    check_steps(
        "  a: {task: {skill: echo}, undo: {skill: echo, input: '${steps.a.result}'}}\n",
        &["3:58: /steps/a/undo/input: step `a` cannot read itself; its result is `result` here"],
    );
    check(
        "workflow: w\nkey: steps.a.result\nsteps: {a: {task: {skill: echo}}}\nresult: '${steps.b}'\n",
        &[
            "2:6: /key: `steps.a` means nothing here; it can be read everywhere but in the workflow's `key`",
            "4:12: /result: there is no step `b`; there is `a`",
        ],
    );
    check(
        "workflow: w\nkey: '[1]'\nsteps: {a: {task: {skill: echo}}}\n",
        &["2:7: /key: it must be a string, a number or a bool, and is a list"],
    );
}
