//! The way to an end that is not good: what runs is cancelled, what is finished is undone, the last first.

use nova_types::OutcomeKind;
use nova_types::{RunStatus, StepId, codes};
use nova_workflow::definition::RunFailure;
use nova_workflow::{Decision, End, Failure, Part, Role, RunEnd};
use serde_json::Value;

use super::Stuck;
use super::shared::Shared;
use super::state::{Active, Ending, failure};
use super::step;
use super::turn::Turn;

/// Turns the run towards `end`: nothing starts any more, and what is under way is asked to stop.
pub(super) fn begin(turn: &mut Turn<'_>, end: RunEnd) {
    turn.run.ending = Some(Shared::new(Ending { end, undo: None, tried: Vec::new() }));
    turn.unset_deadline();
    let active: Vec<_> = turn.run.steps.keys().filter(|id| turn.run.is_active(id)).cloned().collect();
    for id in active {
        turn.unset_timer(&id);
        turn.cancel_parts(&id);
    }
}

/// Goes on as far as what is under way allows.
pub(super) fn settle(turn: &mut Turn<'_>) -> Result<(), Stuck> {
    let idle: Vec<_> = turn
        .run
        .steps
        .iter()
        .filter(|(_, step)| step.ended.is_none() && step.is_idle())
        .map(|(id, _)| id.clone())
        .collect();
    for id in idle {
        stop(turn, &id);
    }
    if turn.run.flying > 0 {
        return Ok(());
    }
    while let Some(id) = next_undo(turn) {
        if turn.run.paused {
            return Ok(());
        }
        let part = Part { step: id.clone(), role: Role::Undo, index: 0 };
        match turn.launch(&part)? {
            Ok(open) => {
                ending_mut(turn).undo = Some((id.clone(), open));
                turn.decisions.push(Decision::Start { step: id, role: Role::Undo, from: 0, to: 1 });
                return Ok(());
            }
            Err(_) => tried(turn, &id, false),
        }
    }
    let end = ending_mut(turn).end.clone();
    turn.end(end, Value::Null);
    Ok(())
}

/// Ends a step that has nothing more under way.
fn stop(turn: &mut Turn<'_>, id: &StepId) {
    let is_whole_map = match &turn.run.steps[id].active {
        Active::Map(map) => map.todo.is_empty(),
        _ => false,
    };
    if is_whole_map {
        step::map::finish(turn, id);
    } else {
        let why = match turn.run.ending.as_ref().map(|ending| ending.end.status) {
            Some(RunStatus::Cancelled) => "the run was cancelled",
            _ => "the run failed",
        };
        turn.fail(id, failure(codes::CANCELLED, why), 0);
    }
}

/// The step to be undone next: of those that did their work in this run and have an undo, the last to end.
fn next_undo(turn: &Turn<'_>) -> Option<StepId> {
    let ending = turn.run.ending.as_ref()?;
    if turn.plan.workflow().on_failure == RunFailure::Leave {
        return None;
    }
    let undoable = turn.run.steps.iter().filter(|(id, _)| turn.plan.step(id).undo.is_some());
    undoable
        .filter(|(id, _)| !ending.tried.contains(id))
        .filter_map(|(id, step)| Some((step.done_in_order()?, id)))
        .max()
        .map(|(_, id)| id.clone())
}

/// Folds the end of an undo.
pub(super) fn undone(turn: &mut Turn<'_>, end: &End) {
    let undo = turn.run.ending.as_ref().and_then(|ending| ending.undo.as_ref());
    if undo.is_some_and(|(step, _)| *step == end.part.step) {
        ending_mut(turn).undo = None;
        turn.run.flying -= 1;
        tried(turn, &end.part.step, end.kind == OutcomeKind::Completed);
    }
}

fn tried(turn: &mut Turn<'_>, id: &StepId, is_undone: bool) {
    let ending = ending_mut(turn);
    ending.tried.push(id.clone());
    if !is_undone {
        ending.end.not_undone.push(id.clone());
    }
}

fn ending_mut<'t>(turn: &'t mut Turn<'_>) -> &'t mut Ending {
    turn.run.ending.as_mut().expect("the run is ending").to_mut()
}

/// What a task's end says of why it is not complete.
pub(super) fn failure_of(end: &End) -> Failure {
    end.error.clone().unwrap_or_else(|| match end.kind {
        OutcomeKind::Cancelled => failure(codes::CANCELLED, "the task was cancelled"),
        _ => failure(codes::ERROR, "the task failed"),
    })
}
