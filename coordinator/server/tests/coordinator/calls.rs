//! Ask and wait.

use nova_broker::Message;
use nova_coordinator::CoordinatorConfig;
use nova_types::OutcomeKind;
use nova_wire::{Headers, name, parse_outcome};

use crate::support::{DEADLINE, Fleet, ask, error_code, shows};

fn call(skill: &str, headers: Headers) -> Message {
    Message::new(format!("nova.call.{skill}"), r#"{"a":1}"#).with_headers(headers)
}

async fn answers_with_the_outcome(mut fleet: Fleet) {
    fleet.start("c1").await;
    fleet.start("c2").await;
    let worker = fleet.worker("w1").await;
    for headers in [Headers::new(), Headers::new().with(name::MSG_ID, "cli.named")] {
        let answer = ask(&fleet.broker, call("echo", headers.clone())).await;
        let outcome = parse_outcome(answer.headers.get(name::OUTCOME).expect("an outcome")).expect("well formed");
        assert_eq!((outcome.kind, &answer.body[..]), (OutcomeKind::Completed, &br#"{"a":1}"#[..]));
        assert_eq!(headers.get(name::MSG_ID).is_some(), outcome.task.to_string() == "cli.named");
    }
    // Asked again, it is answered from the record.
    let again = ask(&fleet.broker, call("echo", Headers::new().with(name::MSG_ID, "cli.named"))).await;
    assert!(again.headers.get(name::OUTCOME).is_some());
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_call_is_answered_with_the_outcome() {
    answers_with_the_outcome(Fleet::real().await).await;
}

#[tokio::test]
async fn a_call_is_answered_with_the_outcome_in_memory() {
    answers_with_the_outcome(Fleet::memory().await).await;
}

#[tokio::test]
async fn a_call_that_cannot_be_is_refused_with_its_code() {
    let mut fleet = Fleet::memory().await;
    let parts = fleet.start_with("c1", CoordinatorConfig { calls_waiting: 1, ..CoordinatorConfig::default() }).await;
    for (skill, headers, code) in [
        ("nobody", Headers::new(), "404"),
        ("echo", Headers::new().with("Nats-TTL", "5s"), "400"),
        ("echo", Headers::new().with("Nova-Timeout", "soon"), "400"),
        ("echo", Headers::new().with("Nova-Call-Timeout", "soon"), "400"),
        ("echo", Headers::new().with(name::MSG_ID, "_seq.1"), "400"),
    ] {
        let answer = ask(&fleet.broker, call(skill, headers)).await;
        assert_eq!(error_code(&answer), Some(code), "{answer:?}");
    }
    // Nobody works: the first call holds the only place, until its time is up.
    let broker = fleet.connect("caller").await;
    let waits =
        tokio::spawn(async move { ask(&broker, call("echo", Headers::new().with("Nova-Call-Timeout", "3s"))).await });
    nova_testkit::wait_until("the first call to wait", DEADLINE, async || {
        shows(&parts, "nova_calls_pending 1").then_some(())
    })
    .await;
    let second = ask(&fleet.broker, call("echo", Headers::new())).await;
    assert_eq!(error_code(&second), Some("429"));
    let answer = waits.await.expect("answered");
    let pending = answer.headers.get("Nova-Call").expect("still to come");
    assert!(pending.starts_with("202;task=\"c"), "{pending}");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert!(pending.contains(body["task"].as_str().expect("an id")));
    fleet.stop().await;
}

#[tokio::test]
async fn waiting_calls_are_answered_when_the_coordinator_stops() {
    let mut fleet = Fleet::real().await;
    let parts = fleet.start("c1").await;
    let broker = fleet.connect("caller").await;
    let waits = tokio::spawn(async move { ask(&broker, call("echo", Headers::new())).await });
    nova_testkit::wait_until("the call to wait", DEADLINE, async || {
        shows(&parts, "nova_calls_pending 1").then_some(())
    })
    .await;
    nova_testkit::wait_until("the task", DEADLINE, async || (!fleet.queue().await.is_empty()).then_some(())).await;
    fleet.stop().await;
    assert!(waits.await.expect("answered").headers.get("Nova-Call").is_some());
}
