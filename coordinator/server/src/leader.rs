//! Leadership: one coordinator at a time sweeps and trims. A key that expires, no home-made consensus.
//!
//! Nothing that must not happen twice depends on it: a leader that was slow to notice its end does what the next one does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use nova_broker::{BrokerError, Expect, Message, PublishError};
use nova_engine::leader::{Claim, Seat, claim, pause, tenure};
use nova_runtime::{Metric, Shutdown};
use nova_types::DurationText;
use nova_wire::{Headers, assets, name, subject};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Parts;

/// The key.
const KEY: &str = "leader";

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long leadership outlives a leader that died. Default 10 s.
    pub ttl: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { ttl: Duration::from_secs(10) }
    }
}

/// Why a claim could not be made; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key could not be read.
    #[error("could not read who leads")]
    Read(#[source] BrokerError),
    /// The key could not be written.
    #[error("could not claim leadership")]
    Write(#[source] PublishError),
}

impl Error {
    /// Whether the same claim may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read(source) => source.is_transient(),
            Self::Write(source) => source.is_transient(),
        }
    }
}

/// Tells whether this coordinator leads; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Leadership(Arc<Mutex<Option<Instant>>>);

impl Leadership {
    /// Whether it leads now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.lock().is_some_and(|until| Instant::now() < until)
    }

    /// The rounds of a part that works only while it leads, one at once and then one each `every`.
    pub(crate) fn rounds(&self, every: Duration, stop: CancellationToken) -> Rounds {
        Rounds { leadership: self.clone(), every, stop, has_begun: false, was_held: false }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Leadership::rounds`].
pub(crate) struct Rounds {
    leadership: Leadership,
    every: Duration,
    stop: CancellationToken,
    has_begun: bool,
    was_held: bool,
}

/// What the round before has left to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// It holds.
    Holds,
    /// Another has led meanwhile: what it has seen is not known here.
    Gone,
}

impl Rounds {
    /// Waits for the next round; `None` when told to stop.
    pub(crate) async fn next(&mut self) -> Option<Memory> {
        loop {
            if std::mem::replace(&mut self.has_begun, true) {
                tokio::select! {
                    biased;
                    () = tokio::time::sleep(self.every) => {}
                    () = self.stop.cancelled() => return None,
                }
            }
            let is_held = self.leadership.is_held();
            let was_held = std::mem::replace(&mut self.was_held, is_held);
            if is_held {
                return Some(if was_held { Memory::Holds } else { Memory::Gone });
            }
        }
    }
}

/// The part.
pub struct Service {
    parts: Parts,
    options: Options,
    leadership: Leadership,
}

impl Service {
    /// Makes the part.
    #[must_use]
    pub fn new(parts: Parts, options: Options) -> Self {
        // The broker's keys live a second at least.
        let options = Options { ttl: options.ttl.max(Duration::from_secs(1)) };
        Self { parts, options, leadership: Leadership::default() }
    }

    /// Tells the other parts whether to work.
    #[must_use]
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Claims and renews until told to stop, then gives the seat up.
    pub async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        let mut stands = (0, Instant::now());
        loop {
            let begun = Instant::now();
            let was_held = self.leadership.is_held();
            let revision = match self.attempt(&mut stands).await {
                Ok(revision) => revision,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "leadership is not known");
                    None
                }
            };
            if revision.is_some() {
                *self.leadership.lock() = Some(begun + tenure(self.options.ttl));
            }
            let is_held = self.leadership.is_held();
            if is_held != was_held {
                tracing::info!(coordinator = %self.parts.name, is_leader = is_held, "leadership changed");
            }
            self.parts.metrics.set(Metric::Leader, &[], if is_held { 1.0 } else { 0.0 });
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause(self.options.ttl)) => {}
                () = stop.cancelled() => {
                    *self.leadership.lock() = None;
                    if let Some(revision) = revision {
                        self.give_up(revision).await;
                    }
                    return;
                }
            }
        }
    }

    /// The revision of the claim when it succeeded; `stands` is what stood there before, and since when.
    async fn attempt(&self, stands: &mut (u64, Instant)) -> Result<Option<u64>, Error> {
        let subject = subject::bucket_key(assets::CONFIG_BUCKET, KEY);
        let stored = self.parts.broker.last(assets::bucket_stream(assets::CONFIG_BUCKET), subject).await;
        let (revision, holder) = match stored.map_err(Error::Read)? {
            None => (0, None),
            Some(stored) => {
                let is_mark =
                    stored.headers.get("KV-Operation").is_some() || stored.headers.get("Nats-Marker-Reason").is_some();
                let holder = (!is_mark).then(|| String::from_utf8_lossy(&stored.body).into_owned());
                (stored.sequence, holder)
            }
        };
        if stands.0 != revision {
            *stands = (revision, Instant::now());
        }
        let seat = Seat { revision, holder, stood: stands.1.elapsed() };
        let Claim::Write { over } = claim(&seat, self.parts.name.as_str(), self.options.ttl) else { return Ok(None) };
        let headers = Headers::new().with(name::TTL, DurationText(self.options.ttl).to_string());
        match self.write(headers, self.parts.name.as_str().to_owned().into(), over).await {
            Ok(revision) => Ok(Some(revision)),
            Err(PublishError::Conflict { .. }) => Ok(None),
            Err(error) => Err(Error::Write(error)),
        }
    }

    async fn give_up(&self, revision: u64) {
        let headers = Headers::new().with("KV-Operation", "DEL");
        // Lost or overtaken, it expires by itself.
        if let Err(error) = self.write(headers, Bytes::new(), revision).await {
            tracing::debug!(%error, "leadership was not given up and will expire");
        }
    }

    async fn write(&self, headers: Headers, body: Bytes, over: u64) -> Result<u64, PublishError> {
        let subject = subject::bucket_key(assets::CONFIG_BUCKET, KEY);
        let message = Message::new(subject, body).with_headers(headers);
        self.parts.broker.publish(message, Expect::Last(over)).await.map(|receipt| receipt.sequence)
    }
}
