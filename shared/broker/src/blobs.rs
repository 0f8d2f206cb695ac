//! Large payloads in the object store, written and read over the ports alone.

use bytes::{Bytes, BytesMut};
use nova_wire::{BlobMeta, BlobRef, Headers, assets, limits, name};

use crate::{BrokerError, BrokerRef, Expect, Message, PublishError, Purge, Receipt, Scan};

/// How many chunks are on their way at once: 8 times 128 KiB keeps a loopback or a data centre link busy.
const CHUNKS_IN_FLIGHT: usize = 8;

/// A blob that could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Larger than allowed.
    #[error("payload of {size} bytes is larger than the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// There is none of that name.
    #[error("blob `{name}` does not exist")]
    Missing {
        /// The name.
        name: String,
    },
    /// What is stored is not what was described.
    #[error("blob `{name}` is not what its reference says: size or hash differ")]
    Damaged {
        /// The name.
        name: String,
    },
    /// It could not be written.
    #[error("could not store a part of blob `{name}`")]
    Store {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: PublishError,
    },
    /// It could not be read or deleted.
    #[error("could not reach blob `{name}`")]
    Reach {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: BrokerError,
    },
}

impl BlobError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store { source, .. } => source.is_transient(),
            Self::Reach { source, .. } => source.is_transient(),
            Self::TooLarge { .. } | Self::Missing { .. } | Self::Damaged { .. } => false,
        }
    }
}

/// The object store of payloads.
#[derive(Clone)]
pub struct Blobs {
    broker: BrokerRef,
    limit: u64,
}

impl Blobs {
    /// The store with the default limit of 64 MiB a blob.
    #[must_use]
    pub fn new(broker: BrokerRef) -> Self {
        Self { broker, limit: limits::BLOB_BYTES }
    }

    /// The same with another limit, in bytes.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Stores bytes under `name`, a token; what stood there before is replaced.
    ///
    /// # Errors
    /// [`BlobError`]; safe to call again.
    pub async fn put(&self, name: &str, bytes: &Bytes) -> Result<BlobRef, BlobError> {
        let size = bytes.len() as u64;
        if size > self.limit {
            return Err(BlobError::TooLarge { size, limit: self.limit });
        }
        let blob = BlobRef::describe(name, bytes);
        // Chunks of two writers must not mix: each write has a subject of its own.
        let nuid = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let subject = BlobMeta::chunk_subject(&nuid);
        let store = |source| BlobError::Store { name: name.to_owned(), source };
        let receipts = self.write(&subject, bytes, false).await.map_err(store)?;
        if !receipts.is_sorted_by_key(|receipt| receipt.sequence) {
            self.write(&subject, bytes, true).await.map_err(store)?;
        }
        let meta = BlobMeta::new(&blob, &nuid, receipts.len() as u64);
        let body = serde_json::to_vec(&meta).expect("a plain record always encodes");
        let headers = Headers::new().with(name::ROLLUP, "sub");
        let message = Message::new(BlobMeta::subject(name), body).with_headers(headers);
        self.broker.publish(message, Expect::Any).await.map_err(store)?;
        Ok(blob)
    }

    /// Writes bytes in chunks; again means one by one, in place of those that landed in disorder.
    async fn write(&self, subject: &str, bytes: &Bytes, is_again: bool) -> Result<Vec<Receipt>, PublishError> {
        use futures_util::{StreamExt as _, TryStreamExt as _};
        let chunk = |i: usize| {
            let start = i * limits::BLOB_CHUNK_BYTES;
            let body = bytes.slice(start..bytes.len().min(start + limits::BLOB_CHUNK_BYTES));
            let headers = if is_again && i == 0 { Headers::new().with(name::ROLLUP, "sub") } else { Headers::new() };
            self.broker.publish(Message::new(subject, body).with_headers(headers), Expect::Any)
        };
        // `buffered` polls in order, and one connection keeps that order: the chunks land as they are cut. The runtime would
        // break it: futures that it stops for having worked too long in one go, it wakes from the last to the first.
        let chunks = (0..bytes.len().div_ceil(limits::BLOB_CHUNK_BYTES)).map(chunk);
        let at_once = if is_again { 1 } else { CHUNKS_IN_FLIGHT };
        let all = futures_util::stream::iter(chunks).buffered(at_once);
        tokio::task::unconstrained(all.try_collect()).await
    }

