//! What a text comes to does not depend on how it is written, and no text brings the reader down.

use nova_workflow::definition::{Join, Loop, Map, Need, Tolerate, Vote, Wait};
use nova_workflow::{
    Bound, EvalError, Expr, Known, Lookup, Plan, Root, Step, Work, Workflow, canonical, check_text, hash, parse, schema,
};
use proptest::prelude::*;
use serde_json::json;

const WRITTEN: &str = r#"
workflow: golden
about: "Every notation."
input:
  n: {type: int, default: 3}
  s:
    type: string
steps:
  b:
    task:
      skill: echo
      input:
        text: |
          two
          lines
        half: 0.5
        none: ~
      timeout: 60s
  a: {map: {over: "[1, 2]", do: {skill: echo, input: "${item}"}, tolerate: 10%}, on_failure: fail}
result: {a: "${steps.a.result}", b: 'x'}
"#;

const REWRITTEN: &str = r#"{
  "result": {"b": "x", "a": "${steps.a.result}"},
  "steps": {
    "a": {"map": {"tolerate": "10%", "do": {"input": "${item}", "skill": "echo"}, "over": "[1, 2]"}},
    "b": {"task": {"input": {"none": null, "half": 0.5, "text": "two\nlines\n"}, "timeout": "1m", "skill": "echo"}}
  },
  "input": {"s": {"type": "string"}, "n": {"default": 3, "type": "int"}},
  "about": "Every notation.", "workflow": "golden"
}"#;

