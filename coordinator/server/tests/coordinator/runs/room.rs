//! Room for the runs of a workflow, and what becomes of old ones.

use nova_broker::{Bucket, Expect, Message};
use nova_coordinator::CoordinatorConfig;
use nova_testkit::{Process, wait_until};
use nova_types::{Outcome, OutcomeKind, RunStatus, UnixMillis, Usage, run_skill};
use nova_wire::{Headers, assets, name, subject, write_outcome};
use serde_json::json;

use super::crashes::program;
use super::support::{cancel, ended, messages, order, put, start, summary, until};
use crate::support::{DEADLINE, Fleet};

async fn caps(mut fleet: Fleet) {
    fleet.start("c1").await;
    fleet.start("c2").await;
    put(&fleet, json!({"workflow": "narrow", "runs": 2, "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    for n in 0..6 {
        start(&fleet, &format!("cli.n{n}"), json!({"workflow": "narrow"})).await;
        until(&fleet, &format!("cli-n{n}"), "there", |_| true).await;
    }
    let is = |status| move |summary: &nova_wire::RunSummary| summary.status == status;
    for n in 0..6 {
        let status = if n < 2 { RunStatus::Running } else { RunStatus::Queued };
        until(&fleet, &format!("cli-n{n}"), status.as_str(), is(status)).await;
    }
    // One that waits may end as well, and one that ends makes room for the next in line.
    cancel(&fleet, "cli.n2").await;
    ended(&fleet, "cli.n2").await;
    order(&fleet, "signal", "cli.n0", json!({"signal": "go"})).await;
    until(&fleet, "cli-n3", "running", is(RunStatus::Running)).await;
    assert_eq!(summary(&fleet, "cli-n4").await.expect("there").status, RunStatus::Queued);
    for n in [1, 3, 4, 5] {
        order(&fleet, "signal", &format!("cli.n{n}"), json!({"signal": "go"})).await;
    }
    for n in [1, 3, 4, 5] {
        ended(&fleet, &format!("cli.n{n}")).await;
    }
    let bucket = Bucket::new(fleet.broker.clone(), assets::WORKFLOWS_BUCKET);
    wait_until("all room to be free", DEADLINE, async || {
        let slots = bucket.get("slots.narrow").await.ok()??;
        let slots: serde_json::Value = serde_json::from_slice(&slots.value).ok()?;
        let waiting = bucket.entries_of("wait.narrow.*").await.ok()?;
        (slots["runs"] == json!([]) && waiting.is_empty()).then_some(())
    })
    .await;
    fleet.stop().await;
}

#[tokio::test]
async fn no_more_runs_are_under_way_than_there_is_room_for() {
    caps(Fleet::real().await).await;
}

#[tokio::test]
async fn no_more_runs_are_under_way_than_there_is_room_for_in_memory() {
    caps(Fleet::memory().await).await;
}

#[tokio::test]
async fn a_start_that_never_became_a_run_gives_its_room_back() {
    let mut fleet = Fleet::real().await;
    put(&fleet, json!({"workflow": "single", "runs": 1, "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    let mut child = Process::spawn("nova-coordinator", program(&fleet.server().url(), "run-claimed=kill@1"));
    start(&fleet, "cli.lost", json!({"workflow": "single"})).await;
    assert!(!child.wait_exit(DEADLINE).await.success(), "it dies with the room taken");
    // Before another comes to it, someone has cancelled it.
    let now = UnixMillis(1_795_370_000_000);
    let outcome = Outcome {
        kind: OutcomeKind::Cancelled,
        task: "cli.lost".parse().expect("an id"),
        skill: run_skill(),
        attempt: 0,
        worker: None,
        nonce: None,
        submitted: None,
        started: None,
        finished: now,
        code: Some("cancelled".into()),
        usage: Usage::default(),
        items: None,
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(&run_skill(), &outcome.task), "{}").with_headers(headers);
    fleet.broker.publish(record, Expect::NOTHING).await.expect("stored");
    fleet.start("c2").await;
    start(&fleet, "cli.next", json!({"workflow": "single"})).await;
    until(&fleet, "cli-next", "running", |summary| summary.status == RunStatus::Running).await;
    fleet.stop().await;
}

#[tokio::test]
async fn only_ended_runs_grow_too_old() {
    let mut fleet = Fleet::real().await;
    let config = CoordinatorConfig { runs_secs: 2, sweep_secs: 1, leader_secs: 3, ..CoordinatorConfig::default() };
    fleet.start_with("c1", config).await;
    put(&fleet, json!({"workflow": "waits", "steps": {"go": {"wait": {"signal": "go"}}}})).await;
    for id in ["cli.open", "cli.ends"] {
        start(&fleet, id, json!({"workflow": "waits"})).await;
    }
    order(&fleet, "signal", "cli.ends", json!({"signal": "go"})).await;
    ended(&fleet, "cli.ends").await;
    wait_until("the ended run to be deleted", DEADLINE, async || {
        messages(&fleet, "cli-ends").await.is_empty().then_some(())
    })
    .await;
    let orders = fleet.broker.last(assets::RUNS.into(), "nova.order.signal.cli.ends".into()).await;
    assert_eq!(orders.expect("readable"), None);
    assert!(!messages(&fleet, "cli-open").await.is_empty());
    order(&fleet, "signal", "cli.open", json!({"signal": "go"})).await;
    ended(&fleet, "cli.open").await;
    fleet.stop().await;
}
