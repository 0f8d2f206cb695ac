//! Starts: what begins, what cannot, and what is asked for twice.

use nova_testkit::wait_until;
use nova_types::{OutcomeKind, TaskId, run_skill};
use nova_wire::{DeadLetter, Headers, assets, name, subject};
use serde_json::json;

use super::support::{cancel, chain, echo_worker, ended, history, messages, put, start, start_with, until, worker};
use crate::support::{DEADLINE, Fleet};

#[tokio::test]
async fn what_cannot_begin_is_a_dead_letter() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(
        &fleet,
        json!({"workflow": "strict", "input": {"n": {"type": "int"}}, "steps": {"go": {"wait": {"signal": "go"}}}}),
    )
    .await;
    for (id, request, code) in [
        ("cli.who", json!({"workflow": "who"}), "unknown_workflow"),
        ("cli.when", json!({"workflow": "strict", "version": "12ab"}), "unknown_version"),
        ("cli.what", json!({"workflow": "strict", "input": {"n": "one"}}), "bad_input"),
        ("cli.how", json!({"workflow": "strict", "quickly": true}), "bad_input"),
        ("cli.again", json!({"workflow": "strict", "restart": {"run": "nobody"}}), "bad_restart"),
    ] {
        start(&fleet, id, request.clone()).await;
        let (outcome, body) = ended(&fleet, id).await;
        assert_eq!((outcome.kind, &body["code"]), (OutcomeKind::Dead, &json!(code)), "{id}: {body}");
        let task: TaskId = id.parse().expect("an id");
        let letter = wait_until("its letter", DEADLINE, async || {
            fleet.broker.last(assets::DEAD.to_owned(), subject::dead(&run_skill(), &task)).await.ok()?
        })
        .await;
        let letter = DeadLetter::parse(&letter.headers, letter.body).expect("a letter");
        assert_eq!((letter.code.as_str(), &letter.body[..]), (code, request.to_string().as_bytes()));
    }
    let late = Headers::new().with(name::MSG_ID, "cli.late").with(name::DEADLINE, "2020-01-01T00:00:00Z");
    start_with(&fleet, late, json!({"workflow": "strict", "input": {"n": 1}})).await;
    assert_eq!(ended(&fleet, "cli.late").await.1["code"], "expired");
    fleet.stop().await;
}

#[tokio::test]
async fn a_run_of_another_task_is_left_alone() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, json!({"workflow": "waits", "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    // Two ids that come to one run.
    start(&fleet, "a-b.c", json!({"workflow": "waits"})).await;
    until(&fleet, "a-b-c", "there", |_| true).await;
    start(&fleet, "a.b-c", json!({"workflow": "waits"})).await;
    assert_eq!(ended(&fleet, "a.b-c").await.1["code"], "run_exists");
    cancel(&fleet, "a-b.c").await;
    assert_eq!(ended(&fleet, "a-b.c").await.0.kind, OutcomeKind::Cancelled);
    fleet.stop().await;
}

#[tokio::test]
async fn a_cancel_that_comes_first_keeps_the_run_from_beginning() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, chain()).await;
    cancel(&fleet, "cli.never").await;
    assert_eq!(ended(&fleet, "cli.never").await.0.kind, OutcomeKind::Cancelled);
    start(&fleet, "cli.never", json!({"workflow": "chain"})).await;
    wait_until("its start to be acked", DEADLINE, async || {
        let info = fleet.broker.consumer(assets::tasks_stream(&run_skill()), "normal".into()).await.ok()??;
        (info.delivered > 0 && info.pending + info.ack_pending == 0).then_some(())
    })
    .await;
    assert!(messages(&fleet, "cli-never").await.is_empty());
    fleet.stop().await;
}

#[tokio::test]
async fn a_restart_keeps_what_completed() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let fails = worker(&fleet, "echo", |input| {
        if input.get("b").is_some() {
            Err("broken".to_owned())
        } else {
            Ok(json!({"of": input, "pad": "x".repeat(20_000)}))
        }
    })
    .await;
    put(
        &fleet,
        json!({"workflow": "chain", "steps": {
            "a": {"task": {"skill": "echo", "input": "${input}"}},
            "b": {"task": {"skill": "echo", "input": {"a": "${steps.a.result.of}"}}},
            "c": {"task": {"skill": "echo", "input": {"b": "${steps.b.result.of}"}}}
        }, "result": "${steps.c.result}"}),
    )
    .await;
    start(&fleet, "cli.first", json!({"workflow": "chain", "input": 3})).await;
    assert_eq!(ended(&fleet, "cli.first").await.1["code"], "broken");
    fails.abort();
    let _ = fails.await;
    let works = echo_worker(&fleet).await;
    let restart = json!({"workflow": "chain", "restart": {"run": "cli-first", "same_input": true}});
    start(&fleet, "cli.second", restart).await;
    let (outcome, result) = ended(&fleet, "cli.second").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"b": {"a": 3}})));
    let transitions = history(&fleet, "cli-second").await;
    assert_eq!(transitions.len(), 2, "only the last step is done again: {transitions:#?}");
    works.abort();
    fleet.stop().await;
}
