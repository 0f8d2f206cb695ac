//! The trimmer: on the leader only, removes finished tasks from the front of each queue, within a byte and age budget.

use std::collections::HashMap;
use std::time::Duration;

use nova_broker::{BrokerError, Purge, StreamInfo};
use nova_engine::trim::{Budget, Facts, Lane as LaneFacts, plan, step};
use nova_runtime::{Metric, Shutdown};
use nova_types::Skill;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Parts;
use crate::leader::{self, Leadership};
use crate::queues::{self, Lane};
use crate::rehome;
use crate::sweep::as_gauge;
use crate::vanish::Removals;

/// The note on a task stream that says how many percent of its `max_bytes` history may keep; provision writes it.
pub const HISTORY_SHARE_NOTE: &str = "nova-history-share";
/// What holds where there is no note, in percent.
const HISTORY_SHARE: u64 = 25;
/// The most sequences one purge removes: a longer one stalls publishes for 100 ms.
const STEP: u64 = 20_000;
/// The pause between two steps: with them 200,000 tasks a second go, four times what one stream takes in.
const STEP_PAUSE: Duration = Duration::from_millis(50);
/// How many steps one round makes in one queue, so that the others get their turn.
const STEPS: usize = 50;
/// How often the age of history is looked at.
const AGE_EVERY: Duration = Duration::from_secs(60);
/// From which share of the stream on pinned history is worth a warning, in percent.
const PINNED_SHARE: u64 = 25;

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pause between rounds. Default 2 s.
    pub every: Duration,
    /// How long finished tasks stay at most. Default a week.
    pub history_age: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: Duration::from_secs(2), history_age: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// What a round stumbled over; the next round begins anew.
#[derive(Debug, thiserror::Error)]
#[error("could not trim the history of {queue}")]
pub struct Error {
    queue: String,
    #[source]
    source: BrokerError,
}

impl Error {
    /// Whether the next round may succeed without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }
}

/// The part.
pub struct Service {
    parts: Parts,
    options: Options,
    leadership: Leadership,
    removals: Removals,
}

/// What is remembered of each queue from round to round.
#[derive(Default)]
struct Memory {
    settled: HashMap<Skill, u64>,
    aged_at: HashMap<Skill, Instant>,
}

impl Service {
    /// Makes the part.
    #[must_use]
    pub(crate) fn new(parts: Parts, options: Options, leadership: Leadership, removals: Removals) -> Self {
        Self { parts, options, leadership, removals }
    }

