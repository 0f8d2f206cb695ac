//! What happens to a run between its start and its end.

use nova_broker::{Expect, Message};
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, RunStatus, StepId, run_skill};
use nova_wire::{Headers, assets, name, subject};
use serde_json::json;

use super::support::{
    cancel, chain, copies, echo_worker, ended, ended_now, history, messages, order, put, skill, start, start_with,
    summary, until, worker,
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
    start(&fleet, "cli.fails", json!({"workflow": "chain"})).await;
    let (outcome, body) = ended(&fleet, "cli.fails").await;
    assert_eq!((outcome.kind, &body["code"]), (OutcomeKind::Dead, &json!("no_luck")));
    assert_eq!(body["details"], json!({"run": "cli-fails", "step": "a", "attempts": 1}));
    let failed = summary(&fleet, "cli-fails").await.expect("there");
    assert_eq!(failed.failed, Some(StepId::new("a").expect("a step")));
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
    let counter = self::worker(&fleet, "shell", |_| panic!("its input is too large to be inline")).await;
    start(&fleet, "cli.large", json!({"workflow": "large"})).await;
    let of = subject::task(&skill("shell"), nova_types::Priority::Normal);
    let task = wait_until("the task with all results", DEADLINE, async || {
        fleet.broker.last(assets::tasks_stream(&skill("shell")), of.clone()).await.ok()?
    })
    .await;
    counter.abort();
    let blob = nova_wire::BlobRef::parse(task.headers.get(name::BLOB).expect("a large input")).expect("a reference");
    let bytes = nova_broker::Blobs::new(fleet.broker.clone()).get(&blob).await.expect("stored");
    let input: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(input["each"][3]["n"], 5);
    assert!(messages(&fleet, "cli-large").await.iter().all(|stored| stored.body.len() < 16_000));
    worker.abort();
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
