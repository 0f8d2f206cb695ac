//! What a plan says of a sound workflow, and how its expressions are evaluated.

use std::collections::BTreeMap;

use nova_types::StepId;
use nova_workflow::{BlobName, Bound, EvalError, Expr, Lookup, Plan, Root, Template, Workflow};
use serde_json::{Value, json};

struct Values(BTreeMap<String, Value>);

impl Lookup for Values {
    fn get(&self, root: &Root) -> Result<Bound, EvalError> {
        match self.0.get(&root.to_string()) {
            Some(Value::String(text)) if text == "large" => {
                let name = root.to_string();
                Err(EvalError::Wants(vec![BlobName { name, size: 1, sha256: String::new() }]))
            }
            Some(value) => Ok(Bound::new(value)),
            None => Err(EvalError::failed(format!("no {root} here"))),
        }
    }
}

fn values() -> Values {
    let all = json!({
        "input": {"n": 3, "text": "hi", "list": [1, 2, 3], "map": {"b": 1, "a": 2, "c": 3}, "none": null, "big": u64::MAX, "half": 0.5, "long": "x".repeat(4 << 20)},
        "steps.a": {"result": {"ok": true, "count": 2}, "status": "completed"},
        "steps.b": "large",
        "run": {"id": "r1", "workflow": "w"},
    });
    Values(all.as_object().expect("a map").clone().into_iter().collect())
}

fn plan() -> Plan {
    plan_of(json!({"a": {"task": {"skill": "echo"}}, "b": {"task": {"skill": "echo"}}}))
}

fn plan_of(steps: Value) -> Plan {
    let workflow: Workflow = serde_json::from_value(json!({"workflow": "w", "steps": steps})).expect("a definition");
    Plan::new(workflow).expect("a sound workflow")
}

#[track_caller]
fn check(code: &str, expect: Value) {
    assert_eq!(plan().eval(&Expr(code.into()), &values()), Ok(expect), "{code}");
}

#[track_caller]
fn check_fails(code: &str, expect: &str) {
    match plan().eval(&Expr(code.into()), &values()) {
        Err(EvalError::Failed(failure)) => {
            assert_eq!(failure.code.as_str(), "bad_expression");
            let shown: String = code.chars().take(40).collect();
            assert!(failure.message.contains(&shown), "{} does not name {code}", failure.message);
            assert!(failure.message.contains(expect), "{} says not {expect}", failure.message);
        }
        other => panic!("{code}: {other:?}"),
    }
}

#[track_caller]
fn check_fill(template: Value, expect: Value) {
    assert_eq!(plan().fill(&Template(template), &values()), Ok(expect));
}

#[test]
fn expressions_are_evaluated() {
    check("1 + 2", json!(3));
    check("input.n * 2 > 5 && steps.a.result.ok", json!(true));
    check("steps[\"a\"].result.count", json!(2));
    check("has(steps.a.error)", json!(false));
    check("has(steps.a.result.ok)", json!(true));
    check("input.list.map(x, x * 2)", json!([2, 4, 6]));
    check("input.list.filter(x, x != 2)", json!([1, 3]));
    check("input.list.exists(x, x == 2) ? 'yes' : 'no'", json!("yes"));
    check("input.list.all(x, x > 0)", json!(true));
    check("input.list.exists_one(x, x > 2)", json!(true));
    check("input.list.map(x, x > 1, {'v': x})", json!([{"v": 2}, {"v": 3}]));
    check("input.list.map(x, input.list.map(y, x * y))", json!([[1, 2, 3], [2, 4, 6], [3, 6, 9]]));
    check("size(input.text) + size(input.list)", json!(5));
    check("input.none == null", json!(true));
    check("input.big", json!(u64::MAX));
    check("input.half * 2.0", json!(1.0));
    check("{'a': [1, {'b': null}]}", json!({"a": [1, {"b": null}]}));
    check("input.list + [4]", json!([1, 2, 3, 4]));
    check("2 in input.list && 'a' in input.map", json!(true));
    check("run.id + '/' + run.workflow", json!("r1/w"));
    check("input.text.contains('h') && input.text.startsWith('h')", json!(true));
    check("type(input.n) == int", json!(true));
    check("'steps.zzz' + \"input\"", json!("steps.zzzinput"));
    check("input.map.a + input.map['b']", json!(3));
    check("[[1, 2], 3, [[4]]].flatten()", json!([1, 2, 3, [4]]));
    check("['a', 'b'].join(', ') + ['c', 'd'].join()", json!("a, bcd"));
    check("'a,b,,c'.split(',')", json!(["a", "b", "", "c"]));
    check("'aü'.split('')", json!(["a", "ü"]));
    check("' aB '.trim().lowerAscii() + 'x-y'.replace('-', '+').upperAscii()", json!("abX+Y"));
}

