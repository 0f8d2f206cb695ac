//! What is written once over the ports: blobs and buckets.

use std::time::Duration;

use bytes::Bytes;
use nova_broker::{BlobError, Blobs, BrokerRef, Bucket, Discard, Expect, PublishError, Purge, Scan, StreamSpec};
use nova_wire::{BlobMeta, assets};

use super::ground::{SOON, stream_spec};
use crate::wait_until;

const SECOND: Duration = Duration::from_secs(1);

async fn blobs(broker: &BrokerRef) -> Blobs {
    let spec = StreamSpec {
        name: assets::object_stream(assets::BLOBS_BUCKET),
        subjects: BlobMeta::space().into(),
        discard: Discard::New,
        allow_rollup: true,
        ..stream_spec("blobs")
    };
    broker.put_stream(spec).await.expect("it can be made");
    Blobs::new(broker.clone())
}

async fn bucket(broker: &BrokerRef, name: &'static str) -> Bucket {
    let spec = StreamSpec {
        name: assets::bucket_stream(name),
        subjects: vec![format!("$KV.{name}.>")],
        discard: Discard::New,
        max_messages_per_subject: 1,
        allow_ttl: true,
        allow_rollup: true,
        delete_marker_ttl: SECOND,
        ..stream_spec("bucket")
    };
    broker.put_stream(spec).await.expect("it can be made");
    Bucket::new(broker.clone(), name)
}

pub(super) async fn a_blob_reads_as_it_was_written(broker: BrokerRef) {
    let blobs = blobs(&broker).await;
    for size in [0, 1, 128 * 1024, 1_000_001] {
        let bytes: Bytes = (0..size).map(|i: u32| (i % 251) as u8).collect();
        let blob = blobs.put("b-read", &bytes).await.expect("it can be stored");
        assert_eq!(blobs.get(&blob).await.expect("it is there"), bytes, "{size}");
    }
    let blob = blobs.put("b-read", &Bytes::from_static(b"replaced")).await.expect("it can be replaced");
    assert_eq!(&*blobs.get(&blob).await.expect("it is there"), b"replaced");
    blobs.delete("b-read").await.expect("it can be deleted");
    blobs.delete("b-read").await.expect("it may be deleted twice");
    assert!(matches!(blobs.get(&blob).await, Err(BlobError::Missing { .. })));
    let small = blobs.with_limit(4);
    assert!(matches!(small.put("b-read", &Bytes::from_static(b"12345")).await, Err(BlobError::TooLarge { .. })));
}

pub(super) async fn blobs_written_at_once_read_as_they_were_written(broker: BrokerRef) {
    let blobs = blobs(&broker).await;
    // All by one task, which then works for longer than the runtime lets one work without a pause.
    let written = futures_util::future::join_all((0_u32..24).map(|n| {
        let (blobs, name) = (blobs.clone(), format!("b-at-once-{n}"));
        async move {
            let bytes: Bytes = (0..1 << 20).map(|i: u32| (i / 1024 + n) as u8).collect();
            let blob = blobs.put(&name, &bytes).await.expect("it can be stored");
            (blob, bytes)
        }
    }));
    for (blob, bytes) in written.await {
        assert!(blobs.get(&blob).await.expect("it is whole") == bytes, "{}", blob.name);
        blobs.delete(&blob.name).await.expect("it can be deleted");
    }
}

pub(super) async fn a_damaged_blob_is_told(broker: BrokerRef) {
    let blobs = blobs(&broker).await;
    let bytes = Bytes::from(vec![7; 300 * 1024]);
    let blob = blobs.put("b-damaged", &bytes).await.expect("it can be stored");
    let mut other = blob.clone();
    other.sha256 = "0".repeat(64);
    assert!(matches!(blobs.get(&other).await, Err(BlobError::Damaged { .. })));
    other.size = 1;
    assert!(matches!(blobs.get(&other).await, Err(BlobError::Damaged { .. })));
    let stream = assets::object_stream(assets::BLOBS_BUCKET);
    let stored = broker.last(stream.clone(), BlobMeta::subject("b-damaged")).await.expect("the broker answers");
    let meta: BlobMeta = serde_json::from_slice(&stored.expect("it is there").body).expect("it was written by us");
    let scan = Scan::all(&*stream, BlobMeta::chunk_subject(&meta.nuid), 1);
    let chunk = broker.scan(scan).await.expect("the broker answers").remove(0).sequence;
    assert_eq!(broker.purge(stream, Purge::Sequence(chunk)).await.expect("it is there"), 1);
    let error = blobs.get(&blob).await.expect_err("a chunk is gone");
    assert!(!error.is_transient(), "{error:?}");
}

pub(super) async fn a_key_is_written_compared_and_deleted(broker: BrokerRef) {
    let bucket = bucket(&broker, "conformance-keys").await;
    assert_eq!(bucket.get("a").await.expect("the broker answers"), None);
    let first = bucket.put("a", "1", None, Expect::NOTHING).await.expect("it is new").sequence;
    let late = bucket.put("a", "2", None, Expect::NOTHING).await;
    assert!(matches!(late, Err(PublishError::Conflict { .. })), "{late:?}");
    let second = bucket.put("a", "2", None, Expect::Last(first)).await.expect("it is the last").sequence;
    let entry = bucket.get("a").await.expect("the broker answers").expect("it is there");
    assert_eq!((&*entry.key, &*entry.value, entry.revision), ("a", &b"2"[..], second));
    bucket.delete("a").await.expect("it can be deleted");
    assert_eq!(bucket.get("a").await.expect("the broker answers"), None);
}

pub(super) async fn a_key_with_a_time_to_live_goes(broker: BrokerRef) {
    let bucket = bucket(&broker, "conformance-ttl").await;
    bucket.put("a", "1", Some(SECOND), Expect::Any).await.expect("it can be written");
    bucket.put("b", "1", Some(48 * 3600 * SECOND), Expect::Any).await.expect("days can be written, too");
    let is_gone = async || bucket.get("a").await.expect("the broker answers").is_none().then_some(());
    wait_until("the key to go", SOON, is_gone).await;
    // Its mark counts as the last message; a new holder compares with nothing live, not with nothing at all.
    let stream = assets::bucket_stream("conformance-ttl");
    let is_empty = async || {
        broker
            .last(stream.clone(), "$KV.conformance-ttl.a".into())
            .await
            .expect("the broker answers")
            .is_none()
            .then_some(())
    };
    wait_until("the mark to go", SOON, is_empty).await;
    bucket.put("a", "2", None, Expect::NOTHING).await.expect("nothing is left of it");
    assert!(bucket.get("b").await.expect("the broker answers").is_some());
}

pub(super) async fn entries_are_all_live_keys(broker: BrokerRef) {
    let bucket = bucket(&broker, "conformance-entries").await;
    for key in ["a", "b", "c.d"] {
        bucket.put(key, key, None, Expect::Any).await.expect("it can be written");
    }
    bucket.delete("b").await.expect("it can be deleted");
    let entries = bucket.entries().await.expect("the broker answers");
    assert_eq!(entries.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), ["a", "c.d"]);
}
