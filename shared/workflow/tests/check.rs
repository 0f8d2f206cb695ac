//! Bad definitions are refused, each mistake with its place; good ones are not.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nova_types::{Skill, WorkflowName};
use nova_workflow::{Known, check_text};

/// Checks a text; `expect` are the problems as they are told, `line:column: path: message`.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let skills: BTreeSet<Skill> =
        ["echo", "code-review"].iter().map(|name| Skill::new(*name).expect("a skill")).collect();
    let workflows: BTreeSet<WorkflowName> = [WorkflowName::new("child").expect("a name")].into();
    let known = Known { skills: Some(&skills), workflows: Some(&workflows) };
    let said = match check_text(text, known) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    };
    let shown: String = text.chars().take(2000).collect();
    assert_eq!(said, expect, "\n{shown}");
}

/// Checks a workflow of these steps, indented by two.
#[track_caller]
fn check_steps(steps: &str, expect: &[&str]) {
    check(&format!("workflow: w\nsteps:\n{steps}"), expect);
}

#[test]
fn every_kind_of_step_is_understood() {
    check(
        r#"
workflow: all-kinds
about: Every kind once.
input:
  files: {type: list}
  depth: {type: int, default: 2, about: How deep.}
  who: {type: string, default: nobody}
key: input.who
parallel: 10
runs: 5
deadline: 1d
steps:
  a:
    task: {skill: echo, input: "${input}", priority: high, timeout: 5m, max_attempts: 3, backoff: 1s..1m}
    undo: {skill: echo, input: "${result}"}
  b:
    when: input.depth > 1 && steps.a.status == "completed"
    map:
      over: input.files
      do: {skill: code-review, input: {file: "${item}", n: "${index}"}, key: "k${item.name}"}
      parallel: 3
      tolerate: 10%
  c:
    join: {of: [a, b], need: any, failures: collect, rest: cancel}
  d:
    vote:
      by:
        - do: {skill: echo}
        - do: {skill: code-review}
          weight: 2
      ballot: result.verdict
      rule: plurality
      quorum: 2
      undecided: judge
      judge: {skill: echo, input: ["${ballots}", "${tally}"]}
  e:
    choice:
      cases:
        - when: steps.d.result.winner == "yes"
          then: [f]
      otherwise: [g]
  f:
    loop: {do: {skill: echo, input: "${last} ${index}"}, until: result.done || index >= 3, max: 10, pause: 1s}
  g:
    run: {workflow: child, input: {x: "${steps.c.result}"}}
    on_failure: continue
  h: {after: [f, g], wait: {for: 5m}}
  i: {wait: {until: "'2030-01-01T00:00:00Z'"}}
  j: {wait: {signal: go, timeout: 1h}}
  k: {wait: {approval: {of: "${steps.c.result}", ask: Ship it?}}}
result: {ok: "${steps.h.status}", text: "a ${run.id} b $${x}"}
on_failure: leave
"#,
        &[],
    );
    check(r#"{"workflow": "j", "steps": {"a": {"task": {"skill": "echo", "input": "\ud83d\ude00 \/"}}}}"#, &[]);
    check("{\n\t\"workflow\": \"j\",\n\t\"steps\": {\"a\": {\"task\": {\"skill\": \"echo\"}}}\n}", &[]);
}

#[test]
fn what_is_no_text_of_a_workflow_is_refused() {
    check("", &["1:1: the file is empty"]);
    check("   \n# only a comment\n", &["1:1: the file is empty"]);
    check("\u{feff}", &["1:1: the file is empty"]);
    check("null", &["1:1: the file is empty"]);
    check("- a\n- b\n", &["1:1: a workflow is a map; begin with `workflow: <name>`"]);
    check("just words", &["1:1: a workflow is a map; begin with `workflow: <name>`"]);
    check(
        "workflow: w\nsteps: {a: {task: {skill: echo}}}\n---\nx: 1\n",
        &["3:1: a second document begins here; a file holds one workflow"],
    );
    check(
        "workflow: w\nsteps: &x {a: 1}\n",
        &["2:8: anchors (`&name`) are not read; write the value where it is needed"],
    );
    check(
        "workflow: w\nsteps: *x\n",
        &["2:8: this is neither YAML nor JSON: while parsing node, found unknown anchor"],
    );
    check("workflow: !!str w\n", &["1:11: tags (`!name`) are not read; leave it out, and put quotes around a text"]);
    check("workflow: w\nworkflow: v\n", &["2:1: `workflow` is here twice; it first stands at 1:1"]);
    check("{\"workflow\": \"w\",\n \"workflow\": \"v\"}", &["2:2: `workflow` is here twice; it first stands at 1:2"]);
    check(
        "workflow: w\nsteps:\n\ta: 1\n",
        &[
            "3:2: this is neither YAML nor JSON: tabs disallowed within this context (block indentation); indent with spaces",
        ],
    );
    check(
        "workflow: w\nsteps: {a: [1, 2\n",
        &["3:1: this is neither YAML nor JSON: while parsing a flow sequence, expected ',' or ']'"],
    );
    check(
        "workflow: \"w\n",
        &["1:11: this is neither YAML nor JSON: while scanning a quoted scalar, found unexpected end of stream"],
    );
    check("workflow: w\0steps", &["1:12: there is a control character \\u{0}"]);
    check("workflow: .inf\n", &["1:11: `.inf` is no number of JSON; put quotes around a text"]);
    check("? [a]\n: b\n", &["1:3: a key is a text"]);
    check(
        "workflow: w\nsteps:\n  a: 1\n b: 2\n",
        &["4:2: this is neither YAML nor JSON: while parsing a block mapping, did not find expected key"],
    );
}

#[test]
fn bombs_are_refused_at_once() {
    let began = Instant::now();
    check(&"a".repeat(10 << 20), &["1:1: the text is longer than the 1048576 bytes a workflow may have"]);
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n";
    check(
        &format!("{laughs}steps: *c\n"),
        &["1:4: anchors (`&name`) are not read; write the value where it is needed"],
    );
    check(&"[".repeat(1 << 20), &["1:256: this is neither YAML nor JSON: recursion limit exceeded"]);
    check(&format!("a: {}", "{a: ".repeat(100_000)), &["1:253: values nest deeper than 64"]);
    check(&"- ".repeat(500_000), &["1:129: values nest deeper than 64"]);
    check(&format!("a: [{}]", "1,".repeat(200_000)), &["1:99999: there are more than 50000 values"]);
    check(
        &format!("a: {}", "x".repeat(1_000_000)),
        &[
            "1:4: /a: there is no field `a` here; there is `workflow`, `about`, `input`, `steps`, `result`, `parallel`, `runs`, `deadline`, `key`, `on_failure`",
        ],
    );
    check(&"? ".repeat(500_000), &["1:129: values nest deeper than 64"]);
    check(
        &"a: ".repeat(300_000),
        &["1:5: this is neither YAML nor JSON: mapping values are not allowed in this context"],
    );
    check(&"\n".repeat(1 << 20), &["1:1: the file is empty"]);
    check(&"%".repeat(1 << 20), &["2:1: this is neither YAML nor JSON: did not find expected <document start>"]);
    check(&"'".repeat(1 << 20), &["1:1: a workflow is a map; begin with `workflow: <name>`"]);
    check(
        &"\"\\".repeat(1 << 19),
        &["1:1: this is neither YAML nor JSON: while parsing a quoted scalar, found unknown escape character"],
    );
    check(&"|\n ".repeat(300_000), &["2:2: a workflow is a map; begin with `workflow: <name>`"]);
    check(&"{,".repeat(500_000), &["1:511: this is neither YAML nor JSON: recursion limit exceeded"]);
    let steps: String = (0..1001).map(|n| format!("  s{n}: {{task: {{skill: echo}}}}\n")).collect();
    check_steps(&steps, &["2:1: /steps: a workflow has at most 1000 steps; this one has 1001"]);
    assert!(began.elapsed() < Duration::from_secs(20), "it took {:?}", began.elapsed());
}

#[test]
fn shapes_are_checked() {
    check("{}", &["1:1: `workflow` is missing here"]);
    check(
        "workflow: Bad Name\nsteps: {a: {task: {skill: echo}}}\n",
        &["1:11: /workflow: workflow `Bad Name` is not 1 to 48 characters of a-z 0-9 -"],
    );
    check("workflow: w\nsteps: {}\n", &["2:1: /steps: a workflow needs at least one step"]);
    check("workflow: w\nsteps: []\n", &["2:1: /steps: it is a list; a map is wanted"]);
    check("workflow: w\nstep: {}\n", &["2:1: /step: there is no field `step` here; did you mean `steps`?"]);
    check_steps(
        "  Big: {task: {skill: echo}}\n",
        &["3:3: /steps/Big: step id `Big` is not 1 to 48 characters of a-z 0-9 _, beginning with a letter"],
    );
    check_steps(
        "  in: {task: {skill: echo}}\n",
        &["3:3: /steps/in: `in` is a word of the expression language; call the step something else"],
    );
    check_steps(
        "  a: {about: nothing}\n",
        &[
            "3:3: /steps/a: step `a` says not what it does; give it one of task, map, join, vote, choice, loop, wait, run",
        ],
    );
    check_steps(
        "  a: {task: {skill: echo}, wait: {for: 1s}}\n",
        &["3:3: /steps/a: step `a` has task, wait; a step is exactly one of them, so make it several steps"],
    );
    check_steps(
        "  a: {task: {skil: echo}}\n  b: {tusk: {skill: echo}}\n  c: {task: {skill: echo, timeout: 5}}\n",
        &[
            "3:20: /steps/a/task/skil: there is no field `skil` here; did you mean `skill`?",
            "4:7: /steps/b/tusk: there is no field `tusk` here; did you mean `task`?",
            "5:27: /steps/c/task/timeout: it is the number `5`; a text is wanted",
        ],
    );
    check_steps(
        "  a: {task: {workflow: child}}\n  b: {run: {skill: echo}}\n  c: {task: {}}\n  d: {run: {}}\n",
        &[
            "3:24: /steps/a/task/workflow: a `task` has a `skill`; for a workflow write `run`",
            "4:20: /steps/b/run/skill: a `run` has a `workflow`; for a skill write `task`",
            "5:7: /steps/c/task: a `task` needs a `skill`",
            "6:7: /steps/d/run: a `run` needs a `workflow`",
        ],
    );
    check_steps(
        "  a: {task: {skill: ecko}}\n  b: {run: {workflow: chld}}\n  c: {run: {workflow: w}}\n",
        &[
            "3:21: /steps/a/task/skill: no worker offers the skill `ecko`; did you mean `echo`?",
            "4:23: /steps/b/run/workflow: there is no workflow `chld`; did you mean `child`?",
        ],
    );
    check_steps(
        "  a: {task: {skill: nova-run}}\n",
        &["3:21: /steps/a/task/skill: the skill `nova-run` is Nova's own; name a `workflow` instead of a `skill`"],
    );
    check_steps(
        "  a: {task: {skill: echo, priority: urgent, max_attempts: 0}}\n",
        &["3:37: /steps/a/task/priority: `urgent` is none of `high`, `normal`, `low`"],
    );
    check_steps(
        "  a: {task: {skill: echo, max_attempts: 0, timeout: 0s, key: 5}}\n",
        &[
            "3:27: /steps/a/task/max_attempts: it must be from 1 to 1000",
            "3:53: /steps/a/task/timeout: it must be longer than 0",
            r#"3:57: /steps/a/task/key: it must be text, such as "${input.customer}""#,
        ],
    );
    check_steps(
        "  a: {map: {over: '[1]', do: {}, parallel: 0}}\n",
        &[
            "3:26: /steps/a/map/do: it needs a `skill` or a `workflow`",
            "3:34: /steps/a/map/parallel: it must be from 1 to 100000",
        ],
    );
    check_steps(
        "  a: {map: {over: '[1]', do: {skill: echo, workflow: child}, tolerate: 200%}}\n",
        &[r#"3:72: /steps/a/map/tolerate: "200%" is not a count, a share such as "10%", or "all""#],
    );
    check_steps("  a: {map: {do: {skill: echo}}}\n", &["3:7: /steps/a/map: `over` is missing here"]);
    check_steps(
        "  a: {task: {skill: echo}}\n  j: {join: {of: [a, a], need: 3}}\n  k: {join: {of: []}}\n  l: {join: {of: [a], need: 0}}\n",
        &[
            "4:22: /steps/j/join/of/1: step `a` is listed twice",
            "4:26: /steps/j/join/need: it must be from 1 to 2, the number of steps listed",
            "5:14: /steps/k/join/of: a join needs at least one step",
            "6:23: /steps/l/join/need: it must be from 1 to 1, the number of steps listed",
        ],
    );
    check_steps("  j: {join: {of: [j]}}\n", &["3:19: /steps/j/join/of/0: step `j` waits for itself"]);
    check_steps("  a: {after: [a], task: {skill: echo}}\n", &["3:15: /steps/a/after/0: step `a` waits for itself"]);
    check_steps("  v: {vote: {}}\n", &["3:7: /steps/v/vote: a vote needs voters: `do` with `times`, or a list `by`"]);
    check_steps(
        "  v: {vote: {do: {skill: echo}, by: [{do: {skill: echo}, weight: 0}], times: 101, quorum: 9}}\n",
        &[
            "3:7: /steps/v/vote: a vote has `do` or `by`, not both",
            "3:58: /steps/v/vote/by/0/weight: it must be from 1 to 1000000",
            "3:71: /steps/v/vote/times: it must be from 1 to 100",
            "3:83: /steps/v/vote/quorum: it must be from 1 to 1, the number of voters",
        ],
    );
    check_steps(
        "  v: {vote: {by: [{do: {skill: echo}}], times: 2}}\n",
        &["3:41: /steps/v/vote/times: `times` goes with `do`; the voters of `by` vote once each"],
    );
    check_steps(
        "  v: {vote: {do: {skill: echo}, quorum: 4}}\n",
        &["3:33: /steps/v/vote/quorum: it must be from 1 to 3, the number of voters"],
    );
    check_steps(
        "  v: {vote: {do: {skill: echo}, undecided: judge}}\n",
        &["3:7: /steps/v/vote: `undecided: judge` needs a `judge`"],
    );
    check_steps(
        "  v: {vote: {do: {skill: echo}, judge: {skill: echo}}}\n",
        &["3:33: /steps/v/vote/judge: a judge is asked only with `undecided: judge`"],
    );
    check_steps("  c: {choice: {cases: []}}\n", &["3:16: /steps/c/choice/cases: a choice needs at least one case"]);
    check_steps(
        "  l: {loop: {do: {skill: echo}, until: 'true', max: 10001}}\n",
        &["3:48: /steps/l/loop/max: it must be from 1 to 10000"],
    );
    check_steps(
        "  w: {wait: {}}\n  x: {wait: {for: 1s, signal: go}}\n  y: {wait: {for: 1s, timeout: 2s}}\n",
        &[
            "3:7: /steps/w/wait: a wait needs one of for, until, signal, approval",
            "4:7: /steps/x/wait: a wait has exactly one of for, signal; make it several steps",
            "5:32: /steps/y/wait/timeout: `timeout` goes with `signal` or `approval`; `for` and `until` end by themselves",
        ],
    );
    check_steps(
        "  w: {wait: {for: 1s}, undo: {skill: echo}}\n",
        &["3:24: /steps/w/undo: a wait does nothing that could be undone; put `undo` on a step that does"],
    );
    check(
        "workflow: w\nparallel: 0\nruns: 0\ninput: {n: {type: int, default: x}, m: {type: integer}}\nsteps: {a: {task: {skill: echo}}}\n",
        &["4:47: /input/m/type: `integer` is none of `any`, `string`, `int`, `number`, `bool`, `list`, `map`"],
    );
    check(
        "workflow: w\nparallel: 0\nruns: 0\ninput: {n: {type: int, default: x}}\nsteps: {a: {task: {skill: echo}}}\n",
        &[
            "2:1: /parallel: it must be from 1 to 100000",
            "3:1: /runs: it must be from 1 to 100000",
            "4:33: /input/n/default: the default is string; the type says int",
        ],
    );
}

#[test]
fn names_of_steps_are_checked() {
    check_steps(
        "  files: {task: {skill: echo}}\n  b: {after: [fils], task: {skill: echo}}\n  j: {join: {of: [files, x]}}\n",
        &[
            "4:15: /steps/b/after/0: there is no step `fils`; did you mean `files`?",
            "5:26: /steps/j/join/of/1: there is no step `x`; there is `b`, `files`, `j`",
        ],
    );
    check_steps(
        "  c: {choice: {cases: [{when: 'true', then: [nope]}], otherwise: [d]}}\n  d: {task: {skill: echo}}\n",
        &["3:46: /steps/c/choice/cases/0/then/0: there is no step `nope`; there is `c`, `d`"],
    );
    check_steps(
        "  c: {choice: {cases: [{when: 'true', then: [x]}]}}\n  d: {choice: {cases: [{when: 'true', then: [x]}]}}\n  x: {task: {skill: echo}}\n",
        &["4:46: /steps/d/choice/cases/0/then/0: the choices `c` and `d` both list step `x`; only one choice may"],
    );
    check_steps(
        "  x: {task: {skill: echo}}\n  c: {after: [x], choice: {cases: [{when: 'true', then: [x]}]}}\n",
        &[
            "4:15: /steps/c/after/0: these steps wait for each other: c → x → c; break one of /steps/c/after/0, /steps/c/choice/cases/0/then/0",
        ],
    );
}

#[test]
fn cycles_are_named() {
    check_steps(
        "  a: {after: [c], task: {skill: echo}}\n  b: {task: {skill: echo, input: '${steps.a.result}'}}\n  c: {join: {of: [b]}}\n  d: {after: [a], task: {skill: echo}}\n",
        &[
            "3:15: /steps/a/after/0: these steps wait for each other: a → c → b → a; break one of /steps/a/after/0, /steps/c/join/of/0, /steps/b/task/input",
        ],
    );
    check_steps(
        "  a: {after: [b], task: {skill: echo}}\n  b: {after: [a], task: {skill: echo}}\n  x: {after: [y], task: {skill: echo}}\n  y: {after: [x], task: {skill: echo}}\n",
        &[
            "3:15: /steps/a/after/0: these steps wait for each other: a → b → a; break one of /steps/a/after/0, /steps/b/after/0",
            "5:15: /steps/x/after/0: these steps wait for each other: x → y → x; break one of /steps/x/after/0, /steps/y/after/0",
        ],
    );
}
