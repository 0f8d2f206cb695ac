//! One step of a run: what is under way of it, and how it ended.

use std::collections::BTreeMap;

use nova_types::{StepId, UnixMillis};
use nova_workflow::{Datum, Failure, Role, Timer};
use serde::{Deserialize, Serialize};

use crate::run::packs::Packs;
use crate::run::ranges::Ranges;
use crate::run::segments::Segments;
use crate::run::shared::Shared;

/// One step of a run that has begun or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct StepRun {
    /// The word for its kind, so that a restart with another version can tell.
    pub kind: String,
    pub at: UnixMillis,
    /// Tasks under way, by item, voter or round. Those of an ended step are being cancelled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<u32, Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Open>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<(Timer, Alarm)>,
    pub active: Active,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Shared<Ended>>,
    /// What its task did all the same, when it was skipped while under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Shared<Late>>,
}

/// A completion that came when the step was skipped: nobody sees it, but an undo must reverse it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct Late {
    /// Its place in the order of ends.
    pub order: u32,
    pub result: Datum,
}

/// A task under way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct Open {
    /// The transition that decided it.
    pub n: u64,
    /// The transition that cancelled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<u64>,
}

/// A timer that is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct Alarm {
    pub at: UnixMillis,
    /// The transition that decided it.
    pub n: u64,
}

/// What a kind of step has to remember while it is under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::run) enum Active {
    /// Nothing: a task, a child run, a join or a choice; and every kind once it is over.
    Plain,
    Map(MapState),
    Vote(VoteState),
    Loop(LoopState),
    Wait(WaitState),
}

/// A map under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct MapState {
    /// How many items it has; one object for the life of the map, so that its list can be remembered by it.
    pub count: Shared<u32>,
    /// How many of them an earlier run did.
    #[serde(default)]
    pub kept: u32,
    pub todo: Ranges,
    /// Its bundles under way, when its items are bundled.
    #[serde(default, skip_serializing_if = "Packs::is_empty")]
    pub packs: Packs,
    pub list: List,
    /// The first that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(u32, Failure)>,
    /// How many attempts the first failure had.
    pub attempts: u32,
}

/// The results of a map.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct List {
    pub count: u32,
    pub done: Ranges,
    pub failed: Ranges,
    pub segments: Segments,
}

/// A vote under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct VoteState {
    /// The next voter to be asked.
    pub next: u32,
    pub cast: BTreeMap<u32, Cast>,
}

/// What came of a voter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::run) enum Cast {
    Result(Shared<Datum>),
    Nothing(Failure),
}

/// A loop under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct LoopState {
    /// The next round.
    pub next: u32,
    /// How many rounds completed.
    pub done: u32,
    pub last: Shared<Datum>,
}

/// A wait under way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct WaitState {
    /// The hash of what is to be approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::run) struct Ended {
    pub status: StepStatus,
    pub at: UnixMillis,
    /// Its place in the order of ends; none for what an earlier run did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u32>,
    pub answer: Answer,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    #[serde(default)]
    pub attempts: u32,
    /// It did not complete, but part of its work was done in this run and is in the answer: nobody sees that, but an undo
    /// must reverse it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

/// How a step stands, as expressions and people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It has not begun.
    Waiting,
    /// It is under way.
    Running,
    /// It ended well.
    Completed,
    /// It failed.
    Failed,
    /// It was not needed.
    Skipped,
}

impl StepStatus {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The result of a step, in the form it was recorded in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::run) enum Answer {
    Value(Datum),
    /// A map's list; put together when someone asks.
    List(List),
    /// A join's steps, and whether each had come; their results are looked up when someone asks.
    Joined(BTreeMap<StepId, bool>),
}

impl StepRun {
    pub fn new(kind: &str, at: UnixMillis, active: Active) -> Self {
        Self {
            kind: kind.to_owned(),
            at,
            open: BTreeMap::new(),
            judge: None,
            timer: None,
            active,
            ended: None,
            late: None,
        }
    }

    /// Its tasks under way.
    pub fn parts(&self) -> impl Iterator<Item = (Role, u32, Open)> + '_ {
        let work = self.open.iter().map(|(index, open)| (Role::Work, *index, *open));
        work.chain(self.judge.map(|open| (Role::Judge, 0, open)))
    }

    /// Its place in the order of ends, when its work was done in this run.
    pub fn done_in_order(&self) -> Option<u32> {
        let ended = self.ended.as_ref().filter(|ended| ended.status == StepStatus::Completed || ended.partial);
        self.late.as_ref().map(|late| late.order).or_else(|| ended.and_then(|ended| ended.order))
    }

    pub fn is_idle(&self) -> bool {
        self.open.is_empty() && self.judge.is_none()
    }

    pub fn map(&self) -> Option<&MapState> {
        if let Active::Map(map) = &self.active { Some(map) } else { None }
    }

    pub fn map_mut(&mut self) -> Option<&mut MapState> {
        if let Active::Map(map) = &mut self.active { Some(map) } else { None }
    }

    pub fn vote(&self) -> Option<&VoteState> {
        if let Active::Vote(vote) = &self.active { Some(vote) } else { None }
    }

    pub fn repeat(&self) -> Option<&LoopState> {
        if let Active::Loop(repeat) = &self.active { Some(repeat) } else { None }
    }

    pub fn wait(&self) -> Option<&WaitState> {
        if let Active::Wait(wait) = &self.active { Some(wait) } else { None }
    }
}
