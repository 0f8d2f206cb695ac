//! What a run is made of beside its steps: their tasks, and the moments it waits for, each with a name of its own.

use nova_types::{RunId, StepId};
use serde::{Deserialize, Serialize};

/// One task of a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The step.
    pub step: StepId,
    /// What it is to the step.
    #[serde(default, skip_serializing_if = "Role::is_work")]
    pub role: Role,
    /// The item, voter or round; 0 where there is but one.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub index: u32,
}

/// What a task is to its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Its work.
    #[default]
    Work,
    /// The judge of its vote.
    Judge,
    /// Its undo.
    Undo,
}

impl Role {
    pub(super) fn is_work(&self) -> bool {
        *self == Self::Work
    }

    /// The word for it in names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Judge => "judge",
            Self::Undo => "undo",
        }
    }
}

impl Part {
    /// The only task of a step's work.
    #[must_use]
    pub fn work(step: StepId, index: u32) -> Self {
        Self { step, role: Role::Work, index }
    }

    /// The task's name in its run: `<run>_<hash of "step/role/index">`.
    #[must_use]
    pub fn name(&self, run: &RunId) -> nova_types::Name {
        run.name_of(&format!("{}/{}/{}", self.step, self.role.as_str(), self.index))
    }
}

/// A moment a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Timer {
    /// The run's deadline.
    Deadline,
    /// The end of a wait, or of its patience.
    Wait(StepId),
    /// The next round of a loop.
    Round(StepId, u32),
}

impl Timer {
    /// The name of its schedule in its run.
    #[must_use]
    pub fn name(&self, run: &RunId) -> nova_types::Name {
        run.name_of(&match self {
            Self::Deadline => "timer/deadline".to_owned(),
            Self::Wait(step) => format!("timer/wait/{step}"),
            Self::Round(step, round) => format!("timer/round/{step}/{round}"),
        })
    }
}
