//! Takes a backup: one stream after the other into a folder, the manifest last.

use std::path::Path;

use futures_util::StreamExt as _;
use nova_broker::jetstream::Snapshots;
use nova_broker::{Broker, BrokerError, StreamInfo};
use nova_types::UnixMillis;
use nova_wire::{assets, format_rfc3339};

use super::Step;
use super::error::BackupError;
use super::folder::Folder;
use super::freeze::Freeze;
use super::manifest::{FORMAT, Manifest, Packed, Position, StoredFile};
use super::order::{self, Turn};
use super::tail;
use crate::plan::PREFIXES;
use crate::{AssetId, Profile};

/// What a backup is given.
#[derive(Clone, Copy)]
pub struct TakeOptions<'a> {
    /// The folder, which must be empty or not be there yet.
    pub folder: &'a Path,
    /// The version of Nova that takes it.
    pub nova: &'a str,
    /// The time of day, for the manifest.
    pub clock: fn() -> UnixMillis,
}

/// Backs a fleet up while it works; `tell` is told how far it is.
///
/// What was acknowledged before it began is in the backup. Tasks go on meanwhile; runs, due tasks and cancels wait until
/// the streams that they move between are packed.
///
/// # Errors
/// [`BackupError`]; the folder holds no backup then, whatever is in it. Safe to call again with another folder.
///
/// # Cancel safety
/// Dropped, it leaves an unfinished folder and the coordinators' consumers paused for two minutes at most.
pub async fn take(
    broker: &dyn Broker,
    snapshots: &Snapshots,
    options: TakeOptions<'_>,
    mut tell: impl FnMut(Step<'_>),
) -> Result<Manifest, BackupError> {
    let streams = order::to_pack(list(broker).await?);
    let Some(outcomes) = streams.iter().find(|info| info.spec.name == assets::OUTCOMES) else {
        return Err(BackupError::Nothing { missing: assets::OUTCOMES });
    };
    let profile = Profile::of_stream(outcomes).unwrap_or_default();
    let folder = Folder::create(options.folder)?;
    let server = broker.server().version;
    let mut packer = Packer { broker, snapshots, folder, of: streams.len(), packed: Vec::new() };

    tell(Step { stream: 0, of: packer.of, what: "waiting for the coordinators to come to rest", bytes: 0 });
    let began = format_rfc3339((options.clock)());
    let (frozen, free): (Vec<_>, Vec<_>) = streams.into_iter().partition(|info| Turn::of(&info.spec.name).is_frozen());
    let mut freeze = Freeze::begin(broker).await?;
    let done = pack_frozen(&mut packer, &mut freeze, &frozen, &mut tell).await;
    let paused = freeze.paused();
    freeze.end().await;
    let reached = done?;
    for info in &free {
        packer.pack(info, &mut tell).await?;
    }

    let name = |id: AssetId| format!("{}/{}", id.stream, id.consumer.unwrap_or_default());
    let manifest = Manifest {
        format: FORMAT,
        nova: options.nova.to_owned(),
        server,
        profile: profile.to_string(),
        began,
        ended: format_rfc3339((options.clock)()),
        streams: packer.packed,
        paused: paused.into_iter().map(name).collect(),
        reached,
    };
    packer.folder.conclude(&manifest.to_text())?;
    Ok(manifest)
}

/// Every stream of Nova's.
async fn list(broker: &dyn Broker) -> Result<Vec<StreamInfo>, BackupError> {
    let mut all = Vec::new();
    for prefix in PREFIXES {
        all.extend(broker.streams(prefix.to_owned()).await.map_err(BackupError::List)?);
    }
    Ok(all)
}

/// Packs what agrees only while coordinators stand still; says how far queues were handed out by then.
async fn pack_frozen(
    packer: &mut Packer<'_>,
    freeze: &mut Freeze<'_>,
    streams: &[StreamInfo],
    tell: &mut impl FnMut(Step<'_>),
) -> Result<Vec<Position>, BackupError> {
    for info in streams {
        freeze.renew().await?;
        packer.pack(info, tell).await?;
    }
    freeze.verify().await?;
    let mut reached = Vec::new();
    for info in streams.iter().filter(|info| Turn::of(&info.spec.name) == Turn::Queues) {
        let stream = &info.spec.name;
        let consumers = packer.broker.consumers(stream.clone()).await.map_err(about(stream))?;
        reached.extend(consumers.into_iter().map(|consumer| Position {
            stream: stream.clone(),
            consumer: consumer.spec.name,
            delivered: consumer.delivered,
        }));
    }
    Ok(reached)
}

fn about(stream: &str) -> impl FnOnce(BrokerError) -> BackupError {
    let stream = stream.to_owned();
    move |source| BackupError::Pack { stream, source }
}

struct Packer<'a> {
    broker: &'a dyn Broker,
    snapshots: &'a Snapshots,
    folder: Folder,
    of: usize,
    packed: Vec<Packed>,
}

impl Packer<'_> {
    async fn pack(&mut self, info: &StreamInfo, tell: &mut impl FnMut(Step<'_>)) -> Result<(), BackupError> {
        let name = &info.spec.name;
        let step = Step { stream: self.packed.len() + 1, of: self.of, what: name, bytes: 0 };
        tell(step);
        let mut packed = Packed {
            name: name.clone(),
            spec: info.spec.clone(),
            messages: 0,
            last_sequence: 0,
            head: None,
            snapshot: None,
            tail: None,
        };
        if Turn::of(name) != Turn::Presence {
            let (head, mut pieces) = self.snapshots.take(name).await.map_err(about(name))?;
            let mut writing = self.folder.write(&format!("{name}.snapshot"))?;
            while let Some(piece) = pieces.next().await {
                writing.push(&piece.map_err(about(name))?)?;
                tell(Step { bytes: writing.bytes(), ..step });
            }
            let taken = head.info();
            packed.spec = taken.spec;
            (packed.messages, packed.last_sequence) = (taken.messages, taken.last_sequence);
            (packed.head, packed.snapshot) = (Some(head), Some(writing.finish()?));
            packed.tail = self.pack_tail(info, packed.last_sequence).await?;
        }
        self.packed.push(packed);
        Ok(())
    }

    async fn pack_tail(&self, info: &StreamInfo, behind: u64) -> Result<Option<StoredFile>, BackupError> {
        if !order::has_tail(info) {
            return Ok(None);
        }
        let name = &info.spec.name;
        let lines = tail::read(self.broker, info, behind).await.map_err(about(name))?;
        if lines.is_empty() {
            return Ok(None);
        }
        let mut writing = self.folder.write(&format!("{name}.tail"))?;
        writing.push(lines.as_bytes())?;
        Ok(Some(writing.finish()?))
    }
}
