//! The sweeper: on the leader only, looks for what went wrong in any queue, and ends what nobody else can.
//!
//! Stuck and over-delivered tasks, tasks no consumer will ever deliver, and the law of conservation are measured and
//! told; messages that no client can read are ended.

use std::collections::HashMap;
use std::time::Duration;

use nova_broker::{BrokerError, StreamInfo};
use nova_engine::lane::{Look, Seen, Trouble, compare};
use nova_engine::law::{Confirmed, Count, imbalance};
use nova_runtime::{Metric, Shutdown};
use nova_types::{Priority, Skill};
use nova_wire::{SkillPolicy, assets, limits, subject};

use crate::Parts;
use crate::blobs;
use crate::leader::{self, Leadership};
use crate::poison::{self, Finder};
use crate::queues::{self, Lane};
use crate::vanish::{self, Removals};

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pause between rounds. Default 3 s.
    pub every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: Duration::from_secs(3) }
    }
}

/// What a round stumbled over; the next round begins anew.
#[derive(Debug, thiserror::Error)]
#[error("could not sweep the queues")]
pub struct Error(#[source] BrokerError);

impl Error {
    /// Whether the next round may succeed without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.is_transient()
    }
}

/// Added to what a task's policy explains before it counts as stuck: cancel grace, and clocks that tick apart.
const MARGIN: Duration = Duration::from_secs(15);
/// How many orphaned tasks are counted at most: each is a question of its own to the broker, and more say nothing new.
const ORPHANS: u64 = 10;
/// How often the object store is looked through: what expires there is days old.
const BLOBS_EVERY: Duration = Duration::from_secs(3600);

/// The part.
pub struct Service {
    parts: Parts,
    options: Options,
    leadership: Leadership,
    removals: Removals,
}

/// What is remembered from round to round.
#[derive(Default)]
struct Memory {
    laws: HashMap<Skill, Confirmed>,
    lanes: HashMap<(Skill, String), Seen>,
    vanish: vanish::Memory,
    finder: Finder,
    blobs: blobs::Walk,
    blobs_at: Option<tokio::time::Instant>,
}

impl Service {
    /// Makes the part.
    #[must_use]
    pub(crate) fn new(parts: Parts, options: Options, leadership: Leadership, removals: Removals) -> Self {
        Self { parts, options, leadership, removals }
    }

