//! The skill as a worker runs it: from a task's body to a result or a verdict.

use std::time::Duration;

use nova_http::Http;
use nova_worker::Verdict;
use nova_worker::test::{Trial, run};
use serde_json::{Value, json};

use crate::open;
use crate::server::{Answer, Server};

async fn verdict(server: &Server) -> Verdict {
    run(&Http::new(open()).unwrap(), json!({"url": server.url("/?secret=1")})).await.unwrap_err()
}

#[tokio::test]
async fn a_result_has_the_documented_fields() {
    let server = Server::saying("200 OK", "hi").await;
    let result = run(&Http::new(open()).unwrap(), json!({"url": server.url("/")})).await.unwrap();
    let mut fields: Vec<&str> = result.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["address", "body", "elapsed_ms", "headers", "redirects", "status", "url"]);
    assert_eq!(result["address"], server.address.to_string());
}

#[tokio::test]
async fn a_post_carries_the_id_of_the_task() {
    let server = Server::saying("200 OK", "").await;
    run(&Http::new(open()).unwrap(), json!({"url": server.url("/"), "method": "POST"})).await.unwrap();
    let id = Trial::default().context("http").task().to_string();
    assert_eq!(server.seen()[0].header("idempotency-key"), Some(&*id));
}

#[tokio::test]
async fn failures_become_the_matching_verdict() {
    let Verdict::Retry { after, error } = verdict(&Server::saying("503 Busy\r\nretry-after: 9", "later").await).await
    else {
        panic!("no retry");
    };
    assert_eq!((after, error.code.as_str()), (Some(Duration::from_secs(9)), "http_503"));
    let Verdict::Retry { after: None, error } = verdict(&Server::saying("500 Oops", "").await).await else {
        panic!("no retry after the task's own backoff");
    };
    assert_eq!(error.code.as_str(), "http_500");
    let Verdict::Reject { error } = verdict(&Server::saying("404 Gone", "not here").await).await else {
        panic!("no reject");
    };
    assert_eq!(
        (error.code.as_str(), &error.details["status"], &error.details["body"]),
        ("http_404", &json!(404), &json!("not here"))
    );
    assert!(!error.details["url"].as_str().unwrap().contains("secret"));
}

#[tokio::test]
async fn bad_input_is_rejected() {
    for input in [json!({}), json!(null), json!("http://example.com"), json!({"url": "ftp://x"})] {
        let verdict = run(&Http::new(open()).unwrap(), input).await.unwrap_err();
        assert!(matches!(&verdict, Verdict::Reject { error } if error.code.as_str() == "bad_input"), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_cancelled_attempt_lets_go_at_once() {
    let server = Server::start(|_| Answer::Stall(Vec::new())).await;
    let (trial, skill) = (Trial::default(), Http::new(open()).unwrap());
    let cancel = trial.cancel.clone();
    let cancelling = async {
        while server.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let (ended, ()) = tokio::join!(trial.run(&skill, json!({"url": server.url("/")})), cancelling);
    assert!(matches!(ended, Err(Verdict::Retry { .. })), "{ended:?}");
}

#[tokio::test]
async fn a_call_ends_with_its_attempt() {
    let server = Server::start(|_| Answer::Stall(Vec::new())).await;
    let mut trial = Trial::default();
    trial.timeout = Duration::from_millis(100);
    let ended: Result<Value, Verdict> = trial.run(&Http::new(open()).unwrap(), json!({"url": server.url("/")})).await;
    assert!(matches!(&ended, Err(Verdict::Retry { error, .. }) if error.code.as_str() == "timeout"), "{ended:?}");
}
