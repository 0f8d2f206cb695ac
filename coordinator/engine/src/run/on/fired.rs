//! A moment came.

use nova_types::{RunStatus, codes};
use nova_workflow::{Kind, RunEnd, Timer};

use crate::run::ending;
use crate::run::settle::plain_end;
use crate::run::state::failure;
use crate::run::step::wait;
use crate::run::turn::Turn;

pub(super) fn fold(turn: &mut Turn<'_>, timer: &Timer) {
    match timer {
        Timer::Deadline => {
            if turn.run.deadline.take().is_some() {
                let failure = failure(codes::EXPIRED, "the run's deadline passed");
                let end = RunEnd { failure: Some(failure), ..plain_end(RunStatus::Failed) };
                ending::begin(turn, end);
            }
        }
        Timer::Wait(id) | Timer::Round(id, _) => {
            let is_set =
                turn.run.steps.get(id).is_some_and(|step| matches!(&step.timer, Some((set, _)) if set == timer));
            if !is_set {
                return;
            }
            turn.step_mut(id).timer = None;
            if let Kind::Wait(wait) = turn.plan.kind(id) {
                wait::fired(turn, id, wait);
            }
        }
    }
}
