//! What a task of the chaos skills is told to do, and what must become of it.

use nova_types::{OutcomeKind, codes};
use serde::{Deserialize, Serialize};

/// How a task is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// With a result.
    #[default]
    Done,
    /// With a result, once so many attempts have failed.
    FailFirst(u32),
    /// Failing until its attempts are used up.
    Fail,
    /// Rejected: never to be tried again.
    Reject,
    /// Panicking until its attempts are used up.
    Panic,
    /// Put back once without using up an attempt, then with a result.
    Snooze,
}

/// The input of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Order {
    /// Comes back in the result.
    pub n: u64,
    /// How long an attempt takes, in milliseconds.
    pub hold_ms: u64,
    /// How it ends.
    pub end: End,
    /// Of a workflow's step: its run and name, to find it in the history.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// Ballast; comes back, too.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pad: String,
}

/// What a task answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// That of the order.
    pub n: u64,
    /// That of the order.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pad: String,
}

/// What must become of a task that nobody cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How it ends.
    pub kind: OutcomeKind,
    /// Its code, when that is certain.
    pub code: Option<&'static str>,
}

/// The code of failures and rejections on order.
pub const TOLD_TO: &str = "told_to";
/// How many attempts a task has: the policy of the chaos skills.
pub const MAX_ATTEMPTS: u32 = 3;

impl Order {
    /// What must become of it.
    #[must_use]
    pub fn expected(&self) -> Expected {
        let dead = |code| Expected { kind: OutcomeKind::Dead, code: Some(code) };
        match self.end {
            End::Done | End::Snooze => Expected { kind: OutcomeKind::Completed, code: None },
            End::FailFirst(failures) if failures < MAX_ATTEMPTS => {
                Expected { kind: OutcomeKind::Completed, code: None }
            }
            End::Fail | End::Reject | End::FailFirst(_) => dead(TOLD_TO),
            End::Panic => dead(codes::PANIC),
        }
    }
}
