//! The terminal record of a task.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Code, Skill, TaskId, UnixMillis, WorkerId};

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// An attempt returned a result.
    Completed,
    /// It will not be tried again; a dead letter keeps the original.
    Dead,
    /// Someone asked for it to end.
    Cancelled,
}

impl OutcomeKind {
    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kind a word on the wire stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Completed, Self::Dead, Self::Cancelled].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an attempt used, where it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time.
    pub cpu: Option<Duration>,
    /// The largest resident memory, in bytes.
    pub rss_bytes: Option<u64>,
}

/// How the items of a bundle ended; what is in neither of the latter two completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ItemCount {
    /// How many there are.
    pub items: u32,
    /// How many will not be tried again.
    pub failed: u32,
    /// How many were cancelled, by their skill.
    pub cancelled: u32,
}

/// The terminal record's facts, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How the task ended.
    pub kind: OutcomeKind,
    /// Which task.
    pub task: TaskId,
    /// Of which skill.
    pub skill: Skill,
    /// The attempt that ended it; 0 when none ever ran.
    pub attempt: u32,
    /// Who recorded it.
    pub worker: Option<WorkerId>,
    /// Tells one process' record from another's of the same name.
    pub nonce: Option<String>,
    /// When the broker stored the task.
    pub submitted: Option<UnixMillis>,
    /// When the attempt began.
    pub started: Option<UnixMillis>,
    /// When it ended.
    pub finished: UnixMillis,
    /// Why, when not completed.
    pub code: Option<Code>,
    /// What the attempt used.
    pub usage: Usage,
    /// Of a completed bundle: how its items ended.
    pub items: Option<ItemCount>,
}
