//! Fills an empty broker from a backup.

use std::time::Duration;

use bytes::Bytes;
use nova_broker::jetstream::{SnapshotHead, Snapshots};
use nova_broker::{Broker, BrokerError, Message, PauseState, StreamInfo};
use nova_wire::assets;

use super::error::{FolderError, RestoreError};
use super::folder;
use super::manifest::Packed;
use super::open::Backup;
use super::settle::settle;
use super::{Step, tail};
use crate::plan::PREFIXES;
use crate::{AssetId, PROFILE_NOTE, Profile};

/// What a restore is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreOptions {
    /// The profile the streams are made for, such as one of fewer servers; `None` for that of the backup.
    pub profile: Option<Profile>,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restored {
    /// The streams, in the order in which they were made.
    pub streams: Vec<RestoredStream>,
    /// How many tasks were taken out of their queues because the backup holds their outcome.
    pub settled: u64,
}

/// One stream that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredStream {
    /// Its name.
    pub name: String,
    /// How many messages it has.
    pub messages: u64,
    /// How many it had when it was packed; fewer came back where some have expired since.
    pub packed: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// How many consumers it has.
    pub consumers: usize,
}

/// Makes every stream of a backup on a broker that has none of Nova's; `tell` is told how far it is.
///
/// Call [`Backup::verify`] first. Queues are made last, so that a worker that is there already finds the outcomes first.
///
/// # Errors
/// [`RestoreError`]; what was made until then is deleted again, so that the call can be repeated.
pub async fn restore(
    broker: &dyn Broker,
    snapshots: &Snapshots,
    backup: &Backup,
    options: RestoreOptions,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Restored, RestoreError> {
    let server = broker.server().version;
    if !backup.manifest().is_readable_by(&server) {
        return Err(RestoreError::OldServer { found: server, taken: backup.manifest().server.clone() });
    }
    let mut names = Vec::new();
    for prefix in PREFIXES {
        let there = broker.streams(prefix.to_owned()).await.map_err(RestoreError::Look)?;
        names.extend(there.into_iter().map(|info| info.spec.name));
    }
    if !names.is_empty() {
        return Err(RestoreError::Occupied { names });
    }
    let mut maker = Maker { broker, snapshots, backup, options, begun: Vec::new() };
    let restored = maker.run(&mut tell).await;
    if restored.is_err() {
        for name in maker.begun {
            // Nobody else had any of these names a moment ago, and half a fleet is worse than none.
            let _ = broker.delete_stream(name).await;
        }
    }
    restored
}

struct Maker<'a> {
    broker: &'a dyn Broker,
    snapshots: &'a Snapshots,
    backup: &'a Backup,
    options: RestoreOptions,
    begun: Vec<String>,
}

fn about(stream: &str) -> impl FnOnce(BrokerError) -> RestoreError {
    let stream = stream.to_owned();
    move |source| RestoreError::Stream { stream, source }
}

/// The head of a stream as it is to be made: for another number of servers where asked, and outcomes without an age.
///
/// Outcomes older than their age would go at once, before it could be seen which tasks they are of.
fn adapted(packed: &Packed, head: &SnapshotHead, profile: Option<Profile>) -> SnapshotHead {
    let mut head = head.clone();
    if let Some(profile) = profile {
        head = head.with_config("num_replicas", profile.replicas());
        head.config["metadata"][PROFILE_NOTE] = profile.as_str().into();
    }
    if packed.name == assets::OUTCOMES { head.with_config("max_age", 0) } else { head }
}

