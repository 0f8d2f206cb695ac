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
    /// Its input; of a bundle the list of its items' inputs.
    pub input: Value,
    /// The items of a map that it is a bundle of; none when it is no bundle.
    pub items: Vec<u32>,
}

impl TaskOrder {
    /// What it asks for, item by item: a bundle is so many works, any other task is one.
    pub fn works(&self) -> impl Iterator<Item = (Part, &Value)> {
        let whole = self.items.is_empty().then(|| (self.part.clone(), &self.input));
        let inputs = self.input.as_array().into_iter().flatten();
        let items = self.items.iter().zip(inputs);
        whole.into_iter().chain(items.map(|(item, input)| (Part::work(self.part.step.clone(), *item), input)))
    }
}