#[test]
fn maps_are_walked_in_the_order_of_their_keys() {
    for _ in 0..20 {
        check("input.map.map(k, k)", json!(["a", "b", "c"]));
        check("{'z': 1, 'y': 2, 'x': 3}.map(k, k)", json!(["x", "y", "z"]));
    }
}

#[test]
fn a_failing_expression_is_named() {
    check_fails("1 / 0", "division by zero");
    check_fails("input.n % 0", "zero");
    check_fails("9223372036854775807 + input.n", "too large");
    check_fails("input.missing", "there is no `missing`");
    check_fails("input.text + 1", "does not work on string and int");
    check_fails("input.text > 1", "does not work on string and int");
    check_fails("input.list[9]", "no item");
    check_fails("0.0 / 0.0", "JSON has no number");
    check_fails("type(1)", "JSON has no type");
    check_fails("steps[input.text]", "steps.<id>");
    check_fails("steps", "steps.<id>");
    check_fails("1 +", "");
    check_fails("nobody", "there is no `nobody`");
    check_fails("input.list.map(input, 1)", "another name");
    check_fails("{1: 1, '1': 2}", "same text");
    check_fails("b'abc'", "bytes");
    check_fails("-input.text", "");
    check_fails("{1: 2, 1: 3}", "same key twice");
    check_fails("input.list.map(x, 1 / (x - 1))", "division by zero");
    check_fails("-9223372036854775808 / -1", "too large");
    check_fails("-9223372036854775808 % -1", "");
    for _ in 0..20 {
        check_fails("{'b': type(1), 'a': 0.0 / 0.0, 'c': type('')}", "no number");
    }
}

#[test]
fn bombs_are_refused_or_stopped() {
    let many = |piece: &str, times: usize| piece.repeat(times);
    check_fails(&format!("1{}", many(" + 1", 2000)), "too long");
    check_fails(&format!("1{}", many("+1", 1000)), "more than 200 operators");
    check_fails(&format!("{}1{}", many("(", 1500), many(")", 1500)), "deeper than 24");
    check_fails(&format!("{}true", many("!", 3000)), "more than 200 operators");
    check_fails("input.list.map(a, input.list.map(b, input.list.map(c, input.list.map(d, 1))))", "loops nest");
    let doubling = format!("['0123456789']{}", many(".map(x,x+x+x+x+x+x+x+x)", 9));
    check_fails(&doubling, "too large a value");
    check_fails("input.list.map(a, input.list.map(b, input.list.map(c, input.long))).size()", "too large a value");
    check_fails("input.long.replace('', input.long)", "too large a value");
    check_fails("input.long.split('')", "too large a value");
    check_fails("[1].join(',')", "item 0 is int");
    check("[input.long].filter(x, x != '').size() + [input.long, input.long].size()", json!(3));
    let chain = "[0,0,0,0,0,0,0,0].map(a,[0,0,0,0,0,0,0,0].map(b,[0,0,0,0,0,0,0,0].map(c,'0123456789')))";
    check(&format!("size({chain})"), json!(8));
}

