//! Everything that is known of one task.

use nova_types::{OutcomeKind, Policy, Skill, TaskId, TaskState, UnixMillis};
use nova_wire::{AttemptRecord, DeadLetter, assets, subject};

use crate::outcome::RawOutcome;
use crate::schedule_list::read_entry;
use crate::{Client, Place, QueryError, QueueView, ScheduleEntry, TaskOutcome, WaitError};

/// One task at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its id.
    pub task: TaskId,
    /// Its skill.
    pub skill: Skill,
    /// Where it stands.
    pub state: TaskState,
    /// How it ended, if it did; the result is fetched by [`Client::result`].
    pub outcome: Option<nova_types::Outcome>,
    /// What is known of its attempts; the happy path writes nothing.
    pub attempts: Option<AttemptRecord>,
    /// Its dead letter.
    pub dead: Option<DeadLetter>,
    /// Its schedule.
    pub schedule: Option<ScheduleEntry>,
    /// Where it waits or runs.
    pub place: Option<Place>,
    /// Its queue at that moment, where it has not ended.
    pub queue: Option<QueueView>,
    /// Whether its end was asked for.
    pub is_cancel_asked: bool,
    /// The broker's clock.
    pub now: UnixMillis,
}

/// What the state is judged by.
#[derive(Debug, Clone, Copy)]
struct Signs<'a> {
    outcome: Option<OutcomeKind>,
    attempts: Option<&'a AttemptRecord>,
    is_scheduled: bool,
    is_taken: Option<bool>,
    backoff_until: Option<UnixMillis>,
    now: UnixMillis,
}

/// Where a task stands by what is known of it; `None` when nothing is.
fn judge(signs: Signs<'_>) -> Option<TaskState> {
    match (signs.outcome, signs.is_taken) {
        (Some(OutcomeKind::Completed), _) => Some(TaskState::Completed),
        (Some(OutcomeKind::Dead), _) => Some(TaskState::Dead),
        (Some(OutcomeKind::Cancelled), _) => Some(TaskState::Cancelled),
        (None, Some(false)) => Some(TaskState::Available),
        (None, Some(true)) if signs.backoff_until.is_some_and(|until| until > signs.now) => Some(TaskState::Retryable),
        (None, Some(true)) => Some(TaskState::Running),
        (None, None) if signs.is_scheduled => Some(TaskState::Scheduled),
        // Failed before, and on its way back through the schedules.
        (None, None) => signs.attempts.map(|_| TaskState::Retryable),
    }
}

/// The latest moment a failed task's next attempt begins, by its own policy over its skill's.
pub(crate) fn backoff_until(
    attempts: Option<&AttemptRecord>,
    place: Option<&Place>,
    queue: Option<&QueueView>,
) -> Option<UnixMillis> {
    let last = attempts?.failures.last()?;
    let skill = queue.map_or_else(Policy::default, |queue| queue.policy.policy.clone());
    let policy = place.and_then(|place| place.task.as_ref()).map_or_else(|| skill.clone(), |task| task.policy(&skill));
    Some(last.finished.plus(policy.backoff.after(last.attempt)))
}

