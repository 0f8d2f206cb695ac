//! Bundles that are broken off: what is settled stands, what is left runs again, and no end is lost.

use std::time::Duration;

use nova_broker::{Expect, Message};
use nova_types::ItemCount;
use nova_wire::{Headers, Payload, assets, name, read_ends};
use nova_worker::Worker;
use serde_json::json;

use super::{Runs, letter, skill, submit, times, told};
use crate::bed::Bed;

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_leaves_what_is_not_settled() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let (victim, faults) = bed.start_apart("victim", 1, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, { "fails": 1 }, { "takes": 40 }, 4]), &[]).await;
    // More than a lease into the third item: what came before it is kept.
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert_eq!(runs.lock().unwrap().len(), 3);
    faults.disconnect();
    let heir = bed.start("heir", 1, Worker::new().skill(skill(&runs)));
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!(outcome.worker.expect("a worker").as_str(), "heir");
    assert_eq!(told(&stored), ["2@1", "\"at last\"@2", "\"slow\"@1", "8@1"]);
    assert_eq!((times(&runs, 0), times(&runs, 1)), (1, 3), "the failure of an attempt that was lost does not count");
    assert_eq!(bed.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    heir.stop().await;
    victim.shutdown.stop_hard();
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_hands_back_what_is_left_and_uses_up_no_attempt() {
    let bed = Bed::new("a = { max_attempts = 1 }").await;
    let runs = Runs::default();
    let first = bed.start("first", 1, Worker::new().skill(skill(&runs)));
    submit(&bed, "x", &json!([1, { "takes": 30 }, 3]), &[]).await;
    while runs.lock().unwrap().len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    first.shutdown.stop_hard();
    first.worker.await.expect("no panic").expect("a clean end");
    let second = bed.start("second", 1, Worker::new().skill(skill(&runs)));
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.attempt, outcome.worker.expect("a worker").as_str()), (1, "second"));
    assert_eq!(told(&stored), ["2@1", "\"slow\"@1", "6@1"]);
    assert_eq!((times(&runs, 0), times(&runs, 1), times(&runs, 2)), (1, 2, 1));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_what_is_left_and_keeps_what_is_settled() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    let deadline = nova_wire::format_rfc3339(bed.memory.now().plus(Duration::from_secs(20)));
    let items = json!([1, { "takes": 30 }, 3]);
    submit(&bed, "x", &items, &[(name::DEADLINE, &deadline)]).await;
    let (_, stored) = bed.outcome("a", "x").await;
    assert_eq!(told(&stored), ["2@1", "dead expired@1", "dead expired@0"]);
    worker.stop().await;

    // Passed while nobody was there: what an earlier attempt settled is not done again, nor lost.
    let runs = Runs::default();
    let (victim, faults) = bed.start_apart("victim", 1, Worker::new().skill(skill(&runs)));
    let deadline = nova_wire::format_rfc3339(bed.memory.now().plus(Duration::from_secs(20)));
    submit(&bed, "y", &json!([1, { "takes": 30 }]), &[(name::DEADLINE, &deadline)]).await;
    tokio::time::sleep(Duration::from_secs(15)).await;
    faults.disconnect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let heir = bed.start("heir", 1, Worker::new().skill(skill(&Runs::default())));
    let (outcome, stored) = bed.outcome("a", "y").await;
    assert_eq!(outcome.items, Some(ItemCount { items: 2, failed: 1, cancelled: 0 }));
    assert_eq!(told(&stored), ["2@1", "dead expired@0"]);
    bed.drained("a").await;
    let letter = letter(&bed, "y").await;
    assert_eq!((letter.code.as_str(), &letter.body[..]), ("expired", &br#"[{"takes":30}]"#[..]));
    heir.stop().await;
    victim.shutdown.stop_hard();
}

#[tokio::test(start_paused = true)]
async fn much_that_is_settled_is_kept_beside_the_record() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    let mut items = vec![json!("x".repeat(3000)); 100];
    items[50] = json!({ "fails": 1 });
    submit(&bed, "x", &json!(items), &[]).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.attempt, outcome.items.expect("counted").failed), (2, 0));
    assert_eq!((times(&runs, 49), times(&runs, 50)), (1, 2));
    let state = bed.attempts("a", "x").await.bundle.expect("settled");
    assert!(state.blob.is_some() && state.ends.is_empty());
    let blob = nova_wire::BlobRef::parse(stored.headers.get(name::BLOB).expect("it is large")).expect("well formed");
    let body = nova_broker::Blobs::new(bed.broker.clone()).get(&blob).await.expect("all of it");
    let ends = read_ends(&Payload::json(body)).expect("ends");
    assert_eq!(ends[50].body.to_json().expect("a value"), json!("at last"));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_missing_behind_an_outcome_is_made_from_it() {
    let bed = Bed::new("a = {}").await;
    submit(&bed, "x", &json!([1, "reject", 3]), &[]).await;
    // What a worker leaves that was killed between the outcome and the letter.
    let header = r#"completed;task="_.x";skill="a";attempt=1;worker="lost";nonce="n";finished=1;items=3;failed=1"#;
    let body = r#"[{"result":2},{"error":{"code":"bad","message":"never"}},{"result":6}]"#;
    let outcome = Message::new("nova.outcome.a._.x", body).with_headers(Headers::new().with(name::OUTCOME, header));
    bed.broker.publish(outcome, Expect::NOTHING).await.expect("stored");
    let runs = Runs::default();
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    bed.drained("a").await;
    let letter = letter(&bed, "x").await;
    assert_eq!((letter.code.as_str(), &letter.body[..]), ("bad", &br#"["reject"]"#[..]));
    assert_eq!(letter.headers.get(name::ITEMS), Some("1"));
    assert!(runs.lock().unwrap().is_empty(), "what has its outcome is not run");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_whose_receipt_is_lost_runs_nothing_again() {
    let bed = Bed::new("a = {}").await;
    let runs = Runs::default();
    submit(&bed, "x", &json!([1, "reject"]), &[]).await;
    bed.memory.faults().lose_receipts(3);
    let worker = bed.start("w", 1, Worker::new().skill(skill(&runs)));
    bed.outcome("a", "x").await;
    bed.drained("a").await;
    assert_eq!(runs.lock().unwrap().len(), 2);
    assert_eq!(bed.count(assets::DEAD, "nova.dead.>").await, 1);
    worker.stop().await;
}
