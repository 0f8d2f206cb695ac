//! The run begins.

use nova_workflow::{Kept, Started, Timer};

use crate::run::StepStatus;
use crate::run::Stuck;
use crate::run::shared::Shared;
use crate::run::state::{Active, Alarm, Answer, Ended, StepRun};
use crate::run::turn::Turn;

pub(super) fn fold(turn: &mut Turn<'_>, started: &Started) -> Result<(), Stuck> {
    if turn.run.started.is_some() {
        return Ok(());
    }
    if started.definition != turn.plan.hash() {
        let (given, has) = (turn.plan.hash(), &started.definition);
        return Err(Stuck::Parked(format!("it is of definition {has}, not {given}")));
    }
    turn.run.started = Some(Shared::new(started.clone()));
    turn.run.started_at = turn.at;
    turn.run.queued = started.queued;
    keep(turn, started);
    let own = turn.plan.workflow().deadline.map(|deadline| turn.at.plus(deadline.0));
    if let Some(at) = own.into_iter().chain(started.deadline).min() {
        turn.run.deadline = Some(Alarm { at, n: turn.run.n });
        turn.set(Timer::Deadline, at);
    }
    Ok(())
}

/// Takes over what an earlier run did. It has no place in the order of ends: that run's work is not this one's to undo.
fn keep(turn: &mut Turn<'_>, started: &Started) {
    for (id, kept) in &started.kept {
        if !turn.plan.workflow().steps.contains_key(id) {
            continue;
        }
        let (status, answer) = match kept {
            Kept::Completed(result) => (StepStatus::Completed, Answer::Value(result.clone())),
            Kept::Skipped => (StepStatus::Skipped, Answer::NULL),
            // The map asks for these when it begins.
            Kept::Items { .. } => continue,
        };
        let mut step = StepRun::new(turn.plan.kind(id).as_str(), turn.at, Active::Plain);
        let ended = Ended { status, at: turn.at, order: None, answer, failure: None, attempts: 0, partial: false };
        step.ended = Some(Shared::new(ended));
        turn.run.steps.insert(id.clone(), Shared::new(step));
    }
}