#[test]
fn deep_chains_fit_a_small_stack() {
    let nested = |open: &str, times: usize, close: &str| format!("{}1{}", open.repeat(times), close.repeat(times));
    check(&nested("", 30, "+1"), json!(31));
    check(&nested("(", 24, ")"), json!(1));
    check(&nested("[", 24, "]"), (0..24).fold(json!(1), |inner, _| json!([inner])));
    check(&format!("true{}", " && true".repeat(99)), json!(true));
    check_fails(&nested("", 199, "+1"), "a chain of more than 32");
    for (open, times, close) in [
        ("", 31, "==1"),
        ("", 31, " in [1]"),
        ("", 31, "[0]"),
        ("", 31, ".size()"),
        ("", 31, ".a"),
        ("", 31, " < 1"),
        ("true?1:", 31, ""),
        ("true?1:", 99, ""),
        ("-", 199, ""),
        ("!", 199, ""),
        ("(1+", 24, ")"),
        ("{1:", 24, "}"),
        ("size([", 12, "])"),
        ("1+(true?(", 12, "):0)"),
        ("", 99, ".map(x,x)"),
        ("", 99, "==1"),
        ("", 199, " in [1]"),
        ("", 1000, "[0]"),
        ("", 190, ".size()"),
        ("", 190, ".a"),
    ] {
        // No answer is asked for but that there is one.
        let _ = plan().eval(&Expr(nested(open, times, close)), &values());
    }
}

#[test]
fn templates_keep_types_alone_and_make_text_inside() {
    check_fill(json!("${input.list}"), json!([1, 2, 3]));
    check_fill(json!("n=${input.n}, ${input.text}, ${input.list}"), json!("n=3, hi, [1,2,3]"));
    check_fill(json!({"a": ["${input.n}", 1, null], "b": "$${x}"}), json!({"a": [3, 1, null], "b": "${x}"}));
    check_fill(json!("${ {'k}': '}'} }"), json!({"k}": "}"}));
    check_fill(json!(null), json!(null));
    check_fill(json!("${input.none}!"), json!("null!"));
}

#[test]
fn all_wanted_objects_are_named_at_once() {
    let template = Template(json!(["${steps.b.result}", "${input.n}", "x ${steps.b.count}"]));
    let Err(EvalError::Wants(blobs)) = plan().fill(&template, &values()) else { panic!("nothing is wanted") };
    assert_eq!(blobs.len(), 1);
    assert!(matches!(plan().fill(&Template(json!("${1 +}")), &values()), Err(EvalError::Failed(_))));
}

#[test]
fn steps_are_ordered_by_what_they_need() {
    let plan = plan_of(json!({
        "z": {"task": {"skill": "s"}},
        "a": {"after": ["z"], "task": {"skill": "s"}},
        "c": {"choice": {"cases": [{"when": "steps.a.result.ok", "then": ["p"]}], "otherwise": ["q"]}},
        "p": {"map": {"over": "steps.z.result", "do": {"skill": "s", "input": {"i": "${item}", "t": "x ${steps[\"a\"].result}"}}}},
        "q": {"task": {"skill": "s"}},
        "j": {"join": {"of": ["p", "q"], "need": "any"}},
    }));
    let id = |id: &str| StepId::new(id).expect("an id");
    let ids = |ids: &[&str]| ids.iter().map(|one| id(one)).collect::<Vec<_>>();
    assert_eq!(plan.order(), ids(&["z", "a", "c", "p", "q", "j"]));
    assert_eq!(plan.needs(&id("p")).iter().cloned().collect::<Vec<_>>(), ids(&["a", "c", "z"]));
    assert_eq!(plan.dependants(&id("c")).iter().cloned().collect::<Vec<_>>(), ids(&["p", "q"]));
    assert_eq!(plan.picked_by(&id("q")), Some(&id("c")));
    assert_eq!(plan.kind(&id("j")).as_str(), "join");
    assert_eq!(plan.hash().len(), 64);
}

#[test]
fn an_input_is_checked_and_completed() {
    let workflow = json!({
        "workflow": "w",
        "input": {"a": {"type": "int"}, "b": {"type": "string", "default": "x"}},
        "steps": {"s": {"task": {"skill": "s"}}},
    });
    let plan = Plan::new(serde_json::from_value(workflow).expect("a definition")).expect("sound");
    assert_eq!(plan.take_input(json!({"a": 1})), Ok(json!({"a": 1, "b": "x"})));
    let said = |given: Value| {
        let failure = plan.take_input(given).expect_err("it is refused");
        assert_eq!(failure.code.as_str(), "bad_input");
        failure.message
    };
    assert_eq!(
        said(json!({"a": "1", "bb": 1})),
        "there is no input `bb`; did you mean `b`?; input `a` is string; int is wanted"
    );
    assert_eq!(said(json!(null)), "input `a` is missing");
    assert_eq!(said(json!([])), "the input is list; a map with `a`, `b` is wanted");
}
