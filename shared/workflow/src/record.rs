//! What is recorded of a run: one transition per message, made of what happened and what was decided.
//!
//! A run's history is `nova.run.<partition>.<run>`. Folding its events through the engine gives the same decisions again;
//! `nova run verify` proves it. A record of a version this code does not know is never guessed at.

mod part;
mod request;

use nova_types::{Code, OutcomeKind, RunId, RunStatus, StepId, TaskId, UnixMillis, WorkflowName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::{Datum, Plan};

pub use part::{Part, Role, Timer};
pub use request::{Order, Restart, StartRequest};

/// The version of the records this code writes, and the only one it reads.
pub const RECORD_VERSION: u32 = 1;

/// One message of a run's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// The record's version.
    pub v: u32,
    /// Its number in the run, from 1, without gaps.
    pub n: u64,
    /// The moment it was decided at.
    pub at: UnixMillis,
    /// What happened, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Everything decided up to this transition has been carried out.
    pub emitted: u64,
}

/// Something that happened to a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// It was asked for; the first event of every run.
    Started(Box<Started>),
    /// There was room among the runs of its workflow.
    Admitted,
    /// Tasks of steps ended.
    Ended(Vec<End>),
    /// Tasks of a map ended.
    Items(Items),
    /// A moment came.
    Fired(Timer),
    /// Someone sent a signal.
    Signalled {
        /// The order's stream sequence.
        order: u64,
        /// The signal's name.
        name: String,
        /// What came with it.
        #[serde(default)]
        data: Datum,
        /// Who says to have sent it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Someone approved or refused.
    Approved(Approved),
    /// Someone asked for it to end.
    Cancelled {
        /// Why, for a person.
        #[serde(default)]
        why: String,
    },
    /// Someone paused it.
    Paused {
        /// The order's stream sequence.
        order: u64,
    },
    /// Someone resumed it.
    Resumed {
        /// The order's stream sequence.
        order: u64,
    },
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The task that it is, of the skill `nova-run`.
    pub task: TaskId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// The definition it is pinned to: the SHA-256 of its canonical JSON, in hex.
    pub definition: String,
    /// Its input, defaults filled in.
    pub input: Datum,
    /// Its key, when its workflow has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether it must wait for room first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// The moment by which its own task must end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<UnixMillis>,
    /// The run and step it is the child of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// The run it is a restart of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_of: Option<RunId>,
    /// What it takes over from that run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<StepId, Kept>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl Started {
    /// The beginning of a run of that plan that nothing but its input is asked of.
    #[must_use]
    pub fn new(task: TaskId, plan: &Plan, input: Datum) -> Self {
        Self {
            task,
            workflow: plan.workflow().workflow.clone(),
            definition: plan.hash().to_owned(),
            input,
            key: None,
            queued: false,
            deadline: None,
            parent: None,
            restart_of: None,
            kept: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// Whose child a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// The run.
    pub run: RunId,
    /// Its step.
    pub step: StepId,
}

/// What a restarted run takes over of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Kept {
    /// The step, completed with this result.
    Completed(Datum),
    /// The step, skipped.
    Skipped,
    /// The completed items of a map.
    Items {
        /// How many items it has.
        count: u32,
        /// Their results.
        done: Vec<Segment>,
    },
}

/// Results of some items of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Which items.
    pub items: Vec<u32>,
    /// A list of their results in the same order.
    pub results: Datum,
}

/// The end of one task of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Which.
    pub part: Part,
    /// How it ended.
    pub kind: OutcomeKind,
    /// After how many attempts.
    pub attempt: u32,
    /// Its result; null unless completed.
    #[serde(default)]
    pub result: Datum,
    /// Why, unless completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Ends of a map's tasks, folded into one record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// The map.
    pub step: StepId,
    /// Those that completed.
    pub done: Segment,
    /// Those that did not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Lost>,
}

/// An item of a map that did not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// The item.
    pub item: u32,
    /// How many attempts it had.
    #[serde(default)]
    pub attempts: u32,
    /// Why.
    pub error: Failure,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The code.
    pub code: Code,
    /// For a person.
    pub message: String,
}

/// An answer to an approval step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// The order's stream sequence.
    pub order: u64,
    /// The step.
    pub step: StepId,
    /// The hash of what was looked at.
    pub hash: String,
    /// Yes or no.
    pub yes: bool,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A word with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Something the engine decided; carried out by the coordinator, once each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// These tasks of a step start: `from..to`.
    Start {
        /// The step.
        step: StepId,
        /// What the tasks are to it.
        #[serde(default, skip_serializing_if = "Role::is_work")]
        role: Role,
        /// The first.
        from: u32,
        /// Behind the last.
        to: u32,
    },
    /// These items of a map start: the ones a restart has to make up for.
    Items {
        /// The map.
        step: StepId,
        /// Which.
        items: Vec<u32>,
    },
    /// A step waits for a signal, an approval or a moment.
    Wait {
        /// The step.
        step: StepId,
        /// The hash of what is to be approved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash: Option<String>,
    },
    /// A timer is set.
    Set {
        /// Which.
        timer: Timer,
        /// For when.
        at: UnixMillis,
    },
    /// A timer is withdrawn.
    Unset {
        /// Which.
        timer: Timer,
    },
    /// A task under way is to be cancelled.
    Cancel {
        /// Which.
        part: Part,
    },
    /// A step completed.
    Complete {
        /// Which.
        step: StepId,
    },
    /// A step failed.
    Fail {
        /// Which.
        step: StepId,
        /// Why.
        failure: Failure,
    },
    /// A step is skipped.
    Skip {
        /// Which.
        step: StepId,
    },
    /// An order came too late, or was not for this run.
    Ignore {
        /// What and why, for a person.
        why: String,
    },
    /// The run's status changed.
    Status(RunStatus),
    /// The run ended.
    End(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEnd {
    /// Completed, failed or cancelled.
    pub status: RunStatus,
    /// The step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// How many attempts its task had.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Steps whose undo failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<StepId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}
