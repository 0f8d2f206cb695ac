//! The kinds of steps: what each does when it begins, when something of it ends, and in between.

pub(super) mod choice;
pub(super) mod join;
pub(super) mod map;
pub(super) mod repeat;
pub(super) mod task;
pub(super) mod vote;
pub(super) mod wait;

use nova_types::{OutcomeKind, StepId};
use nova_workflow::{End, Kind};

use super::Stuck;
use super::turn::Turn;

pub(super) use vote::voters;

/// Begins a step, when there is room.
pub(super) fn begin(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    match turn.plan.kind(id) {
        Kind::Task(_) | Kind::Run(_) => task::begin(turn, id),
        Kind::Map(map) => map::begin(turn, id, map),
        Kind::Join(join) => join::begin(turn, id, join),
        Kind::Vote(vote) => vote::begin(turn, id, vote),
        Kind::Choice(choice) => choice::begin(turn, id, choice),
        Kind::Loop(_) => repeat::begin(turn, id),
        Kind::Wait(wait) => wait::begin(turn, id, wait),
    }
}

/// Goes on with a step that is under way.
pub(super) fn advance(turn: &mut Turn<'_>, id: &StepId) -> Result<(), Stuck> {
    match turn.plan.kind(id) {
        Kind::Map(map) => map::advance(turn, id, map),
        Kind::Join(join) => join::advance(turn, id, join),
        Kind::Vote(vote) => vote::advance(turn, id, vote),
        Kind::Loop(_) => repeat::advance(turn, id),
        Kind::Task(_) | Kind::Run(_) | Kind::Choice(_) | Kind::Wait(_) => Ok(()),
    }
}

/// Folds the end of a task of a step that is over: what it did is still to be undone some day.
pub(super) fn late(turn: &mut Turn<'_>, end: &End) -> Result<(), Stuck> {
    if end.kind != OutcomeKind::Completed || turn.plan.step(&end.part.step).undo.is_none() {
        return Ok(());
    }
    match turn.plan.kind(&end.part.step) {
        Kind::Task(_) | Kind::Run(_) | Kind::Loop(_) => task::late(turn, end),
        Kind::Map(_) => map::late_one(turn, end)?,
        Kind::Vote(_) | Kind::Join(_) | Kind::Choice(_) | Kind::Wait(_) => {}
    }
    Ok(())
}

/// Folds the end of a task of a step that is under way.
pub(super) fn ended(turn: &mut Turn<'_>, end: &End) -> Result<(), Stuck> {
    let id = &end.part.step;
    match turn.plan.kind(id) {
        Kind::Task(_) | Kind::Run(_) => task::ended(turn, end),
        Kind::Map(_) => map::ended(turn, end)?,
        Kind::Vote(vote) => vote::ended(turn, vote, end)?,
        Kind::Loop(repeat) => repeat::ended(turn, repeat, end)?,
        Kind::Join(_) | Kind::Choice(_) | Kind::Wait(_) => {}
    }
    Ok(())
}
