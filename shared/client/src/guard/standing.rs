//! Whether the task that has a key still waits or runs.

use std::time::Duration;

use nova_broker::Scan;
use nova_types::{RunId, RunStatus, Skill, TaskId, run_skill};
use nova_wire::{Item, Sent, assets, name, subject};

use super::{Held, KeyStoreError, Standing};
use crate::{Client, SubmitError};

/// How long the queue may be asked: a user without the right to look sees only silence.
const ASK_WITHIN: Duration = Duration::from_secs(2);

impl Client {
    pub(super) async fn standing(&self, skill: &Skill, held: &Held) -> Result<Standing, SubmitError> {
        let task = &held.record.task;
        let looked = self.look(skill, task).await;
        let looked = looked.map_err(|error| SubmitError::key(task, KeyStoreError::from(error)))?;
        if let Some(raw) = looked {
            return Ok(Standing::Ended(Box::new(raw.outcome)));
        }
        if let Some(ended) = held.record.ended {
            return Ok(Standing::Forgotten(Some(ended)));
        }
        // Younger than any outcome that could have been forgotten.
        if self.now().since(held.at) < Duration::from_secs(held.record.outcome_kept_secs) {
            return Ok(Standing::Open);
        }
        let is_open = async {
            let sent = held.record.sent.as_ref()?;
            match self.is_open(skill, task, sent).await {
                Some(true) => Some(true),
                // A run's task is done with as soon as the run has begun.
                _ if *skill == run_skill() => self.run_is_open(task).await,
                seen => seen,
            }
        };
        Ok(match tokio::time::timeout(ASK_WITHIN, is_open).await.ok().flatten() {
            Some(true) => Standing::Open,
            Some(false) => Standing::Forgotten(None),
            None => Standing::Unclear,
        })
    }

    /// Whether a task that was put there has not ended, by the queue; `None` when that cannot be seen.
    async fn is_open(&self, skill: &Skill, task: &TaskId, sent: &Sent) -> Option<bool> {
        let broker = &self.inner.broker;
        // Which partition a key falls into is the broker's to say.
        if sent.keyed {
            return None;
        }
        let consumer = assets::consumer(sent.priority).to_owned();
        let info = broker.consumer(sent.stream.clone(), consumer).await.ok()??;
        if sent.sequence > info.ack_floor {
            return Some(true);
        }
        // Acked, and still open where it is on its way back: between attempts by a schedule, or again in its queue.
        let schedule = broker.last(assets::SCHEDULES.to_owned(), subject::schedule(skill, task)).await.ok()?;
        if schedule.is_some_and(|stored| stored.headers.get("Nats-Marker-Reason").is_none()) {
            return Some(true);
        }
        let attempts = broker.last(assets::ATTEMPTS.to_owned(), subject::attempt(skill, task)).await.ok()?;
        let kept = self.inner.options.outcomes_kept;
        Some(attempts.is_some_and(|stored| info.now.since(stored.at) < kept))
    }

    /// Whether a run has not ended, by its history; `None` when that cannot be seen.
    async fn run_is_open(&self, task: &TaskId) -> Option<bool> {
        let history = subject::run_of_any_partition(&RunId::of(task));
        let scan = Scan::last_of_each(assets::RUNS, history, 1);
        let last = self.inner.broker.scan(scan).await.ok()?.pop();
        let Some(last) = last else { return Some(false) };
        let summary = last.headers.get(name::TRANSITION)?;
        let status = RunStatus::from_word(&Item::parse(summary).ok()?.token)?;
        Some(!status.is_ended())
    }
}
