//! Two at once, or at the wrong moment: claims, schedules, hand-backs, restarts of the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{Discard, Expect, Message};
use nova_types::{OutcomeKind, Skill};
use nova_wire::{Headers, assets, name, subject};
use nova_worker::{Context, Verdict, Worker};
use serde_json::json;
use tokio::sync::Notify;

use crate::bed::Bed;
use crate::skills::{Does, does};

/// A skill that counts its runs and takes as many seconds as its input says.
fn takes(runs: &Arc<AtomicU32>) -> Does {
    let runs = Arc::clone(runs);
    does("a", move |input, _| {
        runs.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_secs(input.as_u64().unwrap_or(0))).await;
            Ok(json!("done"))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_runs_nothing_twice_after_the_broker_forgot() {
    let bed = Bed::new("a = { timeout = \"10m\" }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 1, Worker::new().skill(takes(&runs)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for n in 0..5 {
        bed.submit("a", &format!("t{n}"), &[], "0").await;
    }
    bed.drained("a").await;
    bed.submit("a", "long", &[], "60").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Its one slot is taken: it waits to pull, and does so again on another connection than it looked at last.
    let faults = bed.memory.faults();
    faults.disconnect();
    faults.forget_consumer_state(5);
    faults.reconnect();
    bed.outcome("a", "long").await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_costly_task_submitted_twice_is_started_once() {
    let bed = Bed::new("a = { costly = true }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 4, Worker::new().skill(takes(&runs)));
    bed.submit("a", "x", &[], "40").await;
    // Beyond the dedupe window: a second message of the same task, delivered for the first time.
    tokio::time::sleep(Duration::from_secs(15)).await;
    bed.submit("a", "x", &[], "40").await;
    assert_eq!(
        bed.outcome("a", "x").await.0.kind,
        OutcomeKind::Completed,
        "it runs, so nobody may call it interrupted"
    );
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_costly_task_that_never_got_a_slot_is_not_interrupted() {
    let bed = Bed::new("a = { costly = true }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let first = bed.start("first", 1, Worker::new().skill(takes(&runs)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bed.submit("a.high", "busy", &[], "20").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Its waiting pull brings one more than it has slots for.
    bed.submit("a", "surplus", &[], "0").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    first.stop().await;
    let second = bed.start("second", 1, Worker::new().skill(takes(&runs)));
    let (outcome, _) = bed.outcome("a", "surplus").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_retry_is_not_lost_to_a_schedule_of_the_same_name() {
    let bed = Bed::new("a = { backoff = \"60s..60s\" }").await;
    let headers = Headers::new()
        .with(name::SCHEDULE, "@every 24h")
        .with(name::SCHEDULE_TARGET, "nova.due.a.normal")
        .with(name::PRIORITY, "normal");
    let theirs = Message::new("nova.schedule.a._.x", "null").with_headers(headers);
    bed.broker.publish(theirs, Expect::NOTHING).await.expect("scheduled");
    let skill = does("a", |_, cx: Context| async move {
        if cx.attempt() == 1 { Err(Verdict::retry("down", "x")) } else { Ok(json!("up")) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    let before = bed.memory.now();
    bed.submit("a", "x", &[], "1").await;
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 2));
    assert!(outcome.finished.since(before) >= Duration::from_secs(30), "after its pause");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_whose_receipt_is_lost_is_kept() {
    let bed = Bed::new("a = { backoff = \"10m..10m\" }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let faults = bed.memory.faults();
    let skill = does("a", move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        // The receipts of the attempt record and of the schedule.
        faults.lose_receipts(2);
        async { Err(Verdict::retry("down", "x")) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "1").await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1, "not before its pause is over");
    assert_eq!(bed.count(assets::SCHEDULES, "nova.schedule.>").await, 1);
    bed.drained("a").await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_is_kept_where_no_schedule_can_be() {
    let bed = Bed::new("a = { backoff = \"10m..10m\" }").await;
    bed.broker.delete_stream(assets::SCHEDULES.into()).await.expect("gone");
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let skill = does("a", move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err(Verdict::retry("down", "x")) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "1").await;
    tokio::time::sleep(Duration::from_secs(240)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(runs.load(Ordering::SeqCst) > 1, "the queue itself brought it again");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn hand_backs_make_no_task_poison_or_stale() {
    let bed = Bed::new("a = { timeout = \"10m\" }").await;
    bed.submit("a", "x", &[], "null").await;
    // Longer than outcomes are kept: an old redelivery may have run before, this one is known not to have.
    tokio::time::sleep(Duration::from_secs(25 * 3600)).await;
    for n in 0..12 {
        let started = Arc::new(Notify::new());
        let told = Arc::clone(&started);
        let skill = does("a", move |_, _| {
            told.notify_one();
            std::future::pending()
        });
        let worker = bed.start(&format!("w{n}"), 1, Worker::new().skill(skill));
        tokio::select! {
            () = started.notified() => {}
            (outcome, _) = bed.outcome("a", "x") => panic!("after {n} hand-backs {:?}", outcome.code),
        }
        worker.shutdown.stop_hard();
        worker.worker.await.expect("no panic").expect("a clean end");
    }
    let last = bed.start("last", 1, Worker::new().skill(does("a", |input, _| async move { Ok(input) })));
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    last.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_consumer_that_is_gone_starves_no_other() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 2, Worker::new().skill(does("a", |input, _| async move { Ok(input) })));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let stream = assets::tasks_stream(&nova_types::Skill::new("a").expect("a skill"));
    bed.broker.delete_consumer(stream, "high".into()).await.expect("gone");
    let before = bed.memory.now();
    for n in 0..40 {
        bed.submit("a", &format!("n{n}"), &[], "1").await;
    }
    for n in 0..40 {
        bed.outcome("a", &format!("n{n}")).await;
    }
    let took = bed.memory.now().since(before);
    assert!(took < Duration::from_secs(40), "{took:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_consumer_made_again_brings_nothing_to_run_twice() {
    let bed = Bed::new("a = {}").await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let skill = does("a", move |input, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move { Ok(input) }
    });
    let worker = bed.start("w", 2, Worker::new().skill(skill));
    for n in 0..10 {
        bed.submit("a", &format!("n{n}"), &[], "1").await;
        bed.outcome("a", &format!("n{n}")).await;
    }
    let stream = assets::tasks_stream(&nova_types::Skill::new("a").expect("a skill"));
    let info = bed.broker.consumer(stream.clone(), "normal".into()).await.expect("readable").expect("there");
    bed.broker.delete_consumer(stream, "normal".into()).await.expect("gone");
    tokio::time::sleep(Duration::from_secs(5)).await;
    bed.broker.put_consumer(info.spec).await.expect("made again");
    bed.submit("a", "last", &[], "1").await;
    bed.outcome("a", "last").await;
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 11);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_dead_task_is_told_while_its_letter_waits_for_room() {
    let bed = Bed::new("a = {}").await;
    let mut spec = bed.broker.stream(assets::DEAD.into()).await.expect("readable").expect("there").spec;
    let room = spec.max_messages;
    (spec.max_messages, spec.discard) = (1, Discard::New);
    bed.broker.put_stream(spec.clone()).await.expect("small");
    bed.broker.publish(Message::new("nova.dead.a._.other", ""), Expect::Any).await.expect("stored");
    let mut done = bed.broker.listen("nova.done.a._.x".into(), None).await.expect("listens");
    let worker =
        bed.start("w", 1, Worker::new().skill(does("a", |_, _| async { Err(Verdict::reject("no", "never")) })));
    bed.submit("a", "x", &[], "1").await;
    tokio::time::timeout(Duration::from_secs(60), done.next()).await.expect("told").expect("told");
    spec.max_messages = room;
    bed.broker.put_stream(spec).await.expect("large");
    bed.drained("a").await;
    assert_eq!(bed.count(assets::DEAD, "nova.dead.a._.x").await, 1);
    assert_eq!(bed.count(assets::EVENTS, "nova.event.task.dead.>").await, 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_after_the_end_of_its_attempt_is_refused() {
    let bed = Bed::new("a = { max_attempts = 2, backoff = \"20s..20s\" }").await;
    let (told, mut refused) = tokio::sync::mpsc::channel(1);
    let skill = does("a", move |_, cx: Context| {
        let told = told.clone();
        async move {
            if cx.attempt() > 1 {
                return Ok(json!(cx.checkpoint().map(|left| left.len())));
            }
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(3)).await;
                let _ = told.send(cx.save_checkpoint("late").await.is_err()).await;
            });
            Err(Verdict::retry("down", "x"))
        }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "1").await;
    assert_eq!(refused.recv().await, Some(true));
    assert_eq!(&bed.outcome("a", "x").await.1.body[..], b"null");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_with_a_wrong_clock_kills_no_task() {
    let bed = Bed::new("a = { backoff = \"100s..100s\" }").await;
    let skill = does("a", |_, cx: Context| async move {
        match cx.attempt() {
            1 => Err(Verdict::retry_after(Duration::from_secs(1), "busy", "x")),
            2 => Err(Verdict::retry("down", "x")),
            n => Ok(json!(n)),
        }
    });
    let worker = bed.start_ahead("w", 1, Worker::new().skill(skill), Duration::from_secs(30 * 3600));
    let deadline = nova_wire::format_rfc3339(bed.memory.now().plus(Duration::from_secs(3600)));
    bed.submit("a", "x", &[("Nova-Deadline", &deadline)], "1").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(bed.count(assets::OUTCOMES, "nova.outcome.>").await, 0);
    assert_eq!(bed.attempts("a", "x").await.failed, 2, "neither expired nor stale");
    let due = || bed.count(assets::SCHEDULES, "nova.due.>");
    assert_eq!(due().await, 0);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(due().await, 1, "scheduled by the broker's clock");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_was_deleted_is_worked_again_once_it_is_back() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 2, Worker::new().skill(does("a", |input, _| async move { Ok(input) })));
    bed.submit("a", "before", &[], "1").await;
    bed.outcome("a", "before").await;
    let stream = assets::tasks_stream(&nova_types::Skill::new("a").expect("a skill"));
    let consumers = bed.broker.consumers(stream.clone()).await.expect("readable");
    let spec = bed.broker.stream(stream.clone()).await.expect("readable").expect("there").spec;
    bed.broker.delete_stream(stream).await.expect("gone");
    tokio::time::sleep(Duration::from_secs(60)).await;
    bed.broker.put_stream(spec).await.expect("back");
    for consumer in consumers {
        bed.broker.put_consumer(consumer.spec).await.expect("back");
    }
    bed.submit("a", "after", &[], "1").await;
    bed.outcome("a", "after").await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_it_waits_for_a_slot_was_never_run() {
    let bed = Bed::new("a = {}").await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 1, Worker::new().skill(takes(&runs)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    bed.submit("a.high", "busy", &[], "20").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let deadline = nova_wire::format_rfc3339(bed.memory.now().plus(Duration::from_secs(5)));
    bed.submit("a", "late", &[("Nova-Deadline", &deadline)], "0").await;
    bed.submit("a.low", "unwanted", &[], "0").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    bed.cancel("a", "unwanted").await;
    let (late, unwanted) = (bed.outcome("a", "late").await.0, bed.outcome("a", "unwanted").await.0);
    assert_eq!((late.code.expect("a code").as_str(), late.attempt), ("expired", 0));
    assert_eq!((unwanted.kind, unwanted.attempt), (OutcomeKind::Cancelled, 0));
    bed.drained("a").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_broker_never_ends_is_taken_over_once_nobody_renews_it() {
    let bed = Bed::new("a = { keyed = true, partitions = 1 }").await;
    let lease = subject::partition_lease(&Skill::new("a").expect("a name"), 0);
    // Without a time to live, as a broker that was killed may hand out what had one.
    let renew = async || {
        let message = Message::new(subject::bucket_key(assets::CONFIG_BUCKET, &lease), "other-1");
        bed.broker.publish(message, Expect::Any).await.expect("the bucket takes it");
    };
    renew().await;
    let runs = Arc::new(AtomicU32::new(0));
    let worker = bed.start("w", 1, Worker::new().skill(takes(&runs)));
    bed.submit("a.normal.x", "t", &[], "0").await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        renew().await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0, "its owner lives");
    let died = bed.memory.now();
    let (outcome, _) = bed.outcome("a", "t").await;
    let after = outcome.finished.since(died);
    assert!(after < Duration::from_secs(8), "taken over after {after:?}");
    worker.stop().await;
}
