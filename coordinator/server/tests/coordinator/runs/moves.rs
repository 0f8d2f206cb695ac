//! What happens to a run between its start and its end.

use nova_broker::{Expect, Message};
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, RunStatus};
use nova_wire::{Headers, assets, name, subject};
use serde_json::json;

use super::support::{
    chain, copies, echo_worker, ended, history, messages, order, put, skill, start, start_with, summary, until, worker,
};
use crate::support::{DEADLINE, Fleet, shows};

async fn runs_a_chain(mut fleet: Fleet) {
    let parts = fleet.start("c1").await;
    let worker = echo_worker(&fleet).await;
    let hash = put(&fleet, chain()).await;
    let mut told = fleet.broker.listen("nova.reply.cli.x".into(), None).await.expect("listening");
    let headers = Headers::new().with(name::MSG_ID, "cli.one").with(name::REPLY, "nova.reply.cli.x");
    let headers = headers.with(name::LABELS, "team=a").with(name::TRACEPARENT, "00-aa-bb-01");
    start_with(&fleet, headers, json!({"workflow": "chain", "input": 7})).await;
    let (outcome, result) = ended(&fleet, "cli.one").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!({"b": {"a": 7}})));
    let reply = futures_util::StreamExt::next(&mut told).await.expect("the reply");
    assert_eq!(&reply.body[..], br#"{"b":{"a":7}}"#);
    let transitions = history(&fleet, "cli-one").await;
    assert_eq!(transitions.len(), 4, "{transitions:#?}");
    let summary = summary(&fleet, "cli-one").await.expect("a summary");
    assert_eq!((summary.status, summary.done, summary.total), (RunStatus::Completed, 3, 3));
    assert_eq!((summary.version, summary.labels["team"].as_str()), (hash, "a"));
    assert!(copies(&fleet, "echo").await.values().all(|count| *count == 1));
    wait_until("the metrics", DEADLINE, async || {
        shows(&parts, r#"nova_runs_ended_total{status="completed"} 1"#).then_some(())
    })
    .await;
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_chain_ends_with_its_result() {
    runs_a_chain(Fleet::real().await).await;
}

#[tokio::test]
async fn a_chain_ends_with_its_result_in_memory() {
    runs_a_chain(Fleet::memory().await).await;
}

async fn maps(mut fleet: Fleet, coordinators: usize, count: u32) {
    for n in 0..coordinators {
        fleet.start(&format!("c{n}")).await;
    }
    let worker = echo_worker(&fleet).await;
    put(
        &fleet,
        json!({"workflow": "wide", "steps": {
            "each": {"map": {"over": "input", "do": {"skill": "echo", "input": {"n": "${item}", "pad": "x".repeat(200)}}}}
        }, "result": "${steps.each.result.map(r, r.n)}"}),
    )
    .await;
    let items: Vec<u32> = (0..count).collect();
    start(&fleet, "cli.wide", json!({"workflow": "wide", "input": items})).await;
    let (outcome, result) = ended(&fleet, "cli.wide").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!(items)));
    history(&fleet, "cli-wide").await;
    let copies = copies(&fleet, "echo").await;
    assert_eq!(copies.len(), items.len());
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_map_counts_every_item() {
    maps(Fleet::real().await, 1, 500).await;
}

#[tokio::test]
async fn a_map_counts_every_item_in_memory() {
    maps(Fleet::memory().await, 1, 500).await;
}

#[tokio::test]
async fn three_coordinators_move_one_run_together() {
    maps(Fleet::real().await, 3, 300).await;
}

#[tokio::test]
async fn two_coordinators_move_many_runs() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    fleet.start("c2").await;
    let worker = echo_worker(&fleet).await;
    put(&fleet, chain()).await;
    for n in 0..50 {
        start(&fleet, &format!("cli.r{n}"), json!({"workflow": "chain", "input": n})).await;
    }
    for n in 0..50 {
        let (_, result) = ended(&fleet, &format!("cli.r{n}")).await;
        assert_eq!(result, json!({"b": {"a": n}}));
        history(&fleet, &format!("cli-r{n}")).await;
    }
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_redelivered_outcome_counts_once() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    put(&fleet, chain()).await;
    let worker = echo_worker(&fleet).await;
    start(&fleet, "cli.twice", json!({"workflow": "chain", "input": 1})).await;
    ended(&fleet, "cli.twice").await;
    let before = messages(&fleet, "cli-twice").await.len();
    // The same outcome stored once more is delivered once more.
    let of = "nova.outcome.echo.*.*".to_owned();
    let stored = fleet.broker.scan(nova_broker::Scan::all(assets::OUTCOMES, of, 1)).await.expect("readable");
    let mut headers = stored[0].headers.clone();
    headers.retain(|key| !key.starts_with("Nats-"));
    let again = Message::new(stored[0].subject.clone(), stored[0].body.clone()).with_headers(headers);
    fleet.broker.publish(again, Expect::Any).await.expect("stored");
    wait_until("it to be acked", DEADLINE, async || {
        let mut open = 0;
        for partition in 0..4 {
            let consumer = assets::run_consumer(partition);
            let info = fleet.broker.consumer(assets::OUTCOMES.into(), consumer).await.ok()??;
            open += info.pending + info.ack_pending;
        }
        (open == 0).then_some(())
    })
    .await;
    assert_eq!(messages(&fleet, "cli-twice").await.len(), before);
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_child_run_is_a_task_like_any_other() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    fleet.start("c2").await;
    let worker = echo_worker(&fleet).await;
    put(&fleet, chain()).await;
    put(
        &fleet,
        json!({"workflow": "parent", "steps": {
            "child": {"run": {"workflow": "chain", "input": 5}}
        }, "result": "${steps.child.result}"}),
    )
    .await;
    start(&fleet, "cli.parent", json!({"workflow": "parent"})).await;
    assert_eq!(ended(&fleet, "cli.parent").await.1, json!({"b": {"a": 5}}));
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_workflow_that_starts_itself_ends_as_too_deep() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    put(&fleet, json!({"workflow": "again", "steps": {"again": {"run": {"workflow": "again"}}}})).await;
    start(&fleet, "cli.again", json!({"workflow": "again"})).await;
    let (outcome, error) = ended(&fleet, "cli.again").await;
    assert_eq!((outcome.kind, error["code"].as_str()), (OutcomeKind::Dead, Some("too_deep")), "{error}");
    let starts = copies(&fleet, "nova-run").await;
    assert_eq!(starts.len(), 18, "the first, 16 below it, and the one refused: {starts:?}");
    // Only Nova sets the header; what it cannot be is refused, not taken for 0.
    let headers = Headers::new().with(name::MSG_ID, "cli.odd").with(name::DEPTH, "-1");
    start_with(&fleet, headers, json!({"workflow": "again"})).await;
    assert_eq!(ended(&fleet, "cli.odd").await.1["code"], "too_deep");
    fleet.stop().await;
}

