//! Someone asked for the run to end.

use nova_types::{RunStatus, codes};
use nova_workflow::RunEnd;

use crate::run::ending;
use crate::run::settle::plain_end;
use crate::run::state::failure;
use crate::run::turn::Turn;

pub(super) fn fold(turn: &mut Turn<'_>, why: &str) {
    let run = &turn.run;
    if run.started.is_none() || run.ending.is_some() || run.ended.is_some() {
        return;
    }
    let why = if why.is_empty() { "the run was cancelled" } else { why };
    let end = RunEnd { failure: Some(failure(codes::CANCELLED, why)), ..plain_end(RunStatus::Cancelled) };
    // Who ends a run means its undo, too; a pause that is asked for later holds that up again.
    turn.run.paused = false;
    ending::begin(turn, end);
}
