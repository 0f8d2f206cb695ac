//! The life of a task as one transition table.

use serde::{Deserialize, Serialize};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for its time in the schedules.
    Scheduled,
    /// Waits in its queue.
    Available,
    /// An attempt holds the lease.
    Running,
    /// An attempt failed and the next waits for its pause.
    Retryable,
    /// Ended with a result.
    Completed,
    /// Ended by request.
    Cancelled,
    /// Ended without a result.
    Dead,
}

/// What can happen to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TaskEvent {
    /// Its time came.
    Due,
    /// A worker took the lease.
    Started,
    /// The skill returned a result.
    Done,
    /// The attempt failed and may be tried again.
    Failed,
    /// The attempt was handed back, or its lease ran out; no attempt is used up.
    HandedBack,
    /// The skill asked to be called later; no attempt is used up.
    Snoozed,
    /// No attempt is left, or none is wanted.
    GaveUp,
    /// Someone asked for its end.
    Cancelled,
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a task that is {state:?} cannot be {event:?}")]
pub struct IllegalTransition {
    state: TaskState,
    event: TaskEvent,
}

impl TaskState {
    /// The state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`] for a pair that the life of a task does not know.
    pub fn after(self, event: TaskEvent) -> Result<Self, IllegalTransition> {
        use TaskEvent as E;
        match (self, event) {
            (Self::Scheduled | Self::Retryable, E::Due) => Ok(Self::Available),
            (Self::Available | Self::Retryable, E::Started) => Ok(Self::Running),
            (Self::Running, E::Done) => Ok(Self::Completed),
            (Self::Running, E::Failed) => Ok(Self::Retryable),
            (Self::Running, E::HandedBack) => Ok(Self::Available),
            (Self::Running, E::Snoozed) => Ok(Self::Scheduled),
            (Self::Available | Self::Running | Self::Retryable, E::GaveUp) => Ok(Self::Dead),
            (Self::Scheduled | Self::Available | Self::Running | Self::Retryable, E::Cancelled) => Ok(Self::Cancelled),
            (state, event) => Err(IllegalTransition { state, event }),
        }
    }

    /// Whether nothing more can happen.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled | Self::Dead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_task_stays_as_it_is() {
        use TaskEvent as E;
        for state in [TaskState::Completed, TaskState::Cancelled, TaskState::Dead] {
            for event in [E::Due, E::Started, E::Done, E::Failed, E::HandedBack, E::Snoozed, E::GaveUp, E::Cancelled] {
                assert!(state.after(event).is_err(), "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn a_retried_task_can_complete() {
        use TaskEvent as E;
        let end = [E::Started, E::Failed, E::Due, E::Started, E::Done]
            .into_iter()
            .try_fold(TaskState::Available, TaskState::after);
        assert_eq!(end, Ok(TaskState::Completed));
    }
}
