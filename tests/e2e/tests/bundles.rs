//! Workers killed and stopped in the middle of a bundle: every item ends once, and nothing is lost.

use std::path::Path;

use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{ItemCount, OutcomeKind};
use nova_wire::{Payload, assets, read_ends};
use serde_json::{Value, json};

const ITEMS: u32 = 100;

fn items() -> String {
    let items: Vec<u32> = (0..ITEMS).collect();
    json!(items).to_string()
}

/// A worker that reaches a failpoint says so by a file before it acts.
async fn reached(marks: &Path, point: &str) {
    wait_until(format!("failpoint {point}"), PATIENCE, || async {
        let names = std::fs::read_dir(marks).ok()?.flatten().map(|entry| entry.file_name());
        names.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with(point)).map(|_| ())
    })
    .await;
}

/// Submits a bundle as any NATS client would.
async fn submit(fleet: &Fleet, id: &str) {
    let headers = [("Nats-Msg-Id", id), ("Nova-Bundle", "100")];
    let receipt = fleet.request("nova.task.echo", &headers, items()).await;
    assert!(receipt.contains("NOVA_TASKS_echo"), "{receipt}");
}

/// The outcome of the bundle: every item with its own result, by that worker.
async fn ended_whole(fleet: &Fleet, id: &str, by: &str) {
    let (outcome, stored) = fleet.outcome("echo", id).await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1), "a crash uses up no attempt");
    assert_eq!(outcome.items, Some(ItemCount { items: ITEMS, failed: 0, cancelled: 0 }));
    assert_eq!(outcome.worker.expect("a worker recorded it").as_str(), by);
    let ends = read_ends(&Payload::json(stored.body)).expect("the ends of items");
    let results: Vec<Value> = ends.iter().map(|end| end.body.to_json().expect("a result")).collect();
    assert_eq!(Value::Array(results).to_string(), items(), "in the order of the items");
    fleet.drained("echo").await;
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    assert_eq!(fleet.count(assets::DEAD, "nova.dead.>").await, 0);
}

#[tokio::test]
async fn a_worker_killed_in_the_middle_of_a_bundle_loses_no_item() {
    let mut fleet = Fleet::start().await;
    let marks = tempfile::tempdir().expect("a directory");
    let mark = marks.path().to_str().expect("UTF-8");
    let env = [("NOVA_FAILPOINT", "item-ended=kill@40"), ("NOVA_FAILPOINT_MARK", mark)];
    let victim = fleet.worker("echo", "victim", &env).await;
    submit(&fleet, "b").await;
    reached(marks.path(), "item-ended").await;
    assert!(!fleet.process(victim).wait_exit(PATIENCE).await.success(), "the victim was killed");
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 0);
    fleet.worker("echo", "heir", &[]).await;
    ended_whole(&fleet, "_.b", "heir").await;
}

#[tokio::test]
async fn a_worker_that_wakes_in_the_middle_of_a_bundle_is_fenced() {
    let mut fleet = Fleet::start().await;
    let marks = tempfile::tempdir().expect("a directory");
    let mark = marks.path().to_str().expect("UTF-8");
    let env = [("NOVA_FAILPOINT", "item-ended=stop@40"), ("NOVA_FAILPOINT_MARK", mark)];
    let zombie = fleet.worker("echo", "zombie", &env).await;
    submit(&fleet, "b").await;
    reached(marks.path(), "item-ended").await;
    fleet.worker("echo", "heir", &[]).await;
    fleet.outcome("echo", "_.b").await;
    fleet.process(zombie).cont();
    wait_until("the event that the zombie was fenced", PATIENCE, || async {
        let subject = "nova.event.task.fenced.echo._.b".to_owned();
        fleet.broker.last(assets::EVENTS.to_owned(), subject).await.ok()?
    })
    .await;
    ended_whole(&fleet, "_.b", "heir").await;
}

#[tokio::test]
async fn what_is_no_bundle_is_a_dead_letter_and_holds_up_nobody() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w", &[]).await;
    fleet.request("nova.task.echo", &[("Nats-Msg-Id", "bad"), ("Nova-Bundle", "3")], "[1,2]").await;
    let (outcome, _) = fleet.outcome("echo", "_.bad").await;
    assert_eq!(outcome.code.expect("a code").as_str(), "bad_bundle");
    fleet.drained("echo").await;
    assert_eq!(fleet.count(assets::DEAD, "nova.dead.echo._.bad").await, 1);
}
