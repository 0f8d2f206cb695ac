//! What the engine asks for: tasks, timers, cancels and the end of the run.

use nova_types::{Backoff, DurationText, Priority, Skill, UnixMillis};
use nova_workflow::{Part, RunEnd, Timer};
use serde_json::Value;

/// Something to carry out, once the transition that decided it is recorded.
///
/// Each is safe to repeat: a task and a timer have a name that follows from the run, a cancel says the same twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A task is to be submitted.
    Task(Box<TaskOrder>),
    /// A timer is to be set.
    Set {
        /// Which.
        timer: Timer,
        /// For when.
        at: UnixMillis,
    },
    /// A timer is to be withdrawn.
    Unset {
        /// Which.
        timer: Timer,
    },
    /// A task is to be cancelled.
    Cancel {
        /// Which.
        part: Part,
        /// Of which skill it is.
        skill: Skill,
    },
    /// The run's outcome is to be written.
    End {
        /// How it ended.
        end: RunEnd,
        /// Its result; null unless it completed.
        result: Value,
    },
}

/// A task of a step, ready to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOrder {
    /// What it is to the run; its name follows from it.
    pub part: Part,
    /// Its skill.
    pub skill: Skill,
    /// How urgent it is.
    pub priority: Priority,
    /// The longest one attempt may run, unless the skill's.
    pub timeout: Option<DurationText>,
    /// How many attempts may fail, unless the skill's.
    pub max_attempts: Option<u32>,
    /// The pause between attempts, unless the skill's.
    pub backoff: Option<Backoff>,
    /// The key, for a keyed skill.
    pub key: Option<String>,
    /// Its input.
    pub input: Value,
}
