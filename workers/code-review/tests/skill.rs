//! Claims about the skill as a task meets it: input in, answer or verdict out.

use nova_code_review::{CodeReview, Config};
use nova_worker::Verdict;
use serde_json::{Value, json};

async fn run(input: Value) -> Result<Value, Verdict> {
    let skill = CodeReview::new(Config::default()).expect("the built-in rules are sound");
    nova_worker::test::run(&skill, input).await
}

/// The code of a task that was refused for good.
async fn refused(input: Value) -> String {
    match run(input).await {
        Err(Verdict::Reject { error }) => error.code.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_in_gives_its_findings_out() {
    let answer = run(json!({"path": "src/a.rs", "content": "fn f() { g().unwrap() }\n"})).await.expect("is reviewed");
    assert_eq!(answer["path"], "src/a.rs");
    assert_eq!(answer["language"], "rust");
    assert_eq!(answer["lines"], 1);
    assert_eq!(answer["skipped"], Value::Null);
    assert_eq!(answer["metrics"]["functions"], 1);
    let finding = &answer["findings"][0];
    assert_eq!(finding["rule"], "rust/unwrap");
    assert_eq!(finding["severity"], "warning");
    assert_eq!((&finding["line"], &finding["column"]), (&json!(1), &json!(10)));
    assert_eq!((&finding["end_line"], &finding["end_column"]), (&json!(1), &json!(22)));
    assert_eq!(finding["snippet"], "g().unwrap()");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_named_skip_not_a_failure() {
    let answer = run(json!({"path": "a.py", "content_base64": "eCA9ICfkJw=="})).await.expect("is answered");
    assert_eq!(answer["skipped"], "not_utf8");
    assert_eq!(answer["findings"], json!([]));
    assert_eq!(answer["metrics"], Value::Null);
    let answer = run(json!({"path": "a.bin", "content_base64": "AAA="})).await.expect("is answered");
    assert_eq!((&answer["language"], &answer["skipped"]), (&Value::Null, &json!("unsupported_language")));
    let answer = run(json!({"path": "a.rs", "language": "cobol", "content": ""})).await.expect("is answered");
    assert_eq!(answer["skipped"], "unsupported_language");
}

#[tokio::test]
async fn malformed_input_is_refused_with_a_code() {
    for (input, code) in [
        (json!({}), "bad_input"),
        (json!({"path": "a.rs"}), "bad_input"),
        (json!({"content": "fn f() {}"}), "bad_input"),
        (json!({"path": "a.rs", "content": "", "content_base64": ""}), "bad_input"),
        (json!({"path": "a.rs", "content_base64": "%"}), "bad_base64"),
        (json!({"path": "a.rs", "content": "", "rules": "id: ["}), "bad_rules"),
        (json!({"path": "a.rs", "content": "", "rules": "#".repeat(300_000)}), "bad_rules"),
        (json!({"path": "a".repeat(5_000), "content": ""}), "bad_input"),
        (json!({"path": "a.rs", "content": "", "contents": ""}), "bad_input"),
        (json!({"path": 7, "content": ""}), "bad_input"),
        (json!(null), "bad_input"),
    ] {
        assert_eq!(refused(input.clone()).await, code, "{input}");
    }
}

#[tokio::test]
async fn a_tasks_own_rules_count_for_that_task() {
    let rules = "id: no-foo\nlanguage: python\nseverity: error\nmessage: no foo\nrule: { pattern: foo($A) }\n";
    let answer = run(json!({"path": "BUILD", "language": "python", "content": "foo(1)\n", "rules": rules}));
    assert_eq!(answer.await.expect("is reviewed")["findings"][0]["rule"], "no-foo");
    let answer = run(json!({"path": "a.py", "content": "foo(1)\n"})).await.expect("is reviewed");
    assert_eq!(answer["findings"], json!([]));
}

#[tokio::test]
async fn the_rules_in_force_can_be_listed() {
    let answer = run(json!({"list_rules": true})).await.expect("is answered");
    let rules = answer["rules"].as_array().expect("a list");
    let todo = rules.iter().find(|rule| rule["id"] == "javascript/todo").expect("is there");
    assert_eq!(todo["languages"], json!(["javascript", "typescript", "tsx"]));
    assert_eq!(todo["severity"], "info");
    assert!(todo["summary"].is_string() && todo["help"].is_string());
}

#[tokio::test]
async fn a_cancelled_attempt_ends_soon_and_without_a_result() {
    let skill = CodeReview::new(Config::default()).expect("the built-in rules are sound");
    let trial = nova_worker::test::Trial::default();
    trial.cancel.cancel();
    let text = "fn f() { g(1, 2, 3); }\n".repeat(50_000);
    let result = trial.run(&skill, json!({"path": "a.rs", "content": text})).await;
    assert!(matches!(result, Err(Verdict::Retry { .. })), "{result:?}");
}