#[tokio::test]
async fn large_results_stay_out_of_the_history() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let worker = worker(&fleet, "echo", |n| Ok(json!({"n": n, "text": "x".repeat(100_000)}))).await;
    put(
        &fleet,
        json!({"workflow": "large", "steps": {
            "a": {"task": {"skill": "echo", "input": 1}},
            "each": {"map": {"over": "[1, 2, 3, 4]", "do": {"skill": "echo", "input": "${steps.a.result.n + item}"}}},
            "all": {"task": {"skill": "shell", "input": {"a": "${steps.a.result}", "each": "${steps.each.result}"}}}
        }, "result": "${steps.all.result}"}),
    )
    .await;
    start(&fleet, "cli.large", json!({"workflow": "large"})).await;
    let of = subject::task(&skill("shell"), nova_types::Priority::Normal);
    let task = wait_until("the task with all results", DEADLINE, async || {
        fleet.broker.last(assets::tasks_stream(&skill("shell")), of.clone()).await.ok()?
    })
    .await;
    let blob = nova_wire::BlobRef::parse(task.headers.get(name::BLOB).expect("a large input")).expect("a reference");
    let bytes = nova_broker::Blobs::new(fleet.broker.clone()).get(&blob).await.expect("stored");
    let input: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(input["each"][3]["n"], 5);
    assert!(messages(&fleet, "cli-large").await.iter().all(|stored| stored.body.len() < 16_000));
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_long_run_goes_on_from_its_snapshot() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let worker = echo_worker(&fleet).await;
    put(
        &fleet,
        json!({"workflow": "long", "steps": {
            "count": {"loop": {"do": {"skill": "echo", "input": "${index}"}, "until": "result == 120", "max": 200}},
            "go": {"after": ["count"], "wait": {"signal": "go"}}
        }, "result": "${steps.count.result}"}),
    )
    .await;
    start(&fleet, "cli.long", json!({"workflow": "long"})).await;
    until(&fleet, "cli-long", "done counting", |summary| summary.done == 1).await;
    let snapshots = fleet.broker.scan(nova_broker::Scan::all(assets::RUNS, "nova.snap.*.cli-long", 10)).await;
    assert_eq!(snapshots.expect("readable").len(), 1, "one takes the place of the other");
    fleet.stop().await;
    fleet.start("c2").await;
    order(&fleet, "signal", "cli.long", json!({"signal": "go"})).await;
    let (outcome, result) = ended(&fleet, "cli.long").await;
    assert_eq!((outcome.kind, result), (OutcomeKind::Completed, json!(120)));
    history(&fleet, "cli-long").await;
    worker.abort();
    fleet.stop().await;
}
