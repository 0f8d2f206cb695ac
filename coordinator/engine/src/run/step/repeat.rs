//! One task again and again, until its result is as wanted.

use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::Loop;
use nova_workflow::{Datum, End, Part, Root, Timer};

use crate::run::Stuck;
use crate::run::ending::failure_of;
use crate::run::scope::Scope;
use crate::run::shared::Shared;
use crate::run::state::{Active, Answer, LoopState, failure};
use crate::run::turn::{Turn, own};
use crate::run::value::value;

/// The code of a loop that went round as often as it may.
const CODE: &str = "exhausted";

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    if turn.room() == 0 {
        return Ok(());
    }
    turn.activate(id, Active::Loop(LoopState { next: 0, done: 0, last: Shared::new(Datum::NULL) }));
    advance(turn, id)
}

pub(in crate::run) fn advance(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    let Some(step) = turn.run.steps.get(id) else { return Ok(()) };
    let Some(state) = step.repeat() else { return Ok(()) };
    if !step.is_idle() || step.timer.is_some() || !turn.may_start() || turn.room() == 0 {
        return Ok(());
    }
    let round = state.next;
    match turn.start(&Part::work(id.clone(), round))? {
        Ok(()) => {
            if let Active::Loop(state) = &mut turn.step_mut(id).active {
                state.next = round + 1;
            }
        }
        Err(failure) => turn.fail(id, failure, 0),
    }
    Ok(())
}

pub(in crate::run) fn ended(turn: &mut Turn<'_>, repeat: &Loop, end: &End) -> Result<(), Stuck> {
    let (id, round) = (&end.part.step, end.part.index);
    if end.kind != OutcomeKind::Completed {
        turn.fail(id, failure_of(end), end.attempt);
        return Ok(());
    }
    if let Active::Loop(state) = &mut turn.step_mut(id).active {
        state.done += 1;
        state.last = Shared::new(end.result.clone());
    }
    let result = own(value(turn.data, &end.result))?;
    let holds = match result {
        Ok(result) => {
            let scope = Scope::of(turn).with(Root::Result, &result).with(Root::Index, &round.into());
            own(turn.plan.holds(&repeat.until, &scope))?
        }
        Err(failure) => Err(failure),
    };
    match holds {
        Ok(true) => turn.complete(id, Answer::Value(end.result.clone())),
        Ok(false) if round + 1 >= repeat.max => {
            let why = format!("not done after {} rounds", round + 1);
            turn.fail(id, failure(CODE, why), end.attempt);
        }
        Ok(false) => {
            if let Some(pause) = repeat.pause.filter(|_| turn.run.ending.is_none()) {
                turn.set_timer(id, Timer::Round(id.clone(), round + 1), turn.at.plus(pause.0));
            }
        }
        Err(failure) => turn.fail(id, failure, end.attempt),
    }
    Ok(())
}
