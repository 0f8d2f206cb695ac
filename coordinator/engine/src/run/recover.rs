//! What may not have been carried out: the effects decided behind the mark, as far as they still matter.

use nova_workflow::{Part, Plan, Role, Timer};
use serde_json::Value;

use super::order::{order, skill_of};
use super::settle::result;
use super::state::Open;
use super::turn::{Turn, own};
use super::{Data, Effect, Memo, Run, Stuck};
use nova_types::{RunStatus, UnixMillis};

/// The effects decided behind [`Run::emitted`] that nothing has overtaken: of tasks those that did not end, of timers those
/// that are still set, cancels of what is under way, and the run's end.
///
/// Carrying one out that was carried out before does no harm; tasks are the same to the byte.
///
/// # Errors
/// [`Stuck::Wants`] names values to load before asking again.
pub fn recover(run: &Run, plan: &Plan, data: &dyn Data, memo: &mut Memo) -> Result<Vec<Effect>, Stuck> {
    let mut found = Found { turn: Turn::new(run, plan, UnixMillis(0), data, memo), effects: Vec::new() };
    found.timer(Timer::Deadline, run.deadline.map(|alarm| (alarm.at, alarm.n)));
    for (id, step) in &run.steps {
        for (role, index, open) in step.parts() {
            found.part(Part { step: id.clone(), role, index }, open)?;
        }
        if let Some((timer, alarm)) = &step.timer {
            found.timer(timer.clone(), Some((alarm.at, alarm.n)));
        }
    }
    if let Some((step, open)) = run.ending.as_ref().and_then(|ending| ending.undo.as_ref()) {
        found.part(Part { step: step.clone(), role: Role::Undo, index: 0 }, *open)?;
    }
    for (timer, n) in &run.unset {
        if *n > run.emitted {
            found.effects.push(Effect::Unset { timer: timer.clone() });
        }
    }
    if let Some(last) = run.ended.as_ref().filter(|last| last.n > run.emitted) {
        let result = if last.end.status == RunStatus::Completed { own(result(&found.turn))? } else { Ok(Value::Null) };
        let result = result.unwrap_or_default();
        found.effects.push(Effect::End { end: last.end.clone(), result });
    }
    Ok(found.effects)
}

struct Found<'a> {
    turn: Turn<'a>,
    effects: Vec<Effect>,
}

impl Found<'_> {
    fn part(&mut self, part: Part, open: Open) -> Result<(), Stuck> {
        let emitted = self.turn.run.emitted;
        if open.n > emitted {
            // It could be made when it was decided, so it can be made again.
            if let Ok(order) = own(order(&self.turn, &part))? {
                self.effects.push(Effect::Task(Box::new(order)));
            }
        }
        if open.cancel.is_some_and(|n| n > emitted) {
            let skill = skill_of(self.turn.plan, &part);
            self.effects.push(Effect::Cancel { part, skill });
        }
        Ok(())
    }

    fn timer(&mut self, timer: Timer, alarm: Option<(UnixMillis, u64)>) {
        if let Some((at, _)) = alarm.filter(|(_, n)| *n > self.turn.run.emitted) {
            self.effects.push(Effect::Set { timer, at });
        }
    }
}
