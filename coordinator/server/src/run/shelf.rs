//! The large values of a run: put into the object store once, and held ready for the engine.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use nova_broker::{BlobError, Blobs, BrokerError};
use nova_types::RunId;
use nova_wire::{BlobMeta, BlobRef, assets, limits};
use nova_workflow::{BlobName, Datum};
use serde_json::Value;

use crate::Parts;

/// Values up to this size stand in the history itself, in bytes.
pub(crate) const INLINE: usize = 16 * 1024;
/// The same for the results of several items of a map together.
pub(crate) const SEGMENT: usize = 64 * 1024;
/// The most that is held of one run, in bytes as stored: as values they take several times that.
const HELD: u64 = nova_engine::run::MOST_AT_ONCE;
/// How many values are read at once.
const AT_ONCE: usize = 4;

/// Why a run's values could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("could not look for blob `{name}`")]
    Look {
        name: String,
        #[source]
        source: BrokerError,
    },
    #[error("blob `{name}` is not JSON")]
    Garbled { name: String },
    #[error("{bytes} bytes of results are needed at once, more than the {HELD} that are held of a run")]
    TooMuch { bytes: u64 },
}

impl ShelfError {
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Blob(error) => error.is_transient(),
            Self::Look { source, .. } => source.is_transient(),
            Self::Garbled { .. } | Self::TooMuch { .. } => false,
        }
    }
}

/// What is held ready.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    values: HashMap<String, Arc<Value>>,
    bytes: u64,
}

impl Shelf {
    /// The value of a blob, when it is held.
    pub(crate) fn get(&self, blob: &BlobName) -> Option<Arc<Value>> {
        self.values.get(&blob.name).cloned()
    }

    /// Holds a value that was just stored: most likely it is read next.
    pub(crate) fn hold(&mut self, datum: &Datum, value: Value) {
        if let Datum::Blob(blob) = datum
            && self.bytes + blob.size <= HELD / 2
        {
            self.bytes += blob.size;
            self.values.insert(blob.name.clone(), Arc::new(value));
        }
    }

    /// Reads what the engine wants.
    pub(crate) async fn load(&mut self, parts: &Parts, wants: Vec<BlobName>) -> Result<(), ShelfError> {
        let wants: Vec<BlobName> = wants.into_iter().filter(|blob| !self.values.contains_key(&blob.name)).collect();
        let bytes = wants.iter().map(|blob| blob.size).sum();
        if bytes > HELD {
            return Err(ShelfError::TooMuch { bytes });
        }
        if self.bytes + bytes > HELD {
            *self = Self::default();
        }
        let blobs = Blobs::new(Arc::clone(&parts.broker)).with_limit(2 * limits::BLOB_BYTES);
        let reads: Vec<BoxFuture<'_, Result<(BlobName, Value), ShelfError>>> = wants
            .into_iter()
            .map(|blob| {
                let blobs = &blobs;
                async move { Ok((blob.clone(), fetch(blobs, &blob).await?)) }.boxed()
            })
            .collect();
        let read: Vec<(BlobName, Value)> =
            futures_util::stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
        for (blob, value) in read {
            self.bytes += blob.size;
            self.values.insert(blob.name, Arc::new(value));
        }
        Ok(())
    }
}

/// Reads one stored value.
pub(crate) async fn fetch(blobs: &Blobs, blob: &BlobName) -> Result<Value, ShelfError> {
    let wanted = BlobRef { name: blob.name.clone(), size: blob.size, sha256: blob.sha256.clone() };
    let bytes = blobs.get(&wanted).await?;
    serde_json::from_slice(&bytes).map_err(|_| ShelfError::Garbled { name: blob.name.clone() })
}

/// A value as the run keeps it: itself up to `limit` bytes, else its name in the object store, where it then stands.
pub(crate) async fn keep(parts: &Parts, run: &RunId, value: &Value, limit: usize) -> Result<Datum, ShelfError> {
    let bytes = serde_json::to_vec(value).expect("a JSON value always encodes");
    if bytes.len() <= limit {
        return Ok(Datum::Inline(value.clone()));
    }
    put(parts, run, bytes.into()).await.map(Datum::Blob)
}

/// Stores bytes under the name that their content gives them in their run.
pub(crate) async fn put(parts: &Parts, run: &RunId, bytes: Bytes) -> Result<BlobName, ShelfError> {
    let described = BlobRef::describe("x", &bytes);
    let name = object(run, &described.sha256);
    let blob = BlobName { name: name.clone(), size: described.size, sha256: described.sha256 };
    // To put what stands there already would leave its old chunks behind.
    let stands = parts.broker.last(assets::object_stream(assets::BLOBS_BUCKET), BlobMeta::subject(&name)).await;
    let stands = stands.map_err(|source| ShelfError::Look { name: name.clone(), source })?;
    let is_there = stands
        .and_then(|stored| serde_json::from_slice::<BlobMeta>(&stored.body).ok())
        .is_some_and(|meta| !meta.deleted && meta.size == blob.size);
    if !is_there {
        Blobs::new(Arc::clone(&parts.broker)).with_limit(2 * limits::BLOB_BYTES).put(&name, &bytes).await?;
    }
    Ok(blob)
}

/// What the names of a run's objects begin with.
const PREFIX: &str = "run-";

/// The name of an object of a run: `run-<run>-<16 hex digits of its hash>`.
fn object(run: &RunId, sha256: &str) -> String {
    format!("{PREFIX}{run}-{}", &sha256[..16])
}

/// The run that an object belongs to.
pub(crate) fn owner(object: &str) -> Option<RunId> {
    let (run, hash) = object.strip_prefix(PREFIX)?.rsplit_once('-')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hash { RunId::new(run).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_tells_its_run() {
        let run = RunId::new("cli-a_b").expect("a run");
        let name = object(&run, &"0123456789abcdef".repeat(4));
        assert_eq!((name.as_str(), owner(&name)), ("run-cli-a_b-0123456789abcdef", Some(run)));
        for other in ["in-x", "run-x", "run-x-12", "run--0123456789abcdef"] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
