//! Where a task stands in its queue.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use nova_broker::Stored;
use nova_types::{Priority, Scope, Skill, TaskId, UnixMillis};
use nova_wire::{Task, assets, subject};
use serde::Serialize;

use crate::scan::walk;
use crate::{Client, QueryError, QueueView};

/// How many tasks are before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ahead {
    /// That many.
    Exactly(u64),
    /// That many at most: the queue is too long to count.
    AtMost(u64),
}

/// A task's place in its queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The stream.
    pub stream: String,
    /// Its sequence there; of its newest generation.
    pub sequence: u64,
    /// Its priority.
    pub priority: Priority,
    /// The partition its key lies in, when its skill is keyed.
    pub partition: Option<u16>,
    /// When the broker stored it.
    pub at: UnixMillis,
    /// Whether a worker has taken it. The owner of a key's partition holds the key's line: of it only what may run counts.
    pub is_taken: bool,
    /// Tasks of the same priority before it, of a keyed skill those of the same key, while it waits.
    pub ahead: Option<Ahead>,
    /// The task itself, where it can be understood.
    pub task: Option<Box<Task>>,
}

/// How many messages are counted to say exactly how many are ahead.
const COUNTED: u64 = 10_000;
/// How many tasks of one key are looked up to say exactly how many are ahead.
const LOOKED_UP: usize = 500;
/// How far a client's clock and the broker's may be apart when a task is looked for by the time in its name.
const CLOCK_SKEW_MS: i64 = 60_000;
/// A stretch that is read whole rather than searched by time.
const SMALL: u64 = 2_000;

/// The id a message of a task stream has, as a worker would find it.
pub(crate) fn read_id(stored: &Stored) -> (TaskId, Option<Task>) {
    match Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), stored.body.clone()) {
        Ok(task) => (task.id.clone(), Some(task)),
        Err(bad) => (bad.id, None),
    }
}

/// The moment in a name that is a UUIDv7.
fn named_at(id: &TaskId) -> Option<UnixMillis> {
    let (secs, nanos) = uuid::Uuid::try_parse(id.name().as_str()).ok()?.get_timestamp()?.to_unix();
    Some(UnixMillis(i64::try_from(secs).ok()?.checked_mul(1000)? + i64::from(nanos / 1_000_000)))
}

impl Client {
    /// Finds a task that has not ended in its skill's queue.
    ///
    /// Task streams have no index: an id `_seq.<n>` is read directly, one whose name is a UUIDv7 is searched by its
    /// time, any other among the newest [`search_depth`](crate::ClientOptions::search_depth) messages that have not
    /// ended.
    ///
    /// # Errors
    /// [`QueryError::NoQueue`], [`QueryError::Broker`]; safe to call again.
    pub async fn locate(&self, skill: &Skill, task: &TaskId) -> Result<Option<Place>, QueryError> {
        let queue = self.queue(skill).await?;
        self.locate_in(&queue, task).await
    }

    pub(crate) async fn locate_in(&self, queue: &QueueView, task: &TaskId) -> Result<Option<Place>, QueryError> {
        let Some((stored, parsed)) = self.find_message(queue, task).await? else { return Ok(None) };
        let Some((_, priority)) = subject::parse_task(&stored.subject) else { return Ok(None) };
        let Some(lane) = queue.lane_of(&stored.subject) else { return Ok(None) };
        let partition = subject::partition_of(&stored.subject);
        let mut is_taken = stored.sequence <= lane.delivered;
        let ahead = if partition.is_some() {
            let ahead = self.ahead_in_key(queue, &stored, lane.ack_floor + 1, task).await?;
            let places = queue.policy.keyed.map_or(1, |keyed| u64::from(keyed.concurrency));
            is_taken &= matches!(ahead, Ahead::Exactly(n) if n < places);
            (!is_taken).then_some(ahead)
        } else if is_taken {
            None
        } else {
            Some(self.count_ahead(queue, &stored.subject, lane.delivered + 1, stored.sequence).await?)
        };
        Ok(Some(Place {
            stream: queue.stream.clone(),
            sequence: stored.sequence,
            priority,
            partition,
            at: stored.at,
            is_taken,
            ahead,
            task: parsed.map(Box::new),
        }))
    }