    /// Trims while it leads, until told to stop.
    pub async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        let mut rounds = self.leadership.rounds(self.options.every, stop.clone());
        let mut memory = Memory::default();
        while let Some(known) = rounds.next().await {
            if known == leader::Memory::Gone {
                memory = Memory::default();
            }
            if let Err(error) = self.round(&mut memory, &stop).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "trimming broke off");
            }
        }
    }

    async fn round(&self, memory: &mut Memory, stop: &CancellationToken) -> Result<(), Error> {
        let failed = |queue: &str| {
            let queue = queue.to_owned();
            move |source| Error { queue, source }
        };
        for (skill, stream) in queues::all(&self.parts.broker).await.map_err(failed("all queues"))? {
            // The last sequence of the round before: by now every consumer has been told of it.
            let Some(settled_last) = memory.settled.insert(skill.clone(), stream.last_sequence) else { continue };
            // A stream that was made again counts anew: what was known of the old one says nothing.
            if stream.last_sequence < settled_last {
                continue;
            }
            self.queue(memory, &skill, stream, settled_last, stop).await.map_err(failed(skill.as_str()))?;
        }
        Ok(())
    }

    async fn queue(
        &self,
        memory: &mut Memory,
        skill: &Skill,
        stream: StreamInfo,
        settled_last: u64,
        stop: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let lanes = queues::lanes(&self.parts.broker, skill).await?;
        if !queues::is_whole(&lanes) {
            tracing::warn!(%skill, "history is not trimmed: a consumer is missing or altered");
            return Ok(());
        }
        let max_bytes = u64::try_from(stream.spec.max_bytes).unwrap_or(0);
        let budget = Budget { bytes: budget_bytes(&stream, max_bytes), step: STEP };
        let mut facts = facts(&stream, &lanes, settled_last);
        let is_over = facts.history_bytes() > budget.bytes || facts.pinned_bytes() > budget.bytes;
        if is_over {
            self.look_up_oldest(&lanes, &mut facts).await?;
        }
        for _ in 0..STEPS {
            if stop.is_cancelled() || !self.leadership.is_held() {
                return Ok(());
            }
            let below = match plan(&facts, budget) {
                Some(below) => Some(below),
                None => self.aged(memory, skill, &stream.spec.name, &lanes, &facts).await?,
            };
            let Some(below) = below else { break };
            let most = below.saturating_sub(facts.first);
            self.removals.begin(skill, most);
            let gone = self.parts.broker.purge(stream.spec.name.clone(), Purge::Below(below)).await?;
            self.removals.end(skill, most);
            self.parts.metrics.add(Metric::MessagesTrimmed, &[skill.as_str()], gone);
            tracing::debug!(%skill, below, messages = gone, "history trimmed");
            tokio::time::sleep(STEP_PAUSE).await;
            let Some(now) = self.parts.broker.stream(stream.spec.name.clone()).await? else { return Ok(()) };
            (facts.first, facts.messages, facts.bytes) = (now.first_sequence, now.messages, now.bytes);
        }
        self.show(skill, &facts, &lanes, max_bytes);
        if is_over && let Some(rehome) = nova_engine::rehome::decide(&facts, max_bytes) {
            // At the end of the queue it would stand behind those of its key that must follow it.
            if lanes[rehome.lane].priority.is_none() {
                tracing::warn!(%skill, "old waiting tasks hold history back, and their keys' order keeps them there");
                return Ok(());
            }
            let lane = &lanes[rehome.lane].info;
            let moved = rehome::carry_out(&self.parts, lane, rehome, (skill, &self.removals)).await?;
            self.parts.metrics.add(Metric::TasksRehomed, &[skill.as_str()], moved);
            tracing::warn!(%skill, tasks = moved, "old waiting tasks moved to the end of their queue to free history");
        }
        Ok(())
    }

    /// Looks up the first open task of each lane that has one: its floor alone may be far behind.
    async fn look_up_oldest(&self, lanes: &[Lane], facts: &mut Facts) -> Result<(), BrokerError> {
        for (lane, facts) in lanes.iter().zip(&mut facts.lanes) {
            if facts.waiting + facts.running > 0 {
                let spec = &lane.info.spec;
                let from = lane.info.ack_floor + 1;
                let found = self.parts.broker.inspect(spec.stream.clone(), spec.filter.clone(), from).await?;
                facts.oldest = found.map(|found| found.stored.sequence);
            }
        }
        Ok(())
    }

    /// The end of the next step when even its last message is too old.
    async fn aged(
        &self,
        memory: &mut Memory,
        skill: &Skill,
        stream: &str,
        lanes: &[Lane],
        facts: &Facts,
    ) -> Result<Option<u64>, BrokerError> {
        if facts.history_messages() == 0 || memory.aged_at.get(skill).is_some_and(|at| at.elapsed() < AGE_EVERY) {
            return Ok(None);
        }
        let Some(below) = step(facts, STEP) else { return Ok(None) };
        let last = self.parts.broker.get(stream.to_owned(), below - 1).await?;
        let now = lanes.iter().map(|lane| lane.info.now).max().unwrap_or_default();
        if last.is_some_and(|last| now.since(last.at) > self.options.history_age) {
            return Ok(Some(below));
        }
        memory.aged_at.insert(skill.clone(), Instant::now());
        Ok(None)
    }

    fn show(&self, skill: &Skill, facts: &Facts, lanes: &[Lane], max_bytes: u64) {
        let pinned = facts.pinned_bytes();
        self.parts.metrics.set(Metric::HistoryBytes, &[skill.as_str()], as_gauge(facts.history_bytes()));
        self.parts.metrics.set(Metric::HistoryPinned, &[skill.as_str()], as_gauge(pinned));
        if max_bytes > 0 && pinned > max_bytes / 100 * PINNED_SHARE {
            let safe = facts.safe_below();
            let by = facts.lanes.iter().position(|lane| Some(lane.next_unacked(facts.settled_last)) == safe);
            let by = by.map(|lane| lanes[lane].name());
            tracing::warn!(%skill, pinned_bytes = pinned, by, from = safe, "an open task holds history back");
        }
    }
}

fn budget_bytes(stream: &StreamInfo, max_bytes: u64) -> u64 {
    if max_bytes == 0 {
        // A queue without a limit of bytes keeps its history by age alone.
        return u64::MAX / 2;
    }
    let share =
        stream.spec.metadata.get(HISTORY_SHARE_NOTE).and_then(|text| text.parse().ok()).unwrap_or(HISTORY_SHARE);
    max_bytes / 100 * share.min(100)
}

fn facts(stream: &StreamInfo, lanes: &[Lane], settled_last: u64) -> Facts {
    let lanes = lanes.iter().map(|lane| LaneFacts {
        ack_floor: lane.info.ack_floor,
        delivered: lane.info.delivered,
        waiting: lane.info.pending,
        running: lane.info.ack_pending,
        oldest: None,
    });
    Facts {
        first: stream.first_sequence,
        messages: stream.messages,
        bytes: stream.bytes,
        settled_last,
        lanes: lanes.collect(),
    }
}
