//! Runs: started as tasks, steered by orders, listed and followed from their history.

use futures_util::StreamExt as _;
use nova_broker::{Expect, Message};
use nova_client::{Answer, RunFilter, StartRun};
use nova_types::{RunId, RunStatus, TaskId, UnixMillis, run_skill};
use nova_wire::{Headers, RunSummary, assets, name, subject};
use nova_workflow::{Decision, Order, Restart, StartRequest, Transition};

use crate::support::{DEADLINE, Fleet, on_both};

/// The n-th transition of a run, as a coordinator writes it.
async fn append(fleet: &Fleet, run: &str, workflow: &str, n: u64, status: RunStatus) -> u64 {
    let task: TaskId = format!("_.{run}").parse().expect("an id");
    let run = RunId::of(&task);
    let summary = RunSummary {
        status,
        run: run.clone(),
        workflow: workflow.parse().expect("a name"),
        version: "1f".into(),
        n,
        task,
        key: Some(format!("key-{run}")),
        started: UnixMillis(1_000),
        ended: status.is_ended().then_some(UnixMillis(2_000)),
        done: 0,
        total: 1,
        failed: None,
        parent: None,
        restart_of: None,
        labels: [("run".to_owned(), run.to_string())].into(),
    };
    let at = UnixMillis(1_000);
    let decisions = vec![Decision::Status(status)];
    let transition = Transition { v: 1, n, at, events: vec![], decisions, emitted: 0 };
    let body = serde_json::to_vec(&transition).expect("encodes");
    let headers = Headers::new().with(name::TRANSITION, summary.to_header());
    let message = Message::new(subject::run(run.partition(4), &run), body).with_headers(headers);
    fleet.broker.publish(message, Expect::Any).await.expect("stored").sequence
}

async fn a_run_is_started_as_a_task(fleet: Fleet) {
    fleet.add_skill(&run_skill(), -1).await;
    let start = StartRun::new("w".parse().expect("a name"), &serde_json::json!({"a": 1})).expect("encodes");
    let start = start.with_id("cli.one".parse::<TaskId>().expect("an id"));
    let started = fleet.client.start_run(start.clone()).await.expect("stored");
    assert_eq!((started.run.as_str(), started.is_duplicate), ("cli-one", false));
    assert!(fleet.client.start_run(start).await.expect("stored").is_duplicate);
    let mut worker = fleet.worker();
    worker.skill = run_skill();
    let (task, delivery) = worker.take_one().await;
    let request: StartRequest = serde_json::from_slice(&task.payload.bytes).expect("the contract's body");
    assert_eq!((request.workflow.as_str(), request.input["a"].as_i64()), ("w", Some(1)));
    worker.echo(&task, &delivery).await;
    let ended = fleet.client.wait_run(&started.task, DEADLINE).await.expect("it ends");
    assert_eq!(ended.outcome.skill, run_skill());
}

async fn orders_are_stored_under_the_runs_task(fleet: Fleet) {
    let task: TaskId = "cli.one".parse().expect("an id");
    let client = &fleet.client;
    let answer = Answer { step: "ask".parse().expect("a step"), hash: "5e".into(), by: Some("me".into()), note: None };
    let signal = client.signal(&task, "paid", serde_json::json!(7), None).await.expect("stored");
    let approve = client.approve(&task, answer.clone()).await.expect("stored");
    client.reject(&task, answer).await.expect("stored");
    client.pause_run(&task).await.expect("stored");
    client.resume_run(&task).await.expect("stored");
    assert!(signal.sequence < approve.sequence);
    let scan = nova_broker::Scan::all(assets::RUNS, subject::orders_of(&task), 10);
    let stored = fleet.broker.scan(scan).await.expect("read");
    let verbs: Vec<&str> = stored.iter().filter_map(|one| Some(subject::parse_order(&one.subject)?.0)).collect();
    assert_eq!(verbs, ["signal", "approve", "reject", "pause", "resume"]);
    let order: Order = serde_json::from_slice(&stored[1].body).expect("the contract's body");
    assert_eq!((order.hash.as_deref(), order.by.as_deref()), (Some("5e"), Some("me")));
}

async fn a_list_has_each_run_once_as_it_last_was(fleet: Fleet) {
    for (n, status) in [(1, RunStatus::Running), (2, RunStatus::Paused)] {
        append(&fleet, "a", "w", n, status).await;
        append(&fleet, "b", "v", n, status).await;
    }
    append(&fleet, "b", "v", 3, RunStatus::Failed).await;
    append(&fleet, "c", "w", 1, RunStatus::Running).await;
    let listed = async |filter: RunFilter| -> Vec<String> {
        let rows = fleet.client.runs(&filter).await.expect("read");
        rows.iter().map(|row| format!("{}={}", row.summary.run, row.summary.status)).collect()
    };
    let all = RunFilter::default();
    assert_eq!(listed(all.clone()).await, ["c=running", "b=failed", "a=paused"]);
    assert_eq!(listed(RunFilter { limit: 1, ..all.clone() }).await, ["c=running"]);
    assert_eq!(listed(RunFilter { statuses: vec![RunStatus::Running], ..all.clone() }).await, ["c=running"]);
    assert_eq!(listed(RunFilter { workflow: Some("v".parse().expect("a name")), ..all.clone() }).await, ["b=failed"]);
    assert_eq!(listed(RunFilter { key: Some("key-a".into()), ..all.clone() }).await, ["a=paused"]);
    let labels = [("run".to_owned(), "c".to_owned())].into();
    assert_eq!(listed(RunFilter { labels, ..all.clone() }).await, ["c=running"]);
    assert!(listed(RunFilter { until: Some(UnixMillis(1_000)), ..all.clone() }).await.is_empty());
    // Of the newest message alone only its run is found, and what was left out is told; not when there was enough.
    let seek = async |filter: RunFilter| fleet.client.seek_runs(&filter, |_| {}).await.expect("read");
    let newest = seek(RunFilter { depth: 1, ..all.clone() }).await;
    assert_eq!((newest.rows.len(), newest.is_cut, newest.sought.map(|sought| sought.transitions)), (1, true, Some(1)));
    assert!(!seek(RunFilter { depth: 1, limit: 1, ..all.clone() }).await.is_cut);
    assert!(!seek(all).await.is_cut);
}