impl Maker<'_> {
    async fn run(&mut self, tell: &mut impl FnMut(Step<'_>)) -> Result<Restored, RestoreError> {
        let all = self.backup.to_restore();
        let (of, mut restored) = (all.len(), Restored::default());
        for (at, packed) in all.into_iter().enumerate() {
            let step = Step { stream: at + 1, of, what: &packed.name, bytes: 0 };
            tell(step);
            let info = self.stream(packed, |bytes| tell(Step { bytes, ..step })).await?;
            let consumers = self.consumers(packed, &info).await?;
            restored.streams.push(RestoredStream {
                name: packed.name.clone(),
                messages: info.messages,
                packed: packed.messages,
                last_sequence: info.last_sequence,
                consumers,
            });
        }
        for name in &self.backup.manifest().paused {
            let Some((stream, consumer)) = name.split_once('/') else { continue };
            let none = PauseState::default();
            let resumed = self.broker.pause_consumer(stream.to_owned(), consumer.to_owned(), none).await;
            resumed.map_err(about(stream))?;
        }
        tell(Step { stream: of, of, what: "taking out tasks that have ended", bytes: 0 });
        restored.settled = settle(self.broker, &self.backup.manifest().reached).await?;
        self.age_outcomes().await?;
        Ok(restored)
    }

    /// Makes one stream, with what came while it was packed.
    async fn stream(&mut self, packed: &Packed, mut tell: impl FnMut(u64)) -> Result<StreamInfo, RestoreError> {
        let name = &packed.name;
        self.begun.push(name.clone());
        let (Some(head), Some(file)) = (&packed.head, &packed.snapshot) else {
            let mut spec = packed.spec.clone();
            if let Some(profile) = self.options.profile {
                spec.replicas = profile.replicas();
                spec.metadata.insert(PROFILE_NOTE.to_owned(), profile.to_string());
            }
            self.broker.put_stream(spec).await.map_err(about(name))?;
            return self.look(name).await;
        };
        let mut reading = folder::open(self.backup.folder(), file)?;
        let begun = self.snapshots.restore(&adapted(packed, head, self.options.profile)).await;
        let mut restoring = begun.map_err(about(name))?;
        let mut bytes = 0;
        while let Some(piece) = reading.next()? {
            bytes += piece.len() as u64;
            restoring.send(Bytes::from(piece)).await.map_err(about(name))?;
            tell(bytes);
        }
        let info = restoring.finish().await.map_err(about(name))?;
        if info.last_sequence != packed.last_sequence {
            let (found, wanted) = (info.last_sequence, packed.last_sequence);
            return Err(RestoreError::Short { stream: name.clone(), found, wanted });
        }
        let tail = tail::write(self.broker, name, self.tail(packed)?).await;
        tail.map_err(|source| RestoreError::Tail { stream: name.clone(), source })?;
        self.look(name).await
    }

    async fn look(&self, name: &str) -> Result<StreamInfo, RestoreError> {
        let info = self.broker.stream(name.to_owned()).await.map_err(about(name))?;
        info.ok_or_else(|| about(name)(BrokerError::NotFound { what: format!("stream {name}") }))
    }

    fn tail(&self, packed: &Packed) -> Result<Vec<Message>, FolderError> {
        let Some(file) = &packed.tail else { return Ok(Vec::new()) };
        let path = self.backup.folder().join(&file.file);
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|source| FolderError::Io { what: "read", path: path.clone(), source })?;
        let parse = |(at, line): (usize, &str)| {
            tail::parse_line(line).map_err(|source| FolderError::Line { path: path.clone(), line: at + 1, source })
        };
        text.lines().enumerate().map(parse).collect()
    }

    /// Counts a stream's consumers: none may stand where its next messages will be.
    async fn consumers(&self, packed: &Packed, info: &StreamInfo) -> Result<usize, RestoreError> {
        let consumers = self.broker.consumers(packed.name.clone()).await.map_err(about(&packed.name))?;
        for consumer in &consumers {
            let (at, last) = (consumer.delivered.max(consumer.ack_floor), info.last_sequence);
            if at > last {
                let consumer = AssetId::consumer(&packed.name, &consumer.spec.name);
                return Err(RestoreError::Ahead { consumer, at, last });
            }
        }
        Ok(consumers.len())
    }

    /// Lets outcomes age again.
    async fn age_outcomes(&self) -> Result<(), RestoreError> {
        let packed = self.backup.manifest().streams.iter().find(|packed| packed.name == assets::OUTCOMES);
        let age = packed.map_or(Duration::ZERO, |packed| packed.spec.max_age);
        let mut spec = self.look(assets::OUTCOMES).await?.spec;
        spec.max_age = age;
        self.broker.put_stream(spec).await.map_err(about(assets::OUTCOMES))
    }
}
