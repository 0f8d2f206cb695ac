//! Notices tasks that somebody purged by hand, or deleted with their stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nova_broker::{BrokerError, Scan, StreamInfo};
use nova_engine::vanish::{Lane as LaneLook, Look, Vanished, vanished};
use nova_runtime::Metric;
use nova_types::{OutcomeKind, Skill};
use nova_wire::{assets, name, parse_outcome, subject};

use crate::Parts;
use crate::queues::Lane;

/// How many outcomes are read at once.
const PAGE: usize = 1_000;

/// How many messages this process has removed from each queue, before and after it did; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Removals(Arc<Mutex<HashMap<Skill, [u64; 2]>>>);

impl Removals {
    /// Before `messages` are removed.
    pub(crate) fn begin(&self, skill: &Skill, messages: u64) {
        self.add(skill, [0, messages]);
    }

    /// When they are; where that is not known they count as still to be.
    pub(crate) fn end(&self, skill: &Skill, messages: u64) {
        self.add(skill, [messages, 0]);
    }

    /// Those removed at least and at most.
    fn of(&self, skill: &Skill) -> [u64; 2] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(skill).copied().unwrap_or_default()
    }

    fn add(&self, skill: &Skill, more: [u64; 2]) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.entry(skill.clone()).or_default();
        *counts = [counts[0] + more[0], counts[1] + more[1]];
    }
}

/// What was seen in the rounds before.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    looks: HashMap<Skill, Look>,
    /// The last outcome of this round, of the one before and of the one before that.
    outcomes: [u64; 3],
}

/// A queue before its consumers are looked at.
pub(crate) struct Before<'a> {
    pub(crate) stream: &'a StreamInfo,
    /// Removed at least.
    own: u64,
}

impl<'a> Before<'a> {
    /// Begins a look.
    pub(crate) fn new(removals: &Removals, skill: &Skill, stream: &'a StreamInfo) -> Self {
        Self { stream, own: removals.of(skill)[0] }
    }
}

/// Begins a round.
pub(crate) async fn begin(parts: &Parts, memory: &mut Memory) -> Result<(), BrokerError> {
    let outcomes = parts.broker.stream(assets::OUTCOMES.to_owned()).await?;
    let [now, before, _] = memory.outcomes;
    memory.outcomes = [outcomes.map_or(0, |outcomes| outcomes.last_sequence), now, before];
    Ok(())
}

/// Compares a queue with what it was a round before, and tells what is gone.
pub(crate) async fn look(
    parts: &Parts,
    memory: &mut Memory,
    removals: &Removals,
    skill: &Skill,
    (before, lanes, after): (&Before<'_>, &[Lane], &StreamInfo),
) -> Result<(), BrokerError> {
    let gone = |info: &StreamInfo| info.last_sequence.saturating_sub(info.messages);
    let lanes = lanes.iter().map(|lane| LaneLook {
        waiting: lane.info.pending,
        running: lane.info.ack_pending,
        deliveries: lane.info.deliveries,
    });
    let now = Look {
        made: after.created,
        last: [before.stream.last_sequence, after.last_sequence],
        gone: [gone(before.stream), gone(after)],
        own: [before.own, removals.of(skill)[1]],
        lanes: lanes.collect(),
    };
    let Some(seen) = memory.looks.insert(skill.clone(), now.clone()) else { return Ok(()) };
    match vanished(&seen, &now) {
        Vanished::Nothing => {}
        Vanished::Tasks(tasks) => {
            // `nova queue purge` records each task before it deletes it from a queue that is paused.
            let tasks = tasks.saturating_sub(cancelled_since(parts, skill, memory.outcomes[2]).await?);
            if tasks > 0 {
                parts.metrics.add(Metric::TasksVanished, &[skill.as_str()], tasks);
                tracing::error!(%skill, tasks, "waiting tasks are gone that nobody took: was the queue purged by hand?");
            }
        }
        Vanished::Stream(tasks) => {
            parts.metrics.add(Metric::TasksVanished, &[skill.as_str()], tasks);
            tracing::error!(%skill, tasks, "a queue was made again: what waited in it is gone");
        }
    }
    Ok(())
}

/// How many tasks were cancelled behind an outcome without that a worker had them.
async fn cancelled_since(parts: &Parts, skill: &Skill, sequence: u64) -> Result<u64, BrokerError> {
    let (mut from, mut cancelled) = (sequence + 1, 0);
    loop {
        let scan = Scan::all(assets::OUTCOMES, subject::outcomes_of(skill), PAGE).from(from);
        let page = parts.broker.scan(scan).await?;
        for stored in &page {
            from = stored.sequence + 1;
            let outcome = stored.headers.get(name::OUTCOME).and_then(|header| parse_outcome(header).ok());
            let is_one = outcome.is_some_and(|it| it.kind == OutcomeKind::Cancelled && it.worker.is_none());
            cancelled += u64::from(is_one);
        }
        if page.len() < PAGE {
            return Ok(cancelled);
        }
    }
}
