//! Lifecycle facts of a task, as JSON on `nova.event.task.<kind>...`.

use nova_types::{Code, Skill, TaskId, UnixMillis, WorkerId};
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Stored in its queue; level `full` only.
    Submitted,
    /// An attempt began; level `full` only.
    Started,
    /// The skill told how far it is; level `full` only.
    Progress,
    /// An attempt failed and another will follow.
    Retried,
    /// An attempt lost its lease, or its outcome came after another's.
    Fenced,
    /// It will not be tried again.
    Dead,
    /// It was cancelled.
    Cancelled,
}

impl EventKind {
    /// The word in the subject.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Progress => "progress",
            Self::Retried => "retried",
            Self::Fenced => "fenced",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is stored at the default level, too.
    #[must_use]
    pub const fn is_default(self) -> bool {
        matches!(self, Self::Retried | Self::Fenced | Self::Dead | Self::Cancelled)
    }
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEventRecord {
    /// What happened.
    pub kind: EventKind,
    /// To which task.
    pub task: TaskId,
    /// Of which skill.
    pub skill: Skill,
    /// Which attempt; 0 when none ran.
    pub attempt: u32,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerId>,
    /// When.
    pub at: UnixMillis,
    /// Why, where something failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The same for a person, or a note on the progress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How much is done, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f32>,
    /// When the next attempt may begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<UnixMillis>,
}