    /// Sweeps while it leads, until told to stop.
    pub async fn run(&self, shutdown: &Shutdown) {
        let mut rounds = self.leadership.rounds(self.options.every, shutdown.token());
        let mut memory = Memory::default();
        while let Some(known) = rounds.next().await {
            if known == leader::Memory::Gone {
                memory = Memory::default();
            }
            if let Err(error) = self.round(&mut memory).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "sweep broke off");
            }
        }
    }

    async fn round(&self, memory: &mut Memory) -> Result<(), Error> {
        // The coordinators' own consumers first: what breaks their connection breaks everything here.
        for (stream, consumer) in [
            (assets::CONTROL, assets::CANCEL_CONSUMER),
            (assets::SCHEDULES, assets::DUE_CONSUMER),
            (assets::RUNS, assets::ORDER_CONSUMER),
        ] {
            let info = self.parts.broker.consumer(stream.to_owned(), consumer.to_owned()).await.map_err(Error)?;
            if let Some(info) = info {
                self.find(memory, &info).await;
            }
        }
        vanish::begin(&self.parts, &mut memory.vanish).await.map_err(Error)?;
        for (skill, before) in queues::all(&self.parts.broker).await.map_err(Error)? {
            let seen = vanish::Before::new(&self.removals, &skill, &before);
            let lanes = queues::lanes(&self.parts.broker, &skill).await.map_err(Error)?;
            let after = self.parts.broker.stream(before.spec.name.clone()).await.map_err(Error)?;
            let Some(after) = after else { continue };
            self.weigh(memory, &skill, &before, &lanes, &after);
            self.watch(memory, &skill, &lanes);
            let look = (&seen, &*lanes, &after);
            vanish::look(&self.parts, &mut memory.vanish, &self.removals, &skill, look).await.map_err(Error)?;
            self.count_orphans(&skill, &after, &lanes).await.map_err(Error)?;
            for lane in &lanes {
                self.find(memory, &lane.info).await;
            }
        }
        if memory.blobs_at.is_none_or(|at| at.elapsed() >= BLOBS_EVERY) {
            memory.blobs_at = Some(tokio::time::Instant::now());
            if let Err(error) = blobs::expire(&self.parts, &mut memory.blobs).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "payloads were not looked through");
            }
        }
        Ok(())
    }

    async fn find(&self, memory: &mut Memory, consumer: &nova_broker::ConsumerInfo) {
        if let Err(error) = memory.finder.round(&self.parts, consumer).await {
            let error: &poison::Error = &error;
            tracing::warn!(error = error as &dyn std::error::Error, "unreadable messages may stand");
        }
    }

    fn weigh(&self, memory: &mut Memory, skill: &Skill, before: &StreamInfo, lanes: &[Lane], after: &StreamInfo) {
        let open = lanes.iter().map(|lane| lane.info.pending + lane.info.ack_pending).sum();
        let seen = imbalance(count(before), open, count(after));
        let confirmed = memory.laws.entry(skill.clone()).or_default().look(seen);
        self.parts.metrics.set(Metric::LawImbalance, &[skill.as_str()], as_gauge(confirmed));
        if confirmed > 0 {
            tracing::error!(%skill, tasks = confirmed, "tasks are in no state: pending, acked and deleted do not add up");
        }
    }

    fn watch(&self, memory: &mut Memory, skill: &Skill, lanes: &[Lane]) {
        let mut all = Trouble::default();
        for lane in lanes {
            let info = &lane.info;
            let policy = SkillPolicy::from_metadata(&info.spec.metadata).unwrap_or_default();
            let explained = policy.policy.timeout + policy.lease + limits::NAK_DELAY + MARGIN;
            let look = Look {
                ack_floor: info.ack_floor,
                delivered: info.delivered,
                running: info.ack_pending,
                redelivered: info.redelivered,
                now: info.now,
            };
            let key = (skill.clone(), lane.name().to_owned());
            let (seen, trouble) = compare(memory.lanes.get(&key).copied(), look, explained);
            memory.lanes.insert(key, seen);
            all.stuck += trouble.stuck;
            all.overdelivered += trouble.overdelivered;
            if trouble.stuck > 0 {
                let floor = info.ack_floor;
                tracing::warn!(%skill, consumer = lane.name(), floor, tasks = trouble.stuck, "tasks are stuck");
            }
        }
        self.parts.metrics.set(Metric::TasksStuck, &[skill.as_str()], as_gauge(all.stuck));
        self.parts.metrics.set(Metric::TasksOverdelivered, &[skill.as_str()], as_gauge(all.overdelivered));
    }

    /// Counts tasks on subjects that no consumer reads; there are none unless a stream or consumer was altered by hand.
    async fn count_orphans(&self, skill: &Skill, stream: &StreamInfo, lanes: &[Lane]) -> Result<(), BrokerError> {
        let is_read = |filter: &str| lanes.iter().any(|lane| lane.info.spec.filter == filter);
        // A task with a key is stored under its partition, and not as it was published.
        let partition = |subject: &str| subject::partition_of(subject).map(|number| subject::partition(skill, number));
        let mut orphans = 0;
        for unread in queues::stored(skill, stream, lanes).into_iter().filter(|filter| !is_read(filter)) {
            let mut from = stream.first_sequence;
            while orphans < ORPHANS {
                let found = self.parts.broker.inspect(stream.spec.name.clone(), unread.clone(), from).await?;
                let Some(found) = found else { break };
                from = found.stored.sequence + 1;
                // A wildcard made by hand takes in what is read, too.
                let subject = &found.stored.subject;
                orphans += u64::from(!is_read(partition(subject).as_deref().unwrap_or(subject)));
            }
        }
        self.parts.metrics.set(Metric::TasksOrphaned, &[skill.as_str()], as_gauge(orphans));
        if orphans > 0 {
            let wanted = Priority::ALL.map(|priority| subject::task(skill, priority)).join(" ");
            tracing::error!(%skill, tasks = orphans, wanted, "tasks wait where no consumer reads: run provision check");
        }
        Ok(())
    }
}

fn count(info: &StreamInfo) -> Count {
    let StreamInfo { first_sequence: first, last_sequence: last, messages, deleted, .. } = *info;
    Count { first, last, messages, deleted }
}

/// A count as a gauge's value.
pub(crate) fn as_gauge(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a gauge above 2^53 tasks needs no last digit")]
    let value = count as f64;
    value
}