async fn more_runs_than_a_page_are_all_listed(fleet: Fleet) {
    let runs = (0..1_300).map(|n| {
        let fleet = &fleet;
        async move { append(fleet, &format!("run-{n}"), "w", 1, RunStatus::Running).await }
    });
    futures_util::stream::iter(runs).buffer_unordered(128).collect::<Vec<_>>().await;
    let rows = fleet.client.runs(&RunFilter { limit: usize::MAX, ..RunFilter::default() }).await.expect("read");
    assert_eq!(rows.len(), 1_300);
}

async fn a_follower_is_told_every_transition_in_order_and_ends_with_the_run(fleet: Fleet) {
    let run: RunId = "a".parse().expect("a run");
    append(&fleet, "a", "w", 1, RunStatus::Running).await;
    let mut feed = fleet.client.follow_run(&run).await.expect("it can listen");
    let first = feed.next().await.expect("the past is told").expect("readable");
    assert_eq!(first.transition.n, 1);
    // It waits now; what comes must wake it long before it would look of its own.
    let began = std::time::Instant::now();
    for n in 2..=40 {
        append(&fleet, "a", "w", n, RunStatus::Running).await;
        append(&fleet, "other", "w", n, RunStatus::Running).await;
    }
    append(&fleet, "a", "w", 41, RunStatus::Completed).await;
    let told: Vec<u64> = feed.map(|one| one.expect("readable").transition.n).collect().await;
    assert_eq!(told, (2..=41).collect::<Vec<_>>());
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

async fn the_end_of_a_run_can_be_followed_from_a_sequence(fleet: Fleet) {
    let run: RunId = "a".parse().expect("a run");
    append(&fleet, "a", "w", 1, RunStatus::Running).await;
    let at = append(&fleet, "a", "w", 2, RunStatus::Running).await;
    append(&fleet, "a", "w", 3, RunStatus::Cancelled).await;
    let feed = fleet.client.follow_run_from(&run, at + 1).await.expect("it can listen");
    let told: Vec<u64> = feed.map(|one| one.expect("readable").transition.n).collect().await;
    assert_eq!(told, [3]);
    let history = fleet.client.run_history(&run).await.expect("read");
    assert_eq!(history.iter().map(|one| one.transition.n).collect::<Vec<_>>(), [1, 2, 3]);
}

async fn a_record_of_a_later_version_is_not_guessed_at(fleet: Fleet) {
    let run: RunId = "a".parse().expect("a run");
    append(&fleet, "a", "w", 1, RunStatus::Running).await;
    let row = fleet.client.run_summary(&run).await.expect("read");
    let headers = Headers::new().with(name::TRANSITION, RunSummary { n: 2, ..row.summary }.to_header());
    let message = Message::new(subject::run(run.partition(4), &run), r#"{"v":2,"new":true}"#).with_headers(headers);
    fleet.broker.publish(message, Expect::Any).await.expect("stored");
    let refused = fleet.client.run_history(&run).await.expect_err("its body is unknown");
    assert_eq!((refused.code(), refused.is_transient()), ("garbled_record", false));
    assert_eq!(fleet.client.run_summary(&run).await.expect("its header is not").summary.n, 2);
}

async fn a_restart_is_pinned_to_the_earlier_runs_version(fleet: Fleet) {
    append(&fleet, "a", "w", 1, RunStatus::Failed).await;
    let restart = Restart { run: "a".parse().expect("a run"), from: vec![], same_input: true };
    let start = fleet.client.restart_run(restart.clone(), serde_json::Value::Null, None).await.expect("it is known");
    assert_eq!((start.request.workflow.as_str(), start.request.version.as_deref()), ("w", Some("1f")));
    assert_eq!(start.request.restart, Some(restart));
    let restart = Restart { run: "b".parse().expect("a run"), from: vec![], same_input: true };
    let unknown = fleet.client.restart_run(restart, serde_json::Value::Null, None).await.expect_err("no such run");
    assert_eq!(unknown.code(), "unknown_run");
}

on_both!(
    a_run_is_started_as_a_task,
    orders_are_stored_under_the_runs_task,
    a_list_has_each_run_once_as_it_last_was,
    more_runs_than_a_page_are_all_listed,
    a_follower_is_told_every_transition_in_order_and_ends_with_the_run,
    the_end_of_a_run_can_be_followed_from_a_sequence,
    a_record_of_a_later_version_is_not_guessed_at,
    a_restart_is_pinned_to_the_earlier_runs_version,
);
