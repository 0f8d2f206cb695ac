//! How tasks end: results, retries, rejects, snoozes, timeouts, panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nova_types::OutcomeKind;
use nova_wire::{DeadLetter, assets};
use nova_worker::{Context, Verdict, Worker};
use serde_json::json;

use crate::bed::Bed;
use crate::skills::does;

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_is_noted_and_followed_by_another() {
    let bed = Bed::new("a = {}").await;
    let skill = does("a", |_, cx: Context| async move {
        match cx.attempt() {
            1 | 2 => Err(Verdict::retry("busy", "not yet")),
            n => Ok(json!(n)),
        }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 3));
    let record = bed.attempts("a", "x").await;
    assert_eq!((record.failed, record.failures.len()), (2, 2));
    assert_eq!(bed.count(assets::EVENTS, "nova.event.task.retried.>").await, 2);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_task_is_dead_with_a_letter_that_tells_all() {
    let bed = Bed::new("a = { max_attempts = 3 }").await;
    let skill = does("a", |_, _| async { Err(Verdict::retry("exit", "code 7").with_details(json!({"exit": 7}))) });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[("X-Mine", "kept"), ("Nova-Backoff", "10ms..20ms")], r#"{"n":1}"#).await;
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Dead, 3));
    assert_eq!(Bed::error(&stored).details, json!({"exit": 7}));
    bed.drained("a").await;
    let letter = bed.broker.last(assets::DEAD.into(), "nova.dead.a._.x".into()).await.unwrap().unwrap();
    let letter = DeadLetter::parse(&letter.headers, letter.body).expect("well formed");
    assert_eq!((letter.code.as_str(), letter.attempts, &letter.body[..]), ("exit", 3, &br#"{"n":1}"#[..]));
    assert_eq!(letter.headers.get("X-Mine"), Some("kept"));
    assert_eq!(letter.headers.get("Nats-Msg-Id"), Some("x"));
    assert_eq!(letter.attempts_listed().failures.len(), 3);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reject_and_an_unreadable_input_end_at_once() {
    let bed = Bed::new("a = {}").await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let skill = does("a", move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Err(Verdict::reject("no_way", "never")) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    assert_eq!(bed.outcome("a", "x").await.0.code.unwrap().as_str(), "no_way");
    bed.submit("a", "bytes", &[], "{").await;
    assert_eq!(bed.outcome("a", "bytes").await.0.code.unwrap().as_str(), "bad_input");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_snooze_uses_up_no_attempt() {
    let bed = Bed::new("a = { max_attempts = 1 }").await;
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let skill = does("a", move |_, cx: Context| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move { if run < 3 { Err(Verdict::snooze(Duration::from_secs(5))) } else { Ok(json!(cx.attempt())) } }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1));
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_runs_too_long_is_stopped_and_its_slot_is_free_again() {
    let bed = Bed::new("a = { max_attempts = 1 }").await;
    let skill = does("a", |input, _| async move {
        if input == json!("hang") {
            // Ignores its cancel: it is dropped where it stands.
            std::future::pending::<()>().await;
        }
        Ok(input)
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[("Nova-Timeout", "2s")], r#""hang""#).await;
    bed.submit("a", "y", &[], "1").await;
    assert_eq!(bed.outcome("a", "x").await.0.code.unwrap().as_str(), "timeout");
    assert_eq!(bed.outcome("a", "y").await.0.kind, OutcomeKind::Completed);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_like_any() {
    let bed = Bed::new("a = {}").await;
    let skill = does("a", |_, cx: Context| async move {
        assert!(cx.attempt() > 1, "first time");
        Ok(json!("second"))
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "null").await;
    assert_eq!(bed.outcome("a", "x").await.0.attempt, 2);
    assert_eq!(bed.attempts("a", "x").await.failures[0].code.as_str(), "panic");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_becomes_a_schedule_and_pins_nothing() {
    let bed = Bed::new("a = { backoff = \"60s..60s\" }").await;
    let skill = does("a", |_, _| async { Err(Verdict::retry("down", "x")) });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[("Nova-Timeout", "3s")], "1").await;
    let subject = "nova.schedule.a._.x".to_owned();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Some(stored) = bed.broker.last(assets::SCHEDULES.into(), subject.clone()).await.unwrap() {
            assert_eq!(stored.headers.get("Nats-Schedule-Target"), Some("nova.due.a.normal"));
            assert_eq!(stored.headers.get("Nova-Id"), Some("_.x"));
            assert_eq!(stored.headers.get("Nova-Timeout"), Some("3s"));
            bed.drained("a").await;
            return worker.stop().await;
        }
    }
    panic!("no schedule was made");
}

#[tokio::test(start_paused = true)]
async fn a_passed_deadline_ends_a_task_before_it_starts() {
    let bed = Bed::new("a = {}").await;
    let deadline = nova_wire::format_rfc3339(bed.memory.now().plus(Duration::from_secs(5)));
    bed.submit("a", "x", &[("Nova-Deadline", &deadline)], "1").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let skill = does("a", |input, _| async move { Ok(input) });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    let (outcome, _) = bed.outcome("a", "x").await;
    assert_eq!((outcome.code.unwrap().as_str(), outcome.attempt), ("expired", 0));
    worker.stop().await;
}
