//! What the report skill promises, tried without a broker.

use nova_report::MakeReport;
use nova_worker::{Blocking, Verdict};
use serde_json::{Value, json};

async fn run(input: Value) -> Result<Value, Verdict> {
    nova_worker::test::run(&Blocking::new(MakeReport), input).await
}

fn finding(severity: &str) -> Value {
    json!({"rule": "rust/unwrap", "severity": severity, "message": "m", "line": 1, "column": 1, "end_line": 1, "end_column": 2})
}

#[tokio::test]
async fn reviews_in_give_a_report_out() {
    let report = run(json!({
        "root": "/srv/code", "commit": "0f3a", "files": ["a.rs", "b.rs"],
        "reviews": [{"path": "a.rs", "lines": 3, "findings": [finding("warning")], "skipped": null, "metrics": {}}, null],
        "skipped": [{"path": "c.png", "why": "unsupported_language"}],
    }));
    let report = report.await.expect("it is made");
    assert_eq!(report["counts"], json!({"errors": 0, "warnings": 1, "infos": 0}));
    assert_eq!((&report["files"], &report["reviewed"], &report["lines"]), (&json!(3), &json!(1), &json!(3)));
    assert_eq!((&report["by_rule"], &report["by_file"]), (&json!({"rust/unwrap": 1}), &json!({"a.rs": 1})));
    assert_eq!(report["findings"][0]["path"], "a.rs");
    assert_eq!(report["failed"][0]["path"], "b.rs");
    assert_eq!((&report["sarif"], &report["markdown"]), (&Value::Null, &Value::Null), "they are made on request");
}

#[tokio::test]
async fn sarif_and_markdown_are_made_on_request() {
    let rules = json!({"rules": [{"id": "rust/dbg", "summary": "Left over", "severity": "info", "help": "", "languages": ["rust"]}]});
    let report = run(json!({
        "files": ["a.rs"], "reviews": [{"findings": [finding("error")]}], "rules": rules, "sarif": true, "markdown": true,
    }));
    let report = report.await.expect("it is made");
    let sarif: Value = serde_json::from_str(report["sarif"].as_str().expect("a text")).expect("it is JSON");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().expect("a list");
    let rules: Vec<&Value> = rules.iter().map(|rule| &rule["id"]).collect();
    assert_eq!(rules, ["rust/dbg", "rust/unwrap"], "those in force, and those that only findings name");
    assert!(report["markdown"].as_str().expect("a text").contains("| `a.rs:1` | `rust/unwrap` | m |"));
}

#[tokio::test]
async fn nothing_reviewed_is_a_report_too() {
    let report = run(json!({"files": [], "reviews": [], "sarif": true, "rules": null})).await.expect("it is made");
    assert_eq!(report["findings"], json!([]));
}

#[tokio::test]
async fn input_that_makes_no_sense_is_refused() {
    for input in
        [json!(null), json!({}), json!({"files": ["a"], "reviews": []}), json!({"files": [], "reviews": [], "x": 1})]
    {
        match run(input.clone()).await {
            Err(Verdict::Reject { error }) => assert_eq!(error.code.to_string(), "bad_input", "{input}"),
            other => panic!("not refused: {other:?}"),
        }
    }
}
