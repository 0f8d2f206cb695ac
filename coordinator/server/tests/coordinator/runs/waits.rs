//! Runs that wait: for signals, moments, approvals, or to be resumed.

use nova_testkit::wait_until;
use nova_types::{OutcomeKind, RunStatus, run_skill};
use nova_wire::assets;
use serde_json::json;

use super::support::{copies, echo_worker, ended, ended_now, history, order, put, start, until};
use crate::support::{DEADLINE, Fleet, shows};

#[tokio::test]
async fn a_signal_may_come_before_its_run() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(
        &fleet,
        json!({"workflow": "waits", "steps": {
            "go": {"wait": {"signal": "go"}}
        }, "result": "${steps.go.result}"}),
    )
    .await;
    order(&fleet, "signal", "cli.early", json!({"signal": "go", "data": {"n": 1}, "by": "me"})).await;
    start(&fleet, "cli.early", json!({"workflow": "waits"})).await;
    let (outcome, result) = ended(&fleet, "cli.early").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"n": 1})));
    // And after it has begun to wait.
    start(&fleet, "cli.late", json!({"workflow": "waits"})).await;
    until(&fleet, "cli-late", "running", |summary| summary.n >= 1).await;
    order(&fleet, "signal", "cli.late", json!({"signal": "go"})).await;
    assert_eq!(ended(&fleet, "cli.late").await.1, json!(null));
    fleet.stop().await;
}

async fn fires(mut fleet: Fleet) {
    fleet.start("c1").await;
    put(
        &fleet,
        json!({"workflow": "sleeps", "steps": {
            "nap": {"wait": {"for": "500ms"}},
            "never": {"wait": {"signal": "never", "timeout": "300ms"}, "on_failure": "continue"}
        }, "result": {"late": "${steps.never.status}"}}),
    )
    .await;
    start(&fleet, "cli.naps", json!({"workflow": "sleeps"})).await;
    let (outcome, result) = ended(&fleet, "cli.naps").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"late": "failed"})));
    fleet.stop().await;
}

#[tokio::test]
async fn a_timer_moves_its_run() {
    fires(Fleet::real().await).await;
}

#[tokio::test]
async fn a_timer_moves_its_run_in_memory() {
    fires(Fleet::memory().await).await;
}

#[tokio::test]
async fn quiet_runs_note_what_they_did_and_leave_memory() {
    let mut fleet = Fleet::real().await;
    let parts = fleet.start("c1").await;
    put(&fleet, json!({"workflow": "waits", "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    for n in 0..20 {
        start(&fleet, &format!("cli.w{n}"), json!({"workflow": "waits"})).await;
    }
    for n in 0..20 {
        until(&fleet, &format!("cli-w{n}"), "noted", |summary| summary.n == 2).await;
    }
    wait_until("them to leave memory", DEADLINE, async || shows(&parts, "nova_runs_live 0").then_some(())).await;
    for n in 0..20 {
        order(&fleet, "signal", &format!("cli.w{n}"), json!({"signal": "go"})).await;
    }
    for n in 0..20 {
        ended(&fleet, &format!("cli.w{n}")).await;
        let transitions = history(&fleet, &format!("cli-w{n}")).await;
        assert_eq!((transitions[1].emitted, transitions[1].events.len()), (1, 0));
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_run_that_waits_can_be_asked_for_by_its_queue() {
    // The queue of runs is acked once a run has begun: nothing of it waits while the run does.
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, json!({"workflow": "waits", "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    start(&fleet, "cli.waits", json!({"workflow": "waits"})).await;
    wait_until("its start to be acked", DEADLINE, async || {
        let stream = assets::tasks_stream(&run_skill());
        let info = fleet.broker.consumer(stream, "normal".to_owned()).await.ok()??;
        (info.pending == 0 && info.ack_pending == 0 && info.delivered > 0).then_some(())
    })
    .await;
    assert!(ended_now(&fleet, "cli.waits").await.is_none());
    fleet.stop().await;
}

#[tokio::test]
async fn a_pause_holds_a_run_until_it_is_resumed() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let worker = echo_worker(&fleet).await;
    put(
        &fleet,
        json!({"workflow": "two", "steps": {
            "go": {"wait": {"signal": "go"}},
            "do": {"after": ["go"], "task": {"skill": "echo"}}
        }}),
    )
    .await;
    start(&fleet, "cli.held", json!({"workflow": "two"})).await;
    order(&fleet, "pause", "cli.held", json!({"by": "me"})).await;
    until(&fleet, "cli-held", "paused", |summary| summary.status == RunStatus::Paused).await;
    order(&fleet, "signal", "cli.held", json!({"signal": "go"})).await;
    until(&fleet, "cli-held", "done with the wait", |summary| summary.done == 1).await;
    assert!(copies(&fleet, "echo").await.is_empty());
    order(&fleet, "resume", "cli.held", json!({})).await;
    assert_eq!(ended(&fleet, "cli.held").await.0.kind, OutcomeKind::Completed);
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn an_approval_is_of_exactly_what_was_asked() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(
        &fleet,
        json!({"workflow": "asks", "steps": {
            "ok": {"wait": {"approval": {"of": {"deploy": "${input}"}, "ask": "deploy?"}}}
        }, "result": "${steps.ok.result}"}),
    )
    .await;
    start(&fleet, "cli.asks", json!({"workflow": "asks", "input": "v1"})).await;
    until(&fleet, "cli-asks", "waiting", |summary| summary.n >= 1).await;
    let hash = history(&fleet, "cli-asks").await.iter().find_map(|transition| {
        transition.decisions.iter().find_map(|decision| match decision {
            nova_workflow::Decision::Wait { hash, .. } => hash.clone(),
            _ => None,
        })
    });
    let hash = hash.expect("a hash to approve");
    order(&fleet, "approve", "cli.asks", json!({"step": "ok", "hash": "0".repeat(64), "by": "eve"})).await;
    order(&fleet, "approve", "cli.asks", json!({"step": "ok", "hash": hash, "by": "ann"})).await;
    let (outcome, result) = ended(&fleet, "cli.asks").await;
    assert_eq!((outcome.kind, &result["by"]), (OutcomeKind::Completed, &json!("ann")), "{result}");
    fleet.stop().await;
}
