//! What another version of a workflow would have done with a recorded run.
//!
//! The new version is run dry: as its tasks start, they come to the recorded ends of the same tasks.

mod played;
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use nova_types::StepId;
use nova_workflow::{Plan, RunEnd, Transition};
use serde::{Deserialize, Serialize};

use super::{Data, Run, StepStatus, Unverified};
use played::Played;
use recorded::Recorded;

/// What a new version would have done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// The recorded run's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<RunEnd>,
    /// The end the new version comes to; none when it would still wait for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// Every step of either version.
    pub steps: BTreeMap<StepId, StepRehearsal>,
}

/// What a new version would have done with one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRehearsal {
    /// In short.
    pub comes_to: Rehearsed,
    /// Where the step stood in the recorded run.
    pub was: StepStatus,
    /// Where it stands after the new version's.
    pub is: StepStatus,
}

/// How a step compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rehearsed {
    /// It does the same, with the same inputs.
    Same,
    /// It does the same tasks, with other inputs: their recorded results may not be what they would be.
    DifferentInput,
    /// It waits for, or starts, what the recorded run has no end of.
    NoRecord,
    /// It began in the recorded run, and would not.
    NotStarted,
    /// It ends another way.
    DifferentEnd,
}

/// Runs `new` dry over the recorded ends of a run of `old`.
///
/// # Errors
/// As [`verify`](super::verify) of the recorded run.
pub fn rehearse(old: &Plan, new: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Rehearsal, Unverified> {
    let recorded = Recorded::read(old, transitions, data)?;
    let (played, recorded) = Played::play(new, transitions, recorded, data).map_err(Unverified::Stuck)?;
    let ids: BTreeSet<_> = old.order().iter().chain(new.order()).cloned().collect();
    let status = |run: &Run, id: &StepId| match run.steps.get(id) {
        None => StepStatus::Waiting,
        Some(step) => step.ended.as_ref().map_or(StepStatus::Running, |ended| ended.status),
    };
    let mut steps = BTreeMap::new();
    for id in ids {
        let (was, is) = (status(&recorded.run, &id), status(&played.run, &id));
        let has_begun = |status| matches!(status, StepStatus::Running | StepStatus::Completed | StepStatus::Failed);
        let comes_to = if has_begun(was) && !has_begun(is) {
            Rehearsed::NotStarted
        } else if is == StepStatus::Running && was != is {
            Rehearsed::NoRecord
        } else if was != is {
            Rehearsed::DifferentEnd
        } else if played.different.contains(&id) {
            Rehearsed::DifferentInput
        } else {
            Rehearsed::Same
        };
        steps.insert(id, StepRehearsal { comes_to, was, is });
    }
    Ok(Rehearsal { was: recorded.run.end().cloned(), end: played.run.end().cloned(), steps })
}
