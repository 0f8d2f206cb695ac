//! Backfill: the tasks of a recurring schedule for moments that have passed.
//!
//! A moment's task has the same id whoever submits it, so what ran is found by its outcome, what is on its way is one
//! with this, and doing it again is harmless.

use nova_broker::{Expect, Message, Scan};
use nova_types::{Generation, RUN_SKILL, RunId, Skill, TaskId, UnixMillis};
use nova_wire::{Calendar, Task, TaskKey, assets, format_rfc3339, name, subject};

use crate::{Client, QueryError, ScheduleEntry, SubmitError};

/// How many moments are under way at once: a read and a publish each.
const AT_ONCE: usize = 64;

/// Why nothing was backfilled.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// There is no such schedule.
    #[error("task {task} of skill {skill} has no schedule")]
    NoSchedule {
        /// Its skill.
        skill: Skill,
        /// Its id.
        task: TaskId,
    },
    /// It fires once only.
    #[error("the schedule of task {task} fires once: there is nothing to backfill")]
    Once {
        /// Its id.
        task: TaskId,
    },
    /// Its moments cannot be told on this machine.
    #[error("the moments of task {task} cannot be told")]
    Calendar {
        /// Its id.
        task: TaskId,
        /// Why.
        #[source]
        source: nova_wire::InvalidSchedule,
    },
    /// The broker was not reached.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl BackfillError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::NoSchedule { .. } => "no_schedule",
            Self::Once { .. } | Self::Calendar { .. } => "bad_schedule",
            Self::Query(source) => source.code(),
        }
    }

    /// Whether the same request may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Query(source) if source.is_transient())
    }
}

/// A recurring schedule with all that its tasks are made of.
#[derive(Debug, Clone)]
pub struct Recurring {
    /// The schedule.
    pub entry: ScheduleEntry,
    calendar: Calendar,
    body: bytes::Bytes,
}

/// What became of one moment.
#[derive(Debug)]
pub enum Filled {
    /// Its task is in the queue now.
    Submitted,
    /// Its task ended, or was submitted a moment ago.
    Existing,
    /// It is not known to be in the queue; backfill it again.
    Failed(SubmitError),
}

/// One moment of a backfill.
#[derive(Debug)]
pub struct Backfilled {
    /// The moment.
    pub moment: UnixMillis,
    /// Its task.
    pub task: TaskId,
    /// What became of it.
    pub filled: Filled,
}

impl Recurring {
    /// The moments from `from` on and before `to`, oldest first.
    pub fn moments(&self, from: UnixMillis, to: UnixMillis) -> impl Iterator<Item = UnixMillis> + '_ {
        self.calendar.from(from).take_while(move |moment| *moment < to)
    }

    /// The task of a moment.
    #[must_use]
    pub fn task(&self, moment: UnixMillis) -> TaskId {
        self.entry.task.of_moment(moment)
    }
}

impl Client {
    /// Reads a recurring schedule with its calendar and its tasks' input.
    ///
    /// # Errors
    /// [`BackfillError`]; safe to call again.
    pub async fn recurring(&self, skill: &Skill, task: &TaskId) -> Result<Recurring, BackfillError> {
        let found = self.stored_schedule(skill, task).await?;
        let missing = || BackfillError::NoSchedule { skill: skill.clone(), task: task.clone() };
        let (entry, body) = found.ok_or_else(missing)?;
        let calendar = entry.calendar().map_err(|source| BackfillError::Calendar { task: task.clone(), source })?;
        let calendar = calendar.ok_or_else(|| BackfillError::Once { task: task.clone() })?;
        Ok(Recurring { entry, calendar, body })
    }

    /// Submits the task of each moment unless it ran, tells `visit` of each in their order, and goes on where one fails.
    ///
    /// A moment is known to have run as long as its outcome is kept, or of a workflow's its run.
    ///
    /// # Errors
    /// [`QueryError`] when the broker cannot say what ran; what was told stands, and all of it may be done again.
    pub async fn backfill(
        &self,
        recurring: &Recurring,
        moments: impl IntoIterator<Item = UnixMillis>,
        mut visit: impl FnMut(Backfilled),
    ) -> Result<(), QueryError> {
        let mut moments = moments.into_iter();
        loop {
            let mut filling = Vec::new();
            for moment in moments.by_ref().take(AT_ONCE) {
                filling.push(self.fill(recurring, moment));
            }
            if filling.is_empty() {
                return Ok(());
            }
            for filled in futures_util::future::join_all(filling).await {
                visit(filled?);
            }
        }
    }

    async fn fill(&self, recurring: &Recurring, moment: UnixMillis) -> Result<Backfilled, QueryError> {
        let task = recurring.task(moment);
        let filled = self.submit_unless_run(recurring, &task, moment).await?;
        Ok(Backfilled { moment, task, filled })
    }

    async fn submit_unless_run(
        &self,
        recurring: &Recurring,
        task: &TaskId,
        moment: UnixMillis,
    ) -> Result<Filled, QueryError> {
        let entry = &recurring.entry;
        if self.has_run(&entry.skill, task).await? {
            return Ok(Filled::Existing);
        }
        // As a coordinator publishes it: two that do so at once are one, and a worker looks for its outcome first.
        let mut headers = Task::republished_headers(&entry.headers, task, Generation::of_moment(moment));
        headers.remove(name::CATCH_UP);
        headers.set(name::NOMINAL, format_rfc3339(moment));
        let key = headers.get(name::KEY).and_then(|text| TaskKey::new(text).ok());
        let subject = subject::task_of(&entry.skill, entry.priority, key.as_ref());
        let message = Message::new(subject, recurring.body.clone());
        match self.inner.broker.publish(message.with_headers(headers.clone()), Expect::Any).await {
            Ok(receipt) if receipt.is_duplicate => Ok(Filled::Existing),
            Ok(_) => Ok(Filled::Submitted),
            Err(error) => {
                let error = self.explain_refusal(task.clone(), entry.skill.clone(), &headers, error).await;
                Ok(Filled::Failed(error))
            }
        }
    }

    async fn has_run(&self, skill: &Skill, task: &TaskId) -> Result<bool, QueryError> {
        let failed = || QueryError::broker(format!("read whether task {task} ran"));
        let broker = &self.inner.broker;
        let outcome = broker.last(assets::OUTCOMES.to_owned(), subject::outcome(skill, task)).await.map_err(failed())?;
        if outcome.is_some() || skill.as_str() != RUN_SKILL {
            return Ok(outcome.is_some());
        }
        // A run's history outlives its outcome.
        let history = subject::run_of_any_partition(&RunId::of(task));
        let found = broker.scan(Scan::all(assets::RUNS, history, 1)).await.map_err(failed())?;
        Ok(!found.is_empty())
    }
}
