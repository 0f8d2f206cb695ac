//! A run as the engine knows it: everything that follows from its events, in a form that is cheap to clone.

use std::collections::BTreeMap;

use nova_types::{Code, RunId, RunStatus, StepId, UnixMillis};
use nova_workflow::{BlobName, Datum, Failure, Parent, Part, RECORD_VERSION, Role, RunEnd, Segment, Started, Timer};
use serde::{Deserialize, Serialize};

use super::shared::Shared;

mod step;

pub use step::StepStatus;
pub(super) use step::{
    Active, Alarm, Answer, Cast, Ended, Late, List, LoopState, MapState, Open, StepRun, VoteState, WaitState,
};

/// A run: what its events and decisions so far come to.
///
/// A snapshot of a run is this as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    v: u32,
    pub(super) id: RunId,
    pub(super) n: u64,
    pub(super) emitted: u64,
    pub(super) started: Option<Shared<Started>>,
    pub(super) started_at: UnixMillis,
    pub(super) queued: bool,
    pub(super) paused: bool,
    pub(super) deadline: Option<Alarm>,
    pub(super) steps: BTreeMap<StepId, Shared<StepRun>>,
    /// How many tasks are under way; the caps count on it.
    pub(super) flying: u32,
    /// How many steps have ended: the order undo goes back in.
    pub(super) ended_steps: u32,
    pub(super) signals: Shared<Vec<Signal>>,
    /// The stream sequences of the orders already taken.
    pub(super) orders: Shared<Vec<u64>>,
    /// Timers withdrawn, for as long as that may not be carried out.
    pub(super) unset: Vec<(Timer, u64)>,
    pub(super) ending: Option<Shared<Ending>>,
    pub(super) ended: Option<Shared<Final>>,
}

/// A signal no step has taken yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signal {
    pub name: String,
    pub data: Datum,
}

/// A run on its way to an end that is not good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ending {
    pub end: RunEnd,
    /// The undo under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<(StepId, Open)>,
    /// The steps whose undo is over, well or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<StepId>,
}

/// A run's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Final {
    pub end: RunEnd,
    pub at: UnixMillis,
    pub n: u64,
}

impl Run {
    /// A run before its first event.
    #[must_use]
    pub fn new(id: RunId) -> Self {
        Self {
            v: RECORD_VERSION,
            id,
            n: 0,
            emitted: 0,
            started: None,
            started_at: UnixMillis(0),
            queued: false,
            paused: false,
            deadline: None,
            steps: BTreeMap::new(),
            flying: 0,
            ended_steps: 0,
            signals: Shared::default(),
            orders: Shared::default(),
            unset: Vec::new(),
            ending: None,
            ended: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The version of its form; a snapshot of another one than [`RECORD_VERSION`] is not to be used.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.v
    }

    /// The number of its last transition; 0 before the first.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Everything decided up to this transition is known to be carried out.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Notes that everything decided up to transition `n` is carried out; the next transition records it.
    pub fn mark_emitted(&mut self, n: u64) {
        self.emitted = self.emitted.max(n.min(self.n));
        self.unset.retain(|(_, n)| *n > self.emitted);
    }

    /// How it began, once it did.
    #[must_use]
    pub fn started(&self) -> Option<&Started> {
        self.started.as_deref()
    }

    /// When it began.
    #[must_use]
    pub fn started_at(&self) -> Option<UnixMillis> {
        self.started.as_ref().map(|_| self.started_at)
    }

    /// The run it is a child of.
    #[must_use]
    pub fn parent(&self) -> Option<&Parent> {
        self.started().and_then(|started| started.parent.as_ref())
    }

    /// How it ended, once it did.
    #[must_use]
    pub fn end(&self) -> Option<&RunEnd> {
        self.ended.as_ref().map(|last| &last.end)
    }

    /// When it ended, once it did.
    #[must_use]
    pub fn ended_at(&self) -> Option<UnixMillis> {
        self.ended.as_ref().map(|last| last.at)
    }

    /// How many of its steps have ended.
    #[must_use]
    pub fn steps_ended(&self) -> usize {
        self.steps.values().filter(|step| step.ended.is_some()).count()
    }

    /// How many of its tasks are under way.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        self.flying
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match (&self.ended, &self.ending) {
            (Some(last), _) => last.end.status,
            (None, _) if self.paused => RunStatus::Paused,
            (None, Some(_)) => RunStatus::Undoing,
            (None, None) if self.queued || self.started.is_none() => RunStatus::Queued,
            (None, None) => RunStatus::Running,
        }
    }

    pub(super) fn ended_step(&self, step: &StepId) -> Option<&Shared<Ended>> {
        self.steps.get(step).and_then(|step| step.ended.as_ref())
    }

    pub(super) fn is_active(&self, step: &StepId) -> bool {
        self.steps.get(step).is_some_and(|step| step.ended.is_none())
    }

    /// Whether a task of a step's work or its judge is under way.
    pub(super) fn is_open(&self, part: &Part) -> bool {
        self.steps.get(&part.step).is_some_and(|step| match part.role {
            Role::Work => step.open.contains_key(&part.index),
            Role::Judge => step.judge.is_some(),
            Role::Undo => false,
        })
    }

    pub(super) fn is_skipped(&self, step: &StepId) -> bool {
        self.ended_step(step).is_some_and(|ended| ended.status == StepStatus::Skipped)
    }

    pub(super) fn has_completed(&self, step: &StepId) -> bool {
        self.ended_step(step).is_some_and(|ended| ended.status == StepStatus::Completed)
    }
}

/// A failure from a code and words for a person.
pub(super) fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: Code::new(code), message: message.into() }
}

/// The object a datum lies in, when it does.
pub(super) fn blob_of(datum: &Datum) -> Option<&BlobName> {
    if let Datum::Blob(blob) = datum { Some(blob) } else { None }
}

/// A segment that says of items that they have none.
pub(super) fn empty_segment(items: Vec<u32>) -> Segment {
    let results = vec![serde_json::Value::Null; items.len()];
    Segment { items, results: Datum::Inline(results.into()) }
}
