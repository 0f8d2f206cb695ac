//! Decides all that follows from what is known, until nothing more does.
//!
//! Steps are looked at in the plan's order, so that the same state always gives the same decisions in the same order.

use nova_types::{RunStatus, StepId};
use nova_workflow::{EvalError, Kind, RunEnd};
use serde_json::{Map, Value};

use super::scope::Scope;
use super::turn::{Turn, own};
use super::value::{bearable, result_of, weight_of};
use super::{Stuck, ending, step};

/// Decides until a pass over the steps decides nothing.
pub(super) fn settle(turn: &mut Turn<'_>) -> Result<(), Stuck> {
    if turn.run.started.is_none() {
        return Ok(());
    }
    loop {
        let before = (turn.decisions.len(), turn.run.ending.is_some());
        if turn.run.ended.is_some() {
            return Ok(());
        }
        if turn.run.ending.is_some() {
            ending::settle(turn)?;
        } else {
            for id in turn.plan.order() {
                visit(turn, id)?;
                if turn.run.ending.is_some() {
                    break;
                }
            }
            if turn.run.ending.is_none() {
                finish(turn)?;
            }
        }
        if (turn.decisions.len(), turn.run.ending.is_some()) == before {
            return Ok(());
        }
    }
}

fn visit(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    match turn.run.steps.get(id) {
        Some(step) if step.ended.is_some() => Ok(()),
        Some(_) => step::advance(turn, id),
        None if !turn.may_start() => Ok(()),
        None => match fate(turn, id)? {
            Fate::NotYet => Ok(()),
            Fate::Skip => {
                turn.skip(id);
                Ok(())
            }
            Fate::Fail(failure) => {
                turn.fail(id, failure, 0);
                Ok(())
            }
            Fate::Begin => step::begin(turn, id),
        },
    }
}

enum Fate {
    NotYet,
    Skip,
    Fail(nova_workflow::Failure),
    Begin,
}

/// Whether a step that has not begun does so now.
fn fate(turn: &Turn<'_>, id: &StepId) -> Result<Fate, Stuck> {
    let (plan, run) = (turn.plan, &turn.run);
    let needs = plan.needs(id);
    // A join counts from the beginning: only what it needs beside the steps it counts has to end first.
    let counted: &[StepId] = if let Kind::Join(join) = plan.kind(id) { &join.of } else { &[] };
    let picked_by = plan.picked_by(id);
    let has_ended = |need: &StepId| run.ended_step(need).is_some();
    if needs.iter().any(|need| !has_ended(need) && (!counted.contains(need) || picked_by == Some(need))) {
        return Ok(Fate::NotYet);
    }
    if picked_by.is_some_and(|choice| !step::choice::has_picked(turn, choice, id)) || all_skipped(turn, id) {
        return Ok(Fate::Skip);
    }
    let Some(when) = &plan.step(id).when else { return Ok(Fate::Begin) };
    let scope = Scope::of(turn);
    Ok(match own(plan.holds(when, &scope))? {
        Ok(true) => Fate::Begin,
        Ok(false) => Fate::Skip,
        // Only a join can ask too early, for a step it counts: it is asked again when that one has ended.
        Err(_) if scope.is_early() => Fate::NotYet,
        Err(failure) => Fate::Fail(failure),
    })
}

/// Whether a step's needs, at least one, were all skipped.
pub(super) fn all_skipped(turn: &Turn<'_>, id: &StepId) -> bool {
    let needs = turn.plan.needs(id);
    !needs.is_empty() && needs.iter().all(|need| turn.run.is_skipped(need))
}

/// Ends the run well, when every step has ended.
fn finish(turn: &mut Turn<'_>) -> Result<(), Stuck> {
    if !turn.may_start() || turn.plan.order().iter().any(|id| turn.run.ended_step(id).is_none()) {
        return Ok(());
    }
    match own(result(turn))? {
        Ok(result) => turn.end(plain_end(RunStatus::Completed), result),
        Err(failure) => {
            let end = RunEnd { failure: Some(failure), ..plain_end(RunStatus::Failed) };
            ending::begin(turn, end);
        }
    }
    Ok(())
}

/// An end with nothing to say but its status.
pub(super) fn plain_end(status: RunStatus) -> RunEnd {
    RunEnd { status, step: None, attempts: 0, failure: None, not_undone: Vec::new() }
}

/// What the run results in: its template, else the results of the steps nothing depends on.
pub(super) fn result(turn: &Turn<'_>) -> Result<Value, EvalError> {
    let plan = turn.plan;
    if let Some(template) = &plan.workflow().result {
        return plan.fill(template, &Scope::of(turn));
    }
    let last = || plan.order().iter().filter(|id| plan.dependants(id).is_empty());
    bearable(last().filter_map(|id| Some(weight_of(&turn.run, turn.run.ended_step(id)?))).sum())?;
    let (mut results, mut wants) = (Map::new(), Vec::new());
    for id in last() {
        let ended = turn.run.ended_step(id);
        match ended.map_or(Ok(Value::Null), |ended| result_of(&turn.run, turn.data, ended)) {
            Ok(result) => drop(results.insert(id.to_string(), result)),
            Err(EvalError::Wants(blobs)) => wants.extend(blobs),
            Err(failed) => return Err(failed),
        }
    }
    if wants.is_empty() { Ok(Value::Object(results)) } else { Err(EvalError::Wants(wants)) }
}
