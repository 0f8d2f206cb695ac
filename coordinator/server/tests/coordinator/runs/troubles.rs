//! Runs that fail, are cancelled, or meet what they cannot go on with.

use nova_broker::{Expect, Message};
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, RunStatus, StepId};
use nova_wire::{assets, name, subject};
use serde_json::json;

use super::support::{
    cancel, chain, copies, echo_worker, ended, ended_now, messages, order, put, skill, start, summary, until, worker,
};
use crate::support::{DEADLINE, Fleet};

#[tokio::test]
async fn a_cancel_undoes_what_was_done() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let worker = echo_worker(&fleet).await;
    put(
        &fleet,
        json!({"workflow": "undoes", "steps": {
            "book": {"task": {"skill": "echo", "input": "booked"}, "undo": {"skill": "echo", "input": {"undo": "${result}"}}},
            "wait": {"after": ["book"], "wait": {"signal": "never"}}
        }}),
    )
    .await;
    start(&fleet, "cli.undone", json!({"workflow": "undoes"})).await;
    until(&fleet, "cli-undone", "waiting", |summary| summary.done == 1).await;
    cancel(&fleet, "cli.undone").await;
    let (outcome, body) = ended(&fleet, "cli.undone").await;
    assert_eq!((outcome.kind, &body["code"]), (OutcomeKind::Cancelled, &json!("cancelled")));
    assert_eq!(copies(&fleet, "echo").await.len(), 2, "the step and its undo");
    assert_eq!(summary(&fleet, "cli-undone").await.expect("there").status, RunStatus::Cancelled);
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_takes_its_tasks_with_it() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, chain()).await;
    // Nobody works: the task waits, and is ended by the coordinator.
    start(&fleet, "cli.stuck", json!({"workflow": "chain"})).await;
    until(&fleet, "cli-stuck", "running", |summary| summary.status == RunStatus::Running).await;
    cancel(&fleet, "cli.stuck").await;
    assert_eq!(ended(&fleet, "cli.stuck").await.0.kind, OutcomeKind::Cancelled);
    fleet.stop().await;
}

#[tokio::test]
async fn a_failure_names_the_step_and_its_cause() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    let worker = worker(&fleet, "echo", |_| Err("no_luck".to_owned())).await;
    put(&fleet, chain()).await;
    let mut told = fleet.broker.listen("nova.event.run.failed.chain.*".into(), None).await.expect("listening");
    start(&fleet, "cli.fails", json!({"workflow": "chain"})).await;
    let (outcome, body) = ended(&fleet, "cli.fails").await;
    assert_eq!((outcome.kind, &body["code"]), (OutcomeKind::Dead, &json!("no_luck")));
    assert_eq!(body["details"], json!({"run": "cli-fails", "step": "a", "attempts": 1}));
    let failed = summary(&fleet, "cli-fails").await.expect("there");
    assert_eq!(failed.failed, Some(StepId::new("a").expect("a step")));
    let event = futures_util::StreamExt::next(&mut told).await.expect("the event");
    assert_eq!(event.subject, "nova.event.run.failed.chain.cli-fails");
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_skill_that_nobody_has_fails_its_step() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, json!({"workflow": "lost", "steps": {"a": {"task": {"skill": "nobody"}}}})).await;
    start(&fleet, "cli.lost", json!({"workflow": "lost"})).await;
    let (outcome, body) = ended(&fleet, "cli.lost").await;
    assert_eq!((outcome.kind, &body["code"]), (OutcomeKind::Dead, &json!("unknown_skill")));
    assert_eq!(body["details"]["step"], "a");
    fleet.stop().await;
}

#[tokio::test]
async fn a_record_of_a_later_version_parks_its_run() {
    let mut fleet = Fleet::real().await;
    let parts = fleet.start("c1").await;
    put(&fleet, json!({"workflow": "waits", "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    start(&fleet, "cli.new", json!({"workflow": "waits"})).await;
    until(&fleet, "cli-new", "running", |summary| summary.status == RunStatus::Running).await;
    fleet.stop().await;
    let last = messages(&fleet, "cli-new").await.pop().expect("its start");
    let later = Message::new(last.subject.clone(), r#"{"v":2,"n":9,"quite":"different"}"#);
    fleet.broker.publish(later, Expect::Last(last.sequence)).await.expect("stored");
    drop(parts);
    let parts = fleet.start("c2").await;
    order(&fleet, "signal", "cli.new", json!({"signal": "go"})).await;
    wait_until("the run to be parked", DEADLINE, async || {
        parts
            .metrics
            .render()
            .lines()
            .any(|line| line.starts_with("nova_runs_parked_total") && !line.ends_with(" 0"))
            .then_some(())
    })
    .await;
    assert!(ended_now(&fleet, "cli.new").await.is_none());
    assert!(messages(&fleet, "cli-new").await.last().is_some_and(|stored| stored.body.starts_with(b"{\"v\":2")));
    // Others are moved as ever.
    start(&fleet, "cli.old", json!({"workflow": "waits"})).await;
    order(&fleet, "signal", "cli.old", json!({"signal": "go"})).await;
    ended(&fleet, "cli.old").await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_full_queue_delays_a_run_and_drops_nothing() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, chain()).await;
    let filler: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let low = subject::task(&skill("echo"), nova_types::Priority::Low);
    while fleet.broker.publish(Message::new(low.clone(), filler), Expect::Any).await.is_ok() {}
    start(&fleet, "cli.waits", json!({"workflow": "chain", "input": "y".repeat(60_000)})).await;
    until(&fleet, "cli-waits", "running", |summary| summary.status == RunStatus::Running).await;
    let stream = assets::tasks_stream(&skill("echo"));
    let waiting =
        |stored: Vec<nova_broker::Stored>| stored.iter().any(|stored| stored.headers.get(name::RUN).is_some());
    let now = fleet.broker.scan(nova_broker::Scan::all(&*stream, ">", 100)).await.expect("readable");
    assert!(!waiting(now), "there is no room");
    let all = fleet.broker.purge(stream, nova_broker::Purge::Subject(low)).await.expect("purged");
    assert!(all > 5);
    let worker = echo_worker(&fleet).await;
    assert_eq!(ended(&fleet, "cli.waits").await.0.kind, OutcomeKind::Completed);
    worker.abort();
    fleet.stop().await;
}
