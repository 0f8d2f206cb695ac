//! The keys of a keyed skill that have tasks which have not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use nova_types::{TaskId, UnixMillis};
use nova_wire::{TaskKey, assets, subject};
use serde::Serialize;

use crate::place::read_id;
use crate::scan::walk;
use crate::{Client, LaneOf, QueryError, QueueView};

/// How many tasks are looked at: what is behind them does not change what is wrong with a queue.
const LOOKED_AT: usize = 10_000;

/// One key's tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// The key.
    pub key: String,
    /// The partition it lies in.
    pub partition: u16,
    /// Tasks that have not ended, those that run included.
    pub tasks: u64,
    /// When the oldest of them was submitted.
    pub oldest: UnixMillis,
}

/// The keys of a queue at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysView {
    /// The keys, those with most tasks first.
    pub keys: Vec<KeyView>,
    /// Whether there were more tasks than were looked at, 10,000.
    pub is_cut: bool,
}

impl Client {
    /// The keys that have tasks which have not ended; none of a skill that is not keyed.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn keys(&self, queue: &QueueView) -> Result<KeysView, QueryError> {
        let failed = || QueryError::broker(format!("read the keys of skill `{}`", queue.skill));
        let broker = &*self.inner.broker;
        // By their ids, for a task that was put off stands there once more; with the time each was stored first.
        let mut lines: BTreeMap<(u16, String), BTreeMap<TaskId, UnixMillis>> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        let mut room = LOOKED_AT;
        for lane in &queue.lanes {
            let LaneOf::Partition(partition) = lane.of else { continue };
            // Where none is out, all that was taken has ended.
            let from = if lane.running == 0 { lane.delivered } else { lane.ack_floor } + 1;
            let all = subject::partition(&queue.skill, partition);
            let walked = walk(broker, &queue.stream, &all, from, queue.last_sequence, |stored| {
                if room == 0 {
                    return ControlFlow::Break(());
                }
                let (id, _) = read_id(&stored);
                if let Some(token) = subject::parse_place(&stored.subject).and_then(|place| place.token) {
                    room -= 1;
                    if stored.sequence <= lane.delivered {
                        taken.insert(id.clone());
                    }
                    let line = lines.entry((partition, token.to_owned())).or_default();
                    line.entry(id).or_insert(stored.at);
                }
                ControlFlow::Continue(())
            });
            walked.await.map_err(failed())?;
        }
        let ended: BTreeSet<TaskId> = stream::iter(taken)
            .map(|task| async move {
                let outcome = subject::outcome(&queue.skill, &task);
                let last = broker.last(assets::OUTCOMES.to_owned(), outcome).await.map_err(failed())?;
                Ok::<_, QueryError>(last.map(|_| task))
            })
            .buffer_unordered(self.inner.options.in_flight.max(1))
            .try_filter_map(|ended| async move { Ok(ended) })
            .try_collect()
            .await?;
        let views = lines.into_iter().filter_map(|((partition, token), line)| {
            let open = || line.iter().filter(|(task, _)| !ended.contains(*task));
            let oldest = open().map(|(_, at)| *at).min()?;
            let key = TaskKey::from_token(&token).map_or(token, |key| key.as_str().to_owned());
            Some(KeyView { key, partition, tasks: open().count() as u64, oldest })
        });
        let mut keys: Vec<KeyView> = views.collect();
        keys.sort_by(|a, b| b.tasks.cmp(&a.tasks).then(a.oldest.cmp(&b.oldest)).then_with(|| a.key.cmp(&b.key)));
        Ok(KeysView { keys, is_cut: room == 0 })
    }
}
