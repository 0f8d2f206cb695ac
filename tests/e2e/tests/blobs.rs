//! Inputs and results beyond what a message should carry go through the object store, both ways and unseen.

use bytes::Bytes;
use nova_broker::{Expect, Message, Purge, Stored};
use nova_client::{Client, ClientOptions, Submit, SubmitError, WaitError};
use nova_e2e::{Fleet, PATIENCE};
use nova_types::{OutcomeKind, Scope, Skill, TaskId};
use nova_wire::{BlobMeta, BlobRef, ContentType, DeadLetter, Headers, Payload, assets, limits, name};

fn echo() -> Skill {
    Skill::new("echo").expect("a valid skill")
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), Scope::new("big").expect("a valid scope"))
}

fn task(id: &str, payload: Payload) -> Submit {
    Submit::new(echo(), payload).with_id(id.parse::<TaskId>().expect("a valid id"))
}

/// A JSON text of exactly so many bytes that no two chunks of it are alike.
fn text(bytes: usize) -> Payload {
    let mut body = String::with_capacity(bytes);
    body.push('"');
    for n in 0.. {
        if body.len() + 9 > bytes {
            break;
        }
        body.push_str(&format!("{n:08}"));
    }
    body.extend(std::iter::repeat_n('.', bytes - body.len() - 1));
    body.push('"');
    assert_eq!(body.len(), bytes);
    Payload::json(body)
}

async fn queued(fleet: &Fleet) -> Stored {
    let last = fleet.broker.last("NOVA_TASKS_echo".into(), "nova.task.echo".into()).await;
    last.expect("readable").expect("a task was stored")
}

fn blob_of(stored: &Stored) -> BlobRef {
    assert_eq!(stored.body, Bytes::new(), "the body is elsewhere");
    BlobRef::parse(stored.headers.get(name::BLOB).expect("a reference")).expect("well formed")
}

async fn meta_of(fleet: &Fleet, blob: &BlobRef) -> BlobMeta {
    let stored = fleet.broker.last(assets::object_stream(assets::BLOBS_BUCKET), BlobMeta::subject(&blob.name)).await;
    serde_json::from_slice(&stored.expect("readable").expect("the object exists").body).expect("an object's record")
}