    /// How many unfinished tasks of the same key come before one.
    async fn ahead_in_key(
        &self,
        queue: &QueueView,
        stored: &Stored,
        from: u64,
        task: &TaskId,
    ) -> Result<Ahead, QueryError> {
        let failed = || QueryError::broker(format!("count the queue of skill `{}`", queue.skill));
        let mut before = BTreeSet::new();
        let place = subject::partition_of(&stored.subject).zip(subject::parse_place(&stored.subject));
        if let Some((partition, token)) = place.and_then(|(partition, place)| Some((partition, place.token?))) {
            let key = subject::key_in_partition(&queue.skill, partition, token);
            let counted = walk(&*self.inner.broker, &queue.stream, &key, from, stored.sequence - 1, |earlier| {
                before.insert(read_id(&earlier).0);
                // One over the limit tells that there are more.
                if before.len() > LOOKED_UP + 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            counted.await.map_err(failed())?;
        }
        before.remove(task);
        if before.len() > LOOKED_UP {
            return Ok(Ahead::AtMost(stored.sequence.saturating_sub(from)));
        }
        let open = stream::iter(before)
            .map(|earlier| async move {
                let outcome = subject::outcome(&queue.skill, &earlier);
                let last = self.inner.broker.last(assets::OUTCOMES.to_owned(), outcome).await;
                last.map(|outcome| u64::from(outcome.is_none())).map_err(failed())
            })
            .buffer_unordered(self.inner.options.in_flight.max(1))
            .try_fold(0, |count, one| async move { Ok(count + one) });
        Ok(Ahead::Exactly(open.await?))
    }

    async fn count_ahead(
        &self,
        queue: &QueueView,
        subject: &str,
        from: u64,
        sequence: u64,
    ) -> Result<Ahead, QueryError> {
        let span = sequence.saturating_sub(from);
        if span > COUNTED {
            return Ok(Ahead::AtMost(span));
        }
        let mut count = 0;
        let counted = walk(&*self.inner.broker, &queue.stream, subject, from, sequence.saturating_sub(1), |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        counted.await.map_err(QueryError::broker(format!("count the queue of skill `{}`", queue.skill)))?;
        Ok(Ahead::Exactly(count))
    }

    async fn find_message(
        &self,
        queue: &QueueView,
        task: &TaskId,
    ) -> Result<Option<(Stored, Option<Task>)>, QueryError> {
        let (from, to) = (queue.unended_from(), queue.last_sequence);
        if from > to {
            return Ok(None);
        }
        let mut found = None;
        if *task.scope() == Scope::sequence()
            && let Ok(sequence) = task.name().as_str().parse::<u64>()
            && (from..=to).contains(&sequence)
        {
            found = self.find_between(queue, task, sequence, sequence).await?;
        } else if to - from > SMALL
            && let Some(at) = named_at(task)
        {
            let low = self.first_at(queue, from, to, UnixMillis(at.0 - CLOCK_SKEW_MS)).await?;
            let high = self.first_at(queue, low, to, UnixMillis(at.0 + CLOCK_SKEW_MS)).await?;
            found = self.find_between(queue, task, low, high.min(to)).await?;
        }
        if found.is_some() {
            return Ok(found);
        }
        let newest = from.max(to.saturating_sub(self.inner.options.search_depth));
        self.find_between(queue, task, newest, to).await
    }

    async fn find_between(
        &self,
        queue: &QueueView,
        task: &TaskId,
        from: u64,
        to: u64,
    ) -> Result<Option<(Stored, Option<Task>)>, QueryError> {
        let mut found = None;
        let searched = walk(&*self.inner.broker, &queue.stream, ">", from, to, |stored| {
            let (id, parsed) = read_id(&stored);
            if id == *task {
                // A later generation of the same task counts more.
                found = Some((stored, parsed));
            }
            ControlFlow::Continue(())
        });
        searched.await.map_err(QueryError::broker(format!("search the queue of skill `{}`", queue.skill)))?;
        Ok(found)
    }

    /// The first sequence in a stretch that was stored at or after a moment, by halving; `to + 1` when none was.
    async fn first_at(&self, queue: &QueueView, from: u64, to: u64, at: UnixMillis) -> Result<u64, QueryError> {
        let (mut low, mut high) = (from, to + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let scan = nova_broker::Scan::all(&*queue.stream, ">", 1).from(middle);
            let page = self.inner.broker.scan(scan).await;
            let page = page.map_err(QueryError::broker(format!("search the queue of skill `{}`", queue.skill)))?;
            match page.first() {
                Some(stored) if stored.at < at => low = stored.sequence + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_tells_when_a_task_was_named() {
        let id: TaskId = "a.017f22e2-79b0-7cc3-98c4-dc0c0c07398f".parse().expect("an id");
        assert_eq!(named_at(&id), Some(UnixMillis(1_645_557_742_000)));
        for other in ["a.order-1", "a.c4a760a8-dbcf-4b60-9b0f-0123456789ab"] {
            assert_eq!(named_at(&other.parse().expect("an id")), None, "{other}");
        }
    }
}
