//! One task, or one child run.

use nova_types::{OutcomeKind, StepId};
use nova_workflow::{End, Part};

use crate::run::Stuck;
use crate::run::ending::failure_of;
use crate::run::shared::Shared;
use crate::run::state::{Active, Answer, Late};
use crate::run::turn::Turn;

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    if turn.room() == 0 {
        return Ok(());
    }
    turn.activate(id, Active::Plain);
    if let Err(failure) = turn.start(&Part::work(id.clone(), 0))? {
        turn.fail(id, failure, 0);
    }
    Ok(())
}

pub(in crate::run) fn ended(turn: &mut Turn<'_>, end: &End) {
    match end.kind {
        OutcomeKind::Completed => turn.complete(&end.part.step, Answer::Value(end.result.clone())),
        _ => turn.fail(&end.part.step, failure_of(end), end.attempt),
    }
}

/// Folds a completion that came when a join had skipped the step.
pub(in crate::run) fn late(turn: &mut Turn<'_>, end: &End) {
    let id = &end.part.step;
    if turn.run.is_skipped(id) {
        let order = turn.run.ended_steps;
        turn.run.ended_steps += 1;
        turn.step_mut(id).late = Some(Shared::new(Late { order, result: end.result.clone() }));
    }
}