#[tokio::test(flavor = "multi_thread")]
async fn large_input_and_result_travel_both_ways() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let client = client(&fleet);
    let msgpack = Payload::encode(ContentType::MsgPack, &"y".repeat(3_000_000)).expect("encodes");
    for (id, payload) in [("big.json", text(1_000_000)), ("big.msgpack", msgpack)] {
        let ended = client.submit_and_wait(task(id, payload.clone()), PATIENCE).await.expect("it ends");
        assert_eq!(ended.outcome.kind, OutcomeKind::Completed);
        assert!(ended.body == payload, "what comes back is what went in");
        let again = client.result(&echo(), &ended.outcome.task).await.expect("readable").expect("ended");
        assert!(again.body == payload, "also when it is read later");

        // On the wire: an empty body and a reference with size and hash, in either direction.
        let input = queued(&fleet).await;
        let (_, result) = fleet.outcome("echo", id).await;
        let (input, result) = (blob_of(&input), blob_of(&result));
        assert_ne!(input.name, result.name, "each is deleted with the record that names it");
        for blob in [&input, &result] {
            assert!(blob.matches(&payload.bytes), "size and hash are those of the payload");
            let meta = meta_of(&fleet, blob).await;
            assert_eq!(meta.chunks, payload.bytes.len().div_ceil(limits::BLOB_CHUNK_BYTES) as u64);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_border_is_256_kib() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let client = client(&fleet);
    assert_eq!(limits::INLINE_BYTES, 262_144);
    for (id, bytes, is_inline) in [("big.below", 262_144, true), ("big.above", 262_145, false)] {
        let payload = text(bytes);
        let ended = client.submit_and_wait(task(id, payload.clone()), PATIENCE).await.expect("it ends");
        assert!(ended.body == payload, "{id}");
        let (_, result) = fleet.outcome("echo", id).await;
        for stored in [queued(&fleet).await, result] {
            assert_eq!(stored.body.len(), if is_inline { bytes } else { 0 }, "{id}");
            assert_eq!(stored.headers.get(name::BLOB).is_none(), is_inline, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_client_may_name_a_blob_of_its_own() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let payload = text(300_000);
    let blobs = nova_broker::Blobs::new(fleet.broker.clone());
    let blob = blobs.put("mine", &payload.bytes).await.expect("stored");
    let headers = [("Nats-Msg-Id", "big.raw"), ("Nova-Blob", &*blob.to_header())];
    fleet.request("nova.task.echo.high", &headers, "").await;
    let (outcome, stored) = fleet.outcome("echo", "big.raw").await;
    assert_eq!(outcome.kind, OutcomeKind::Completed);
    assert!(blobs.get(&blob_of(&stored)).await.expect("readable") == payload.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_input_ends_as_bad_blob() {
    let mut fleet = Fleet::start().await;
    let client = client(&fleet);
    let objects = assets::object_stream(assets::BLOBS_BUCKET);
    let damages = ["big.chunk-lost", "big.chunk-changed", "big.all-lost", "big.record-lost"];
    for id in damages {
        client.submit(task(id, text(400_000))).await.expect("submitted");
        let blob = blob_of(&queued(&fleet).await);
        let meta = meta_of(&fleet, &blob).await;
        let chunks = BlobMeta::chunk_subject(&meta.nuid);
        let stored = fleet.broker.scan(nova_broker::Scan::all(&*objects, &*chunks, 10)).await.expect("readable");
        assert_eq!(stored.len(), 4);
        let (first, last) = (stored[0].sequence, stored[3].clone());
        match id {
            "big.chunk-lost" => _ = fleet.broker.purge(objects.clone(), Purge::Sequence(first)).await.expect("purged"),
            "big.chunk-changed" => {
                fleet.broker.purge(objects.clone(), Purge::Sequence(last.sequence)).await.expect("purged");
                let mut body = last.body.to_vec();
                body[0] ^= 1;
                fleet.broker.publish(Message::new(chunks, body), Expect::Any).await.expect("stored");
            }
            "big.all-lost" => _ = fleet.broker.purge(objects.clone(), Purge::Subject(chunks)).await.expect("purged"),
            _ => {
                let record = Purge::Subject(BlobMeta::subject(&blob.name));
                fleet.broker.purge(objects.clone(), record).await.expect("purged");
            }
        }
    }
    fleet.worker("echo", "w1", &[]).await;
    for id in damages {
        let (outcome, stored) = fleet.outcome("echo", id).await;
        assert_eq!(outcome.kind, OutcomeKind::Dead, "{id}");
        assert_eq!(outcome.code.expect("a code").as_str(), "bad_blob", "{id}");
        assert_eq!(outcome.attempt, 1, "{id}");
        assert_eq!(stored.headers.get(name::BLOB), None, "{id}");
    }
    fleet.drained("echo").await;
    for id in damages {
        let letter = fleet.broker.last(assets::DEAD.into(), format!("nova.dead.echo.{id}")).await;
        let letter = letter.expect("readable").expect("it has a letter");
        let letter = DeadLetter::parse(&letter.headers, letter.body).expect("well formed");
        assert!(letter.headers.get(name::BLOB).is_some(), "the letter names what could not be read: {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_result_is_told_and_the_outcome_stands() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let client = client(&fleet);
    let ended = client.submit_and_wait(task("big.t", text(400_000)), PATIENCE).await.expect("it ends");
    let (_, stored) = fleet.outcome("echo", "big.t").await;
    let meta = meta_of(&fleet, &blob_of(&stored)).await;
    let chunks = Purge::Subject(BlobMeta::chunk_subject(&meta.nuid));
    fleet.broker.purge(assets::object_stream(assets::BLOBS_BUCKET), chunks).await.expect("purged");
    let error = client.wait(&echo(), &ended.outcome.task, PATIENCE).await.expect_err("the result is gone");
    assert!(matches!(error, WaitError::Result { .. }), "{error}");
    assert_eq!((error.code(), error.is_transient()), ("bad_blob", false));
    assert_eq!(fleet.outcome("echo", "big.t").await.0.kind, OutcomeKind::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_over_the_limit_is_refused_before_anything_is_stored() {
    let mut fleet = Fleet::start().await;
    let options = ClientOptions { blob_limit_bytes: 300_000, ..ClientOptions::default() };
    let small = Client::with_options(fleet.broker.clone(), Scope::new("big").expect("a scope"), options);
    small.submit(task("big.fits", text(300_000))).await.expect("the limit itself is allowed");
    let before = fleet.broker.stream(assets::object_stream(assets::BLOBS_BUCKET)).await.expect("readable");
    let error = small.submit(task("big.over", text(300_001))).await.expect_err("too large");
    assert!(matches!(error, SubmitError::TooLarge { bytes: 300_001, limit: 300_000, .. }), "{error}");
    assert_eq!((error.code(), error.is_transient()), ("too_large", false));
    let after = fleet.broker.stream(assets::object_stream(assets::BLOBS_BUCKET)).await.expect("readable");
    assert_eq!(after.map(|info| info.last_sequence), before.map(|info| info.last_sequence), "nothing was stored");
    assert_eq!(fleet.count("NOVA_TASKS_echo", "nova.task.>").await, 1);

    // A reference to more than the default limit is refused by the worker, before a byte of it is read.
    let claim = BlobRef { name: "huge".into(), size: limits::BLOB_BYTES + 1, sha256: "0".repeat(64) };
    let headers = Headers::new().with(name::MSG_ID, "big.huge").with(name::BLOB, claim.to_header());
    let message = Message::new("nova.task.echo", "").with_headers(headers);
    fleet.broker.publish(message, Expect::Any).await.expect("stored");
    fleet.worker("echo", "w1", &[]).await;
    let (outcome, _) = fleet.outcome("echo", "big.huge").await;
    assert_eq!(outcome.code.expect("a code").as_str(), "too_large");
}