#[test]
fn the_hash_is_of_what_is_said_not_how() {
    let of = |text| check_text(text, Known::default()).expect("a sound workflow").hash().to_owned();
    assert_eq!(of(WRITTEN), of(REWRITTEN));
    let (workflow, _) = parse(WRITTEN).expect("a definition");
    assert_eq!(
        canonical(&workflow),
        r#"{"about":"Every notation.","input":{"n":{"default":3,"type":"int"},"s":{"type":"string"}},"result":{"a":"${steps.a.result}","b":"x"},"steps":{"a":{"map":{"do":{"input":"${item}","skill":"echo"},"over":"[1, 2]","tolerate":"10%"}},"b":{"task":{"input":{"half":0.5,"none":null,"text":"two\nlines\n"},"skill":"echo","timeout":"1m"}}},"workflow":"golden"}"#
    );
    assert_eq!(of(WRITTEN), "16b25b125d5c0493af356d0b8c0d4dbccc5f871cc1f39aec38f036fdba0db8b0");
    assert_eq!(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_ne!(of(WRITTEN), of(&WRITTEN.replace("half: 0.5", "half: 0.6")));
}

#[test]
fn the_schema_knows_every_kind_exactly_once() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("JSON");
    assert_eq!(schema["$defs"]["Step"]["oneOf"].as_array().map(Vec::len), Some(8));
    assert_eq!(schema["$defs"]["Step"]["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["workflow"]["pattern"], "^[a-z0-9-]{1,48}$");
    assert_eq!(schema["$defs"]["Step"]["properties"]["task"]["required"], json!(["skill"]));
    for part in ["Work", "Map", "Join", "Vote", "Choice", "Loop", "Wait", "Approval", "Param"] {
        assert!(schema["$defs"][part]["properties"].is_object(), "{part}: {schema:#}");
    }
}

#[test]
fn a_built_workflow_is_the_written_one() {
    let echo = || Work::skill("echo").expect("a skill");
    let built = Workflow::new("built")
        .and_then(|it| it.step("a", Step::map(Map::over("[1]", echo()).tolerate(Tolerate::All))))
        .and_then(|it| it.step("b", Step::repeat(Loop::new(echo(), "index > 1", 3)).when("true")))
        .and_then(|it| it.step("c", Step::join(Join::of(["a", "b"])?.need(Need::Count(1)))))
        .and_then(|it| it.step("d", Step::vote(Vote::times(5, echo()).or_judge(echo()).quorum(4)).after(["c"])?))
        .and_then(|it| it.step("e", Step::wait(Wait::signal("go")?)))
        .expect("names that fit");
    let written = "workflow: built\nsteps:\n  a: {map: {over: '[1]', do: {skill: echo}, tolerate: all}}\n  \
        b: {loop: {do: {skill: echo}, until: index > 1, max: 3}, when: 'true'}\n  c: {join: {of: [a, b], need: any}}\n  \
        d: {after: [c], vote: {do: {skill: echo}, times: 5, undecided: judge, judge: {skill: echo}, quorum: 4}}\n  \
        e: {wait: {signal: go}}\n";
    let (read, _) = parse(written).expect("a definition");
    assert_eq!(built, read);
    assert!(Plan::new(built).is_ok());
    assert!(Workflow::new("Not A Name").is_err() && Work::skill("").is_err() && Step::default().after(["X"]).is_err());
}

fn leaf() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<u64>().prop_map(Into::into),
        any::<f64>().prop_map(|number| json!(number)),
        "[^$\\p{Cc}]{0,20}".prop_map(Into::into),
        Just(json!("${input.x}")),
        Just(json!("a ${run.id} b")),
    ]
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z ü~/:#\"'{-]{0,6}", inner, 0..4)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_workflow_comes_back_with_the_same_hash(inputs in prop::collection::vec(value(), 1..6), pretty in any::<bool>()) {
        let mut workflow = Workflow::new("w").expect("a name");
        for (index, input) in inputs.into_iter().enumerate() {
            let work = Work::skill("echo").expect("a skill").input(input);
            let step = if index % 2 == 0 { Step::task(work) } else { Step::map(Map::over("input.l", work)) };
            let step = if index > 0 { step.after([format!("s{}", index - 1).as_str()]).expect("an id") } else { step };
            workflow = workflow.step(&format!("s{index}"), step).expect("an id");
        }
        let plan = Plan::new(workflow.clone()).expect("a sound workflow");
        let text = if pretty {
            serde_json::to_string_pretty(&workflow).expect("JSON")
        } else {
            canonical(&workflow)
        };
        let again = check_text(&text, Known::default());
        prop_assert_eq!(again.map(|plan| plan.hash().to_owned()), Ok(plan.hash().to_owned()), "{}", text);
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(check_text(&String::from_utf8_lossy(&bytes), Known::default()).is_err());
    }

    #[test]
    fn odd_texts_are_refused(text in "[-\\[\\]{}:,?&*!|>'\"%@`#~ \\n\\tab1.üı\u{feff}\u{2028}🦀]{0,200}") {
        prop_assert!(check_text(&text, Known::default()).is_err());
    }

    #[test]
    fn mutated_workflows_are_read_or_refused(edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..4, "[-\\[\\]{}:,?&*!|>'\"$ \\na1.ü(+]{1,3}"), 1..6)) {
        let mut chars: Vec<char> = WRITTEN.chars().collect();
        for (at, edit, text) in edits {
            let at = at.index(chars.len());
            match edit {
                0 => { chars.remove(at); }
                1 => { chars.splice(at..at, text.chars()); }
                2 => { chars.splice(at..=at, text.chars()); }
                _ => { let end = (at + 20).min(chars.len()); let copy: Vec<char> = chars[at..end].to_vec(); chars.splice(at..at, copy); }
            }
        }
        let text: String = chars.into_iter().collect();
        match check_text(&text, Known::default()) {
            Ok(plan) => prop_assert_eq!(plan.hash().len(), 64),
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                let lines = text.split('\n').count();
                for problem in problems {
                    prop_assert!((1..=lines + 1).contains(&problem.line) && problem.column >= 1, "{}", problem);
                }
            }
        }
    }

    #[test]
    fn random_expressions_have_a_value_or_fail(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..16)) {
        let code = tokens.join(" ");
        let plan = check_text("workflow: w\nsteps: {a: {task: {skill: echo}}}\n", Known::default()).expect("a sound workflow");
        match plan.eval(&Expr(code.clone()), &Inputs) {
            Err(EvalError::Failed(failure)) => prop_assert_eq!(failure.code.as_str(), "bad_expression"),
            Err(EvalError::Wants(_)) => prop_assert!(false, "nothing is large"),
            Ok(value) => prop_assert_eq!(plan.eval(&Expr(code), &Inputs), Ok(value)),
        }
    }
}

const TOKENS: &[&str] = &[
    "input",
    "input.l",
    "input.m",
    ".map(x,",
    ".filter(x,",
    ".exists(x,",
    "x",
    ")",
    "(",
    "[",
    "]",
    "{",
    "}",
    "1",
    "-1",
    "0",
    "9223372036854775807",
    "18446744073709551615u",
    "0.5",
    "'a'",
    "''",
    "true",
    "null",
    "+",
    "-",
    "*",
    "/",
    "%",
    "==",
    "<",
    "in",
    "&&",
    "||",
    "!",
    "?",
    ":",
    ",",
    ".size()",
    "string(",
    "int(",
    "double(",
    "type(",
    "dyn(",
    "has(",
    "input.m.a",
    ".join('-')",
    ".split('')",
    ".flatten()",
    ".a",
    "[0]",
];

struct Inputs;

impl Lookup for Inputs {
    fn get(&self, _: &Root) -> Result<Bound, EvalError> {
        Ok(Bound::new(&json!({"l": [1, "a", null, [2], 0.5], "m": {"a": 1, "b": [true]}})))
    }
}
