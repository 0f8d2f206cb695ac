//! Key-value buckets, over the ports alone.

use std::time::Duration;

use bytes::Bytes;
use nova_wire::{Headers, assets, limits, name, subject};

use crate::{BrokerError, BrokerRef, Expect, Message, PublishError, Receipt, Scan};

/// One live key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketEntry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Bytes,
    /// The sequence to compare with in the next write.
    pub revision: u64,
}

/// What a key holds now, for a write that depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSlot {
    /// Its value and when it was written, by the broker's clock; `None` when there is none.
    pub held: Option<(Bytes, nova_types::UnixMillis)>,
    /// What the next write is to expect; the mark of a deleted or expired key counts, too.
    pub expect: Expect,
}

/// A NATS key-value bucket.
#[derive(Clone)]
pub struct Bucket {
    broker: BrokerRef,
    name: &'static str,
}

impl Bucket {
    /// Opens a bucket that provision has made.
    #[must_use]
    pub fn new(broker: BrokerRef, name: &'static str) -> Self {
        Self { broker, name }
    }

    /// Writes a key, with a time to live when one is given (a second at least).
    ///
    /// # Errors
    /// [`PublishError::Conflict`] when `expect` does not hold.
    pub async fn put(
        &self,
        key: &str,
        value: impl Into<Bytes>,
        ttl: Option<Duration>,
        expect: Expect,
    ) -> Result<Receipt, PublishError> {
        let mut headers = Headers::new();
        if let Some(ttl) = ttl {
            headers.push(name::TTL, limits::ttl_text(ttl));
        }
        let message = Message::new(subject::bucket_key(self.name, key), value).with_headers(headers);
        self.broker.publish(message, expect).await
    }

    /// Deletes a key, leaving the mark that watchers are told by.
    ///
    /// # Errors
    /// [`PublishError`]; safe to call again.
    pub async fn delete(&self, key: &str) -> Result<(), PublishError> {
        let headers = Headers::new().with("KV-Operation", "DEL");
        let message = Message::new(subject::bucket_key(self.name, key), Bytes::new()).with_headers(headers);
        self.broker.publish(message, Expect::Any).await.map(|_| ())
    }

    /// Deletes a key that holds what is expected; its mark goes after a minute.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] when `expect` does not hold.
    pub async fn remove(&self, key: &str, expect: Expect) -> Result<(), PublishError> {
        let headers = Headers::new().with("KV-Operation", "DEL").with(name::TTL, "60s");
        let message = Message::new(subject::bucket_key(self.name, key), Bytes::new()).with_headers(headers);
        self.broker.publish(message, expect).await.map(|_| ())
    }

    /// Reads one key for a write that depends on it.
    ///
    /// # Errors
    /// [`BrokerError`]; safe to call again.
    pub async fn slot(&self, key: &str) -> Result<BucketSlot, BrokerError> {
        let stream = assets::bucket_stream(self.name);
        let stored = self.broker.last(stream, subject::bucket_key(self.name, key)).await?;
        let Some(stored) = stored else { return Ok(BucketSlot { held: None, expect: Expect::NOTHING }) };
        let (expect, at) = (Expect::Last(stored.sequence), stored.at);
        Ok(BucketSlot { held: self.live(stored).map(|entry| (entry.value, at)), expect })
    }

    /// Reads one key.
    ///
    /// # Errors
    /// [`BrokerError`]; safe to call again.
    pub async fn get(&self, key: &str) -> Result<Option<BucketEntry>, BrokerError> {
        let stream = assets::bucket_stream(self.name);
        let stored = self.broker.last(stream, subject::bucket_key(self.name, key)).await?;
        Ok(stored.and_then(|stored| self.live(stored)))
    }

    /// Reads all live keys.
    ///
    /// # Errors
    /// [`BrokerError`]; safe to call again.
    pub async fn entries(&self) -> Result<Vec<BucketEntry>, BrokerError> {
        self.entries_of(">").await
    }

    /// Reads the live keys that match, wildcards allowed.
    ///
    /// # Errors
    /// [`BrokerError`]; safe to call again.
    pub async fn entries_of(&self, keys: &str) -> Result<Vec<BucketEntry>, BrokerError> {
        let stream = assets::bucket_stream(self.name);
        let mut from = 1;
        let mut all = Vec::new();
        loop {
            let scan = Scan::all(&*stream, subject::bucket_key(self.name, keys), 1000).from(from);
            let page = self.broker.scan(scan).await?;
            let Some(last) = page.last() else { break };
            from = last.sequence + 1;
            all.extend(page.into_iter().filter_map(|stored| self.live(stored)));
        }
        Ok(all)
    }

    fn live(&self, stored: crate::Stored) -> Option<BucketEntry> {
        let is_mark =
            stored.headers.get("KV-Operation").is_some() || stored.headers.get("Nats-Marker-Reason").is_some();
        let prefix = subject::bucket_key(self.name, "");
        let key = stored.subject.strip_prefix(&prefix)?.to_owned();
        (!is_mark).then_some(BucketEntry { key, value: stored.body, revision: stored.sequence })
    }
}
