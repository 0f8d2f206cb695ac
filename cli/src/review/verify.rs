//! Reads back what the broker recorded of a review: the outcomes one by one, and what happened on the way.

use std::collections::{BTreeMap, HashMap, HashSet};

use nova_broker::{BrokerError, BrokerRef, Scan, Stored};
use nova_client::{Client, QueryError};
use nova_types::{Name, Priority, Skill, TaskId};
use nova_wire::{EventKind, TaskEventRecord, assets, name, parse_outcome, subject};
use serde::Serialize;

use crate::failure::Failure;

/// Records read at a time.
const PAGE: usize = 500;

/// How the records of a review stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub(crate) struct Verified {
    /// Tasks with exactly one outcome.
    pub(crate) once: u64,
    /// Tasks without one.
    pub(crate) none: u64,
    /// Tasks with more.
    pub(crate) more: u64,
}

impl Verified {
    /// Whether every task has exactly one outcome.
    pub(crate) fn holds(self) -> bool {
        self.none == 0 && self.more == 0
    }
}

/// What the outcomes of a review's tasks say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Records {
    /// How they stand.
    pub(crate) verified: Verified,
    /// Attempts made.
    pub(crate) attempts: u64,
    /// Tasks by the worker that ended them.
    pub(crate) by_worker: BTreeMap<String, u64>,
    /// The tasks by their names.
    pub(crate) tasks: HashMap<Name, TaskId>,
}

/// How far the broker's records were before a review.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    outcomes: u64,
    events: Option<u64>,
    lane: Option<Lane>,
}

/// A consumer's counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lane {
    deliveries: u64,
    delivered: u64,
}

impl Before {
    /// Looks at the broker. What a submitter may not see is left out, but for the outcomes.
    ///
    /// # Errors
    /// When the outcomes cannot be read.
    pub(crate) async fn look(client: &Client, skill: &Skill, priority: Priority) -> Result<Self, Failure> {
        let broker = client.broker();
        let last = |stream: &str| {
            let read = broker.stream(stream.to_owned());
            async move { read.await.map(|info| info.map_or(0, |info| info.last_sequence)) }
        };
        let outcomes = last(assets::OUTCOMES).await.map_err(|source| failed("read the outcomes", source))?;
        let events = last(assets::EVENTS).await.ok();
        Ok(Self { outcomes, events, lane: lane(broker, skill, priority).await })
    }
}

async fn lane(broker: &BrokerRef, skill: &Skill, priority: Priority) -> Option<Lane> {
    let stream = assets::tasks_stream(skill);
    let first = broker.stream(stream.clone()).await.ok()??.first_sequence;
    let info = broker.consumer(stream, assets::consumer(priority).to_owned()).await.ok()??;
    // One that has delivered nothing yet counts from the stream's own first sequence, which may be far above 1.
    Some(Lane { deliveries: info.deliveries, delivered: info.delivered.max(first.saturating_sub(1)) })
}

/// Reads the outcomes of every task and counts them.
///
/// # Errors
/// When they cannot be read.
pub(crate) async fn outcomes(
    client: &Client,
    skill: &Skill,
    before: &Before,
    names: &HashSet<Name>,
) -> Result<Records, Failure> {
    let mut counts: HashMap<&Name, u64> = names.iter().map(|name| (name, 0)).collect();
    let mut records = Records::default();
    // A run's tasks have names of their own, in the scope of the run's partition.
    let filter = subject::outcomes_of(skill);
    let read = pages(client.broker(), assets::OUTCOMES, &filter, before.outcomes + 1, |stored| {
        let Some((_, task)) = subject::parse_outcome(&stored.subject) else { return };
        let Some(count) = counts.get_mut(task.name()) else { return };
        *count += 1;
        if let Some(Ok(outcome)) = stored.headers.get(name::OUTCOME).map(parse_outcome) {
            records.attempts += u64::from(outcome.attempt);
            if let Some(worker) = outcome.worker {
                *records.by_worker.entry(worker.to_string()).or_default() += 1;
            }
        }
        records.tasks.insert(task.name().clone(), task);
    });
    read.await.map_err(|source| failed("read the outcomes back", source))?;
    for count in counts.values() {
        match count {
            0 => records.verified.none += 1,
            1 => records.verified.once += 1,
            _ => records.verified.more += 1,
        }
    }
    Ok(records)
}

/// Counts deliveries beyond the first, exactly while nobody else uses the queue; `None` when it cannot be seen.
pub(crate) async fn redeliveries(client: &Client, skill: &Skill, priority: Priority, before: &Before) -> Option<u64> {
    let (before, after) = (before.lane?, lane(client.broker(), skill, priority).await?);
    Some(beyond_the_first(before, after))
}

fn beyond_the_first(before: Lane, after: Lane) -> u64 {
    let first = after.delivered.saturating_sub(before.delivered);
    after.deliveries.saturating_sub(before.deliveries).saturating_sub(first)
}

/// Counts what was retried and fenced, by the fleet's events; `None` when they cannot be read.
pub(crate) async fn events(client: &Client, before: &Before, names: &HashSet<Name>) -> Option<(u64, u64)> {
    let (mut retried, mut fenced) = (0, 0);
    let from = before.events? + 1;
    let read = pages(client.broker(), assets::EVENTS, subject::ALL_TASK_EVENTS, from, |stored| {
        let Ok(event) = serde_json::from_slice::<TaskEventRecord>(&stored.body) else { return };
        if names.contains(event.task.name()) {
            retried += u64::from(event.kind == EventKind::Retried);
            fenced += u64::from(event.kind == EventKind::Fenced);
        }
    });
    read.await.ok()?;
    Some((retried, fenced))
}

async fn pages(
    broker: &BrokerRef,
    stream: &str,
    filter: &str,
    from: u64,
    mut each: impl FnMut(&Stored),
) -> Result<(), BrokerError> {
    let mut next = from;
    loop {
        let page = broker.scan(Scan::all(stream, filter, PAGE).from(next)).await?;
        page.iter().for_each(&mut each);
        match page.last() {
            // A page that is not full may have been cut by the broker; only an empty one is the end.
            Some(last) => next = last.sequence + 1,
            None => return Ok(()),
        }
    }
}

fn failed(what: &str, source: BrokerError) -> Failure {
    QueryError::Broker { what: what.to_owned(), source }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_came_again_is_a_redelivery() {
        let lane = |deliveries, delivered| Lane { deliveries, delivered };
        assert_eq!(beyond_the_first(lane(0, 99), lane(10, 109)), 0);
        assert_eq!(beyond_the_first(lane(5, 105), lane(18, 115)), 3);
        // Other priorities share the sequences: then too few are counted rather than too many.
        assert_eq!(beyond_the_first(lane(0, 0), lane(10, 40)), 0);
    }

    #[test]
    fn every_task_has_to_have_exactly_one_outcome() {
        assert!(Verified { once: 3, none: 0, more: 0 }.holds());
        assert!(!Verified { once: 2, none: 1, more: 0 }.holds());
        assert!(!Verified { once: 2, none: 0, more: 1 }.holds());
    }
}
