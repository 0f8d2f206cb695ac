//! What a restarted run takes over from the run before it.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::{StepId, codes};
use nova_workflow::{Failure, Kept, Kind, Plan, Restart};

use super::state::{Active, Answer, List, StepRun, empty_segment, failure};
use super::{Run, StepStatus};

/// What a restart of `old` after `plan` keeps: steps that completed or were skipped, and the completed items of maps.
///
/// Done again are the steps of `request.from` (those of the old run that did not complete, without), all that depend on them,
/// whatever the old run has undone, and steps that `plan` has anew or as another kind. Joins are counted again from what is
/// kept.
///
/// # Errors
/// A failure of the code `bad_input` when `request.from` names a step that `plan` has not.
pub fn restart(old: &Run, plan: &Plan, request: &Restart) -> Result<BTreeMap<StepId, Kept>, Failure> {
    let known = &plan.workflow().steps;
    if let Some(unknown) = request.from.iter().find(|id| !known.contains_key(id)) {
        let workflow = &plan.workflow().workflow;
        return Err(failure(
            codes::BAD_INPUT,
            format!("workflow `{workflow}` has no step `{unknown}` to restart from"),
        ));
    }
    let again: BTreeSet<_> =
        plan.order().iter().filter(|id| request.from.contains(id) || !is_done(old, plan, id)).cloned().collect();
    let behind = behind(plan, &again);
    let mut all_kept = BTreeMap::new();
    for id in plan.order() {
        if request.from.contains(id) || behind.contains(id) || matches!(plan.kind(id), Kind::Join(_)) {
            continue;
        }
        if let Some(kept) = old.steps.get(id).and_then(|step| kept(old, plan, id, step)) {
            all_kept.insert(id.clone(), kept);
        }
    }
    Ok(all_kept)
}

/// Whether the old run has done with a step, in a way that holds.
fn is_done(old: &Run, plan: &Plan, id: &StepId) -> bool {
    (old.has_completed(id) || old.is_skipped(id)) && !is_undone(old, id) && is_same_kind(old, plan, id)
}

fn is_undone(old: &Run, id: &StepId) -> bool {
    let ending = old.ending.as_ref();
    ending.is_some_and(|ending| {
        ending.tried.contains(id) || ending.undo.as_ref().is_some_and(|(undoing, _)| undoing == id)
    })
}

fn is_same_kind(old: &Run, plan: &Plan, id: &StepId) -> bool {
    old.steps.get(id).is_some_and(|step| step.kind == plan.kind(id).as_str())
}

/// All that depends on these steps, however far.
fn behind(plan: &Plan, of: &BTreeSet<StepId>) -> BTreeSet<StepId> {
    let (mut behind, mut next): (BTreeSet<StepId>, Vec<_>) = (BTreeSet::new(), of.iter().collect());
    while let Some(id) = next.pop() {
        for dependant in plan.dependants(id) {
            if behind.insert(dependant.clone()) {
                next.push(dependant);
            }
        }
    }
    behind
}

fn kept(old: &Run, plan: &Plan, id: &StepId, step: &StepRun) -> Option<Kept> {
    if is_undone(old, id) || !is_same_kind(old, plan, id) {
        return None;
    }
    let Some(ended) = &step.ended else {
        return if let Active::Map(map) = &step.active { items(&map.list) } else { None };
    };
    match (ended.status, &ended.answer) {
        (StepStatus::Skipped, _) => Some(Kept::Skipped),
        (StepStatus::Completed, Answer::Value(result)) => Some(Kept::Completed(result.clone())),
        (StepStatus::Completed, Answer::List(list)) => {
            // The failed items of a map that completed were let pass: they stay as they are.
            let mut done: Vec<_> = list.segments.iter().cloned().collect();
            if !list.failed.is_empty() {
                done.push(empty_segment(list.failed.iter().collect()));
            }
            Some(Kept::Items { count: list.count, done })
        }
        (StepStatus::Failed, Answer::List(list)) => items(list),
        _ => None,
    }
}

fn items(list: &List) -> Option<Kept> {
    let done: Vec<_> = list.segments.iter().cloned().collect();
    (!done.is_empty()).then_some(Kept::Items { count: list.count, done })
}
