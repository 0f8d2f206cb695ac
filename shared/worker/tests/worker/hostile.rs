//! Tasks made to hurt: oversized, overlong, lying or from a later version. Each ends, and holds up nobody.

use std::time::Duration;

use nova_broker::{Expect, Message};
use nova_types::OutcomeKind;
use nova_wire::{BlobRef, DeadLetter, Headers, assets, name};
use nova_worker::{Context, Verdict, Worker};
use serde_json::json;

use crate::bed::Bed;
use crate::skills::{Does, does};

fn echoes() -> Does {
    does("a", |input, _| async move { Ok(input) })
}

async fn letter(bed: &Bed, id: &str) -> DeadLetter {
    let subject = format!("nova.dead.a._.{id}");
    let stored = bed.broker.last(assets::DEAD.into(), subject).await.expect("readable").expect("a letter");
    DeadLetter::parse(&stored.headers, stored.body).expect("well formed")
}

#[tokio::test(start_paused = true)]
async fn a_refused_time_to_live_does_not_shorten_the_fence() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 1, Worker::new().skill(echoes()));
    bed.submit("a", "x", &[("Nova-Outcome-TTL", "1s")], "1").await;
    assert_eq!(bed.outcome("a", "x").await.0.code.unwrap().as_str(), "bad_header");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(bed.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_endless_trace_header_holds_no_slot() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 1, Worker::new().skill(echoes()));
    bed.submit("a", "x", &[("traceparent", &"0".repeat(65_300))], "1").await;
    bed.submit("a", "y", &[("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")], "1").await;
    assert_eq!(bed.outcome("a", "x").await.1.headers.get(name::TRACEPARENT), None);
    assert!(bed.outcome("a", "y").await.1.headers.get(name::TRACEPARENT).is_some());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_too_large_for_one_message_keeps_its_bytes_elsewhere() {
    let bed = Bed::new("a = {}").await;
    let worker = bed.start("w", 1, Worker::new().skill(echoes()));
    let body = "[".repeat(1024 * 1024 - 200);
    bed.submit("a", "x", &[("X-Mine", "kept")], &body).await;
    assert_eq!(bed.outcome("a", "x").await.0.code.unwrap().as_str(), "too_deep");
    bed.drained("a").await;
    let letter = letter(&bed, "x").await;
    assert_eq!((letter.body.len(), letter.headers.get("X-Mine")), (0, Some("kept")));
    let blob = BlobRef::parse(letter.headers.get(name::BLOB).expect("a reference")).expect("well formed");
    let kept = nova_broker::Blobs::new(bed.broker.clone()).get(&blob).await.expect("all of it");
    assert_eq!(kept, body.as_bytes());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_letter_with_more_headers_than_fit_keeps_those_that_do() {
    let bed = Bed::new("a = {}").await;
    let skill = does("a", |_, _| async { Err(Verdict::reject("no", "never")) });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[("X-Mine", "kept"), ("X-Big", &"y".repeat(65_200))], "1").await;
    assert_eq!(bed.outcome("a", "x").await.0.code.unwrap().as_str(), "no");
    bed.drained("a").await;
    let letter = letter(&bed, "x").await;
    assert_eq!((letter.headers.get("X-Mine"), letter.headers.get("X-Big")), (Some("kept"), None));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_outcome_of_a_later_version_ends_the_task_as_any_other() {
    let bed = Bed::new("a = {}").await;
    let broker = bed.broker.clone();
    let skill = does("a", move |input, cx: Context| {
        let broker = broker.clone();
        async move {
            // Another writes while this attempt runs.
            let headers = Headers::new().with(name::OUTCOME, r#"parked;task="_.x";skill="a";attempt=1;finished=5"#);
            let message = Message::new(format!("nova.outcome.a.{}", cx.task()), "null").with_headers(headers);
            broker.publish(message, Expect::NOTHING).await?;
            Ok(input)
        }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "1").await;
    bed.drained("a").await;
    assert_eq!(bed.count(assets::EVENTS, "nova.event.task.fenced.>").await, 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_reached_is_waited_for() {
    let bed = Bed::new("a = {}").await;
    let stream = assets::object_stream(assets::BLOBS_BUCKET);
    let spec = bed.broker.stream(stream.clone()).await.expect("readable").expect("a store").spec;
    bed.broker.delete_stream(stream).await.expect("gone");
    let worker = bed.start("w", 1, Worker::new().skill(echoes()));
    let blob = BlobRef::describe("in-1", b"[1]");
    bed.submit("a", "x", &[(name::BLOB, &blob.to_header())], "").await;
    // Far more deliveries than a task may cost workers: none of these cost one.
    tokio::time::sleep(Duration::from_secs(120)).await;
    bed.broker.put_stream(spec).await.expect("back");
    nova_broker::Blobs::new(bed.broker.clone()).put("in-1", &"[1]".into()).await.expect("stored");
    let (outcome, stored) = bed.outcome("a", "x").await;
    assert_eq!((outcome.kind, &stored.body[..]), (OutcomeKind::Completed, &b"[1]"[..]));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_result_is_held_and_not_made_again_while_its_store_is_full() {
    let bed = Bed::new("a = {}").await;
    let stream = assets::object_stream(assets::BLOBS_BUCKET);
    let mut spec = bed.broker.stream(stream).await.expect("readable").expect("a store").spec;
    let room = (spec.max_bytes, spec.discard);
    (spec.max_bytes, spec.discard) = (1000, nova_broker::Discard::New);
    bed.broker.put_stream(spec.clone()).await.expect("small");
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = runs.clone();
    let skill = does("a", move |_, _| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        async { Ok(json!("x".repeat(300_000))) }
    });
    let worker = bed.start("w", 1, Worker::new().skill(skill));
    bed.submit("a", "x", &[], "1").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    (spec.max_bytes, spec.discard) = room;
    bed.broker.put_stream(spec).await.expect("large");
    assert_eq!(bed.outcome("a", "x").await.0.kind, OutcomeKind::Completed);
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1);
    worker.stop().await;
}