    /// Reads the blob a reference names, and checks it against the reference.
    ///
    /// # Errors
    /// [`BlobError`]; safe to call again.
    pub async fn get(&self, blob: &BlobRef) -> Result<Bytes, BlobError> {
        if blob.size > self.limit {
            return Err(BlobError::TooLarge { size: blob.size, limit: self.limit });
        }
        let missing = || BlobError::Missing { name: blob.name.clone() };
        let damaged = || BlobError::Damaged { name: blob.name.clone() };
        let reach = |source| BlobError::Reach { name: blob.name.clone(), source };
        let meta = self.meta(&blob.name).await?.filter(|meta| !meta.deleted).ok_or_else(missing)?;
        if meta.size != blob.size {
            return Err(damaged());
        }
        let stream = assets::object_stream(assets::BLOBS_BUCKET);
        let subject = BlobMeta::chunk_subject(&meta.nuid);
        let mut bytes = BytesMut::with_capacity(usize::try_from(blob.size).map_err(|_| damaged())?);
        let mut from = 1;
        while (bytes.len() as u64) < blob.size {
            let scan = Scan::all(&*stream, &*subject, 64).from(from);
            let chunks = self.broker.scan(scan).await.map_err(reach)?;
            let last = chunks.last().ok_or_else(missing)?.sequence;
            for chunk in &chunks {
                bytes.extend_from_slice(&chunk.body);
            }
            from = last + 1;
        }
        let bytes = bytes.freeze();
        if blob.matches(&bytes) { Ok(bytes) } else { Err(damaged()) }
    }

    /// Deletes a blob; one that is gone already is no error.
    ///
    /// # Errors
    /// [`BlobError::Reach`]; safe to call again.
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        let reach = |source| BlobError::Reach { name: name.to_owned(), source };
        let Some(meta) = self.meta(name).await? else { return Ok(()) };
        let stream = assets::object_stream(assets::BLOBS_BUCKET);
        let chunks = Purge::Subject(BlobMeta::chunk_subject(&meta.nuid));
        self.broker.purge(stream.clone(), chunks).await.map_err(reach)?;
        self.broker.purge(stream, Purge::Subject(BlobMeta::subject(name))).await.map_err(reach)?;
        Ok(())
    }

    async fn meta(&self, name: &str) -> Result<Option<BlobMeta>, BlobError> {
        let reach = |source| BlobError::Reach { name: name.to_owned(), source };
        let stream = assets::object_stream(assets::BLOBS_BUCKET);
        let stored = self.broker.last(stream, BlobMeta::subject(name)).await.map_err(reach)?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.body).ok()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::memory::MemoryBroker;
    use crate::{Broker as _, Discard, StreamSpec};

    #[tokio::test]
    async fn chunks_written_again_replace_those_that_landed_in_disorder() {
        let broker = MemoryBroker::new();
        let spec = StreamSpec {
            name: assets::object_stream(assets::BLOBS_BUCKET),
            description: String::new(),
            subjects: BlobMeta::space().into(),
            discard: Discard::New,
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_age: Duration::ZERO,
            duplicate_window: Duration::from_secs(120),
            replicas: 1,
            allow_ttl: false,
            allow_schedules: false,
            allow_rollup: true,
            allow_batches: false,
            delete_marker_ttl: Duration::ZERO,
            first_sequence: None,
            transform: None,
            metadata: Default::default(),
        };
        broker.put_stream(spec).await.expect("it can be made");
        let blobs = Blobs::new(Arc::new(broker.clone()));
        let subject = BlobMeta::chunk_subject("n");
        for wrong in ["c", "b", "a"] {
            broker.publish(Message::new(&*subject, wrong), Expect::Any).await.expect("it is stored");
        }
        let bytes: Bytes = (0..3 * limits::BLOB_CHUNK_BYTES - 1).map(|i| (i % 251) as u8).collect();
        let receipts = blobs.write(&subject, &bytes, true).await.expect("they are stored");
        assert!(receipts.is_sorted_by_key(|receipt| receipt.sequence));
        let stream = assets::object_stream(assets::BLOBS_BUCKET);
        let stored = broker.scan(Scan::all(stream, subject, 64)).await.expect("it can be read");
        assert_eq!(stored.iter().map(|chunk| &chunk.body[..]).collect::<Vec<_>>().concat(), bytes);
        assert_eq!(stored.len(), receipts.len());
    }
}