impl Client {
    /// Reads everything that is known of a task.
    ///
    /// The records are read one after another, not at one moment: a task that moves meanwhile is shown as it was at one
    /// of these moments.
    ///
    /// # Errors
    /// [`QueryError::UnknownTask`] when there is no trace of it, [`QueryError::Broker`]; safe to call again.
    pub async fn show(&self, skill: &Skill, task: &TaskId) -> Result<TaskView, QueryError> {
        let broker = &self.inner.broker;
        let failed = || QueryError::broker(format!("read task {task}"));
        let last = |stream: &str, subject: String| broker.last(stream.to_owned(), subject);
        let (outcome, attempts, dead, schedule, cancel) = tokio::try_join!(
            last(assets::OUTCOMES, subject::outcome(skill, task)),
            last(assets::ATTEMPTS, subject::attempt(skill, task)),
            last(assets::DEAD, subject::dead(skill, task)),
            last(assets::SCHEDULES, subject::schedule(skill, task)),
            last(assets::CONTROL, subject::cancel(skill, task)),
        )
        .map_err(failed())?;
        let mut outcome = outcome.and_then(|stored| RawOutcome::parse(&stored.headers, stored.body).ok());
        let attempts: Option<AttemptRecord> = attempts.and_then(|stored| serde_json::from_slice(&stored.body).ok());
        let dead = dead.and_then(|stored| DeadLetter::parse(&stored.headers, stored.body).ok());
        let schedule = schedule.as_ref().and_then(read_entry);
        let (mut queue, mut place) = (None, None);
        if outcome.is_none() {
            match self.queue(skill).await {
                Ok(found) => {
                    place = self.locate_in(&found, task).await?;
                    queue = Some(found);
                }
                Err(QueryError::NoQueue { .. }) => {}
                Err(error) => return Err(error),
            }
            // It may have ended between the two looks.
            outcome = self.look(skill, task).await.map_err(|error| from_wait(task, error))?;
        }
        let now = queue.as_ref().map_or_else(|| self.now(), |queue| queue.now);
        let state = judge(Signs {
            outcome: outcome.as_ref().map(|raw| raw.outcome.kind),
            attempts: attempts.as_ref(),
            is_scheduled: schedule.is_some(),
            is_taken: place.as_ref().map(|place| place.is_taken),
            backoff_until: backoff_until(attempts.as_ref(), place.as_ref(), queue.as_ref()),
            now,
        });
        let is_cancel_asked = cancel.is_some();
        let state = match state {
            Some(state) => state,
            None if dead.is_some() => TaskState::Dead,
            None => return Err(QueryError::UnknownTask { task: task.clone(), skill: Some(skill.clone()) }),
        };
        Ok(TaskView {
            task: task.clone(),
            skill: skill.clone(),
            state,
            outcome: outcome.map(|raw| raw.outcome),
            attempts,
            dead,
            schedule,
            place: place.filter(|_| !state.is_terminal()),
            queue,
            is_cancel_asked,
            now,
        })
    }

    /// The outcome of a task with its result, `None` while it has not ended.
    ///
    /// # Errors
    /// [`QueryError`]; safe to call again.
    pub async fn result(&self, skill: &Skill, task: &TaskId) -> Result<Option<TaskOutcome>, QueryError> {
        let raw = self.look(skill, task).await.map_err(|error| from_wait(task, error))?;
        let Some(raw) = raw else { return Ok(None) };
        let fetched = raw.fetch(&self.inner.blobs).await;
        fetched.map(Some).map_err(|source| QueryError::Payload { task: task.clone(), source: Box::new(source) })
    }
}

fn from_wait(task: &TaskId, error: WaitError) -> QueryError {
    match error {
        WaitError::Garbled { task, source } => QueryError::Garbled { task, source },
        WaitError::Result { task, source } => QueryError::Payload { task, source },
        WaitError::Broker { source, .. } => QueryError::Broker { what: format!("read task {task}"), source },
        WaitError::TimedOut { .. } | WaitError::Forgotten { .. } | WaitError::Items { .. } | WaitError::Submit(_) => {
            QueryError::UnknownTask { task: task.clone(), skill: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_from_the_signs() {
        let record = AttemptRecord { failed: 1, ..AttemptRecord::default() };
        let none = Signs {
            outcome: None,
            attempts: None,
            is_scheduled: false,
            is_taken: None,
            backoff_until: None,
            now: UnixMillis(10),
        };
        let taken = Signs { is_taken: Some(true), attempts: Some(&record), ..none };
        for (signs, state) in [
            (none, None),
            (Signs { outcome: Some(OutcomeKind::Dead), ..taken }, Some(TaskState::Dead)),
            (Signs { is_taken: Some(false), ..taken }, Some(TaskState::Available)),
            (taken, Some(TaskState::Running)),
            (Signs { backoff_until: Some(UnixMillis(11)), ..taken }, Some(TaskState::Retryable)),
            (Signs { backoff_until: Some(UnixMillis(10)), ..taken }, Some(TaskState::Running)),
            (Signs { is_scheduled: true, ..none }, Some(TaskState::Scheduled)),
            (Signs { attempts: Some(&record), ..none }, Some(TaskState::Retryable)),
        ] {
            assert_eq!(judge(signs), state, "{signs:?}");
        }
    }
}
