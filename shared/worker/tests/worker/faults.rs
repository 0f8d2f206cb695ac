//! Lost receipts, lost acks, a broker that forgets: one outcome, and no run that could have been spared.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{Expect, Message};
use nova_types::{OutcomeKind, WorkerId};
use nova_wire::{AttemptRecord, Claim, assets};
use nova_worker::Worker;
use serde_json::json;

use crate::bed::Bed;
use crate::skills::{Does, does};

fn counts(runs: &Arc<AtomicU32>) -> Does {
    let runs = Arc::clone(runs);
    does("a", move |_, _| {
        runs.fetch_add(1, Ordering::SeqCst);
        async { Ok(json!("done")) }
    })
}

#[tokio::test(start_paused = true)]
async fn an_outcome_whose_receipt_is_lost_is_known_as_ours() {
    let bed = Bed::new("a = {}").await;
    bed.submit("a", "x", &[], "null").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 1, Worker::new().skill(counts(&runs)));
    bed.memory.faults().lose_receipts(1);
    bed.outcome("a", "x").await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(bed.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    assert_eq!(bed.count(assets::EVENTS, "nova.event.task.fenced.>").await, 0, "nobody is fenced by itself");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_ack_is_lost_is_not_run_again() {
    let bed = Bed::new("a = {}").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 1, Worker::new().skill(counts(&runs)));
    bed.memory.faults().lose_acks(1);
    let mut told = bed.broker.listen("nova.reply.cli.t".into(), None).await.expect("subscribed");
    bed.submit("a", "x", &[("Nova-Reply", "nova.reply.cli.t")], "null").await;
    bed.outcome("a", "x").await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "redelivered, found ended, acked unrun");
    worker.stop().await;
    // A worker killed after the outcome tells nobody: whoever finds the task ended tells again.
    for time in ["first", "again"] {
        let word = told.next().await.expect("the end is told");
        assert_eq!(&word.body[..], br#""done""#, "{time}");
        assert!(word.headers.get("Nova-Outcome").is_some(), "{time}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_acks_makes_nothing_run_twice() {
    let bed = Bed::new("a = {}").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 4, Worker::new().skill(counts(&runs)));
    for n in 0..20 {
        bed.submit("a", &format!("t{n}"), &[], "null").await;
    }
    bed.drained("a").await;
    let faults = bed.memory.faults();
    faults.disconnect();
    faults.forget_consumer_state(20);
    faults.reconnect();
    tokio::time::sleep(Duration::from_secs(60)).await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 20);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_costly_attempt_that_vanished_is_not_started_again() {
    let bed = Bed::new("a = { costly = true }").await;
    bed.submit("a", "x", &[], "null").await;
    // What a worker leaves that was killed after its claim.
    let claim =
        Claim { attempt: 1, worker: WorkerId::new("lost").expect("an id"), nonce: "n".into(), at: bed.memory.now() };
    let record = AttemptRecord { claim: Some(claim), ..AttemptRecord::default() };
    let message = Message::new("nova.attempt.a._.x", serde_json::to_vec(&record).expect("encodes"));
    bed.broker.publish(message, Expect::Any).await.expect("stored");

    let runs = Arc::new(AtomicU32::new(0));
    let heir = bed.start("heir", 1, Worker::new().skill(counts(&runs)));
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!(outcome.code.expect("a code").as_str(), "interrupted");
    bed.submit("a", "y", &[], "null").await;
    assert_eq!(bed.outcome("a", "y").await.0.kind, OutcomeKind::Completed);
    assert_eq!(bed.attempts("a", "y").await.claim.expect("a claim").worker.as_str(), "heir");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    heir.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_outcome_store_holds_the_task_until_there_is_room() {
    let bed = Bed::new("a = {}").await;
    let mut spec = bed.broker.stream(assets::OUTCOMES.into()).await.unwrap().unwrap().spec;
    let room = spec.max_messages;
    spec.max_messages = 1;
    spec.discard = nova_broker::Discard::New;
    bed.broker.put_stream(spec.clone()).await.unwrap();
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 2, Worker::new().skill(counts(&runs)));
    bed.submit("a", "x", &[], "null").await;
    bed.submit("a", "y", &[], "null").await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(bed.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    spec.max_messages = room;
    bed.broker.put_stream(spec).await.unwrap();
    bed.outcome("a", "x").await;
    bed.outcome("a", "y").await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 2, "each ran once, the held one too");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_queue_is_a_clear_error() {
    let bed = Bed::new("a = {}").await;
    let skill = does("b", |input, _| async move { Ok(input) });
    let refused = bed.start("w", 1, Worker::new().skill(skill)).worker.await.expect("no panic");
    let message = refused.expect_err("b has no queue").to_string();
    assert!(message.contains("skill `b` has no queue"), "{message}");
}
