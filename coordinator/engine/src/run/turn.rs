//! One turn of the engine: the run being moved, and the only ways in which it may be changed.
//!
//! Whatever is decided goes through here, so that every change of state has its decision, and every task its count.

use std::cell::RefCell;

use nova_types::{StepId, UnixMillis};
use nova_workflow::{
    Decision, EvalError, Event, Failure, Kind, Part, Plan, RECORD_VERSION, Role, RunEnd, Timer, Transition,
    definition::StepFailure,
};
use serde_json::Value;

use super::packs::Closed;
use super::ranges::Ranges;
use super::shared::Shared;
use super::state::{Active, Alarm, Answer, Ended, Final, Open, StepRun};
use super::{Data, Effect, Memo, Moved, Run, StepStatus, Stuck, ending, order};

/// A run being moved.
pub(super) struct Turn<'a> {
    pub run: Run,
    pub plan: &'a Plan,
    pub data: &'a dyn Data,
    pub memo: RefCell<&'a mut Memo>,
    pub at: UnixMillis,
    pub decisions: Vec<Decision>,
    pub effects: Vec<Effect>,
    /// How many items have started in bundles.
    packed: u32,
}

/// The most items that bundles start in one transition: what a record may have to list one by one, and a coordinator has
/// the inputs of in memory. The end of any bundle starts more.
const PACKED: u32 = 50_000;
/// The most tasks of a run under way when its workflow does not say.
const PARALLEL: u32 = 1000;

impl<'a> Turn<'a> {
    pub fn new(run: &Run, plan: &'a Plan, at: UnixMillis, data: &'a dyn Data, memo: &'a mut Memo) -> Self {
        let mut run = run.clone();
        run.n += 1;
        Self { run, plan, data, memo: RefCell::new(memo), at, decisions: Vec::new(), effects: Vec::new(), packed: 0 }
    }

    pub fn finish(mut self, before: &Run, events: Vec<Event>) -> Moved {
        let status = self.run.status();
        let is_told = before.started.is_some() && before.status() == status;
        if self.run.started.is_some() && !is_told && !status.is_ended() {
            self.decisions.push(Decision::Status(status));
        }
        let transition = Transition {
            v: RECORD_VERSION,
            n: self.run.n,
            at: self.at,
            events,
            decisions: self.decisions,
            emitted: self.run.emitted,
        };
        // What ended in the same turn needs no cancel.
        let (run, mut effects) = (self.run, self.effects);
        effects.retain(|effect| !matches!(effect, Effect::Cancel { part, .. } if !run.is_open(part)));
        Moved { run, transition, effects }
    }

    /// How many more tasks may start.
    pub fn room(&self) -> u32 {
        self.plan.workflow().parallel.unwrap_or(PARALLEL).saturating_sub(self.run.flying)
    }

    /// Whether this transition has room for another bundle.
    pub fn may_pack(&self) -> bool {
        self.packed < PACKED
    }

    /// Whether anything new may start.
    pub fn may_start(&self) -> bool {
        let run = &self.run;
        run.started.is_some() && !run.queued && !run.paused && run.ending.is_none() && run.ended.is_none()
    }

    /// The step for writing; it must have begun.
    pub fn step_mut(&mut self, id: &StepId) -> &mut StepRun {
        self.run.steps.get_mut(id).expect("the step has begun").to_mut()
    }

    /// Begins a step.
    pub fn activate(&mut self, id: &StepId, active: Active) {
        let step = StepRun::new(self.plan.kind(id).as_str(), self.at, active);
        self.run.steps.insert(id.clone(), Shared::new(step));
    }

    /// Starts a task; the caller records the decision. A failure means that its input cannot be made.
    pub fn launch(&mut self, part: &Part) -> Result<Result<Open, Failure>, Stuck> {
        match own(order::order(self, part))? {
            Ok(order) => {
                self.effects.push(Effect::Task(Box::new(order)));
                self.run.flying += 1;
                Ok(Ok(Open { n: self.run.n, cancel: None }))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// Starts the one task of a role and index, and records the decision.
    pub fn start(&mut self, part: &Part) -> Result<Result<(), Failure>, Stuck> {
        let open = match self.launch(part)? {
            Ok(open) => open,
            Err(failure) => return Ok(Err(failure)),
        };
        let step = self.step_mut(&part.step);
        match part.role {
            Role::Judge => step.judge = Some(open),
            _ => drop(step.open.insert(part.index, open)),
        }
        let (step, role, from) = (part.step.clone(), part.role, part.index);
        self.decisions.push(Decision::Start { step, role, from, to: from + 1 });
        Ok(Ok(()))
    }

    /// Starts a bundle of a map's items, whose inputs are made; the caller records the decision.
    pub fn launch_bundle(&mut self, id: &StepId, items: Ranges, inputs: Vec<Value>) {
        let Some(first) = items.iter().next() else { return };
        let order = order::bundle(self.plan, id, items.iter().collect(), inputs);
        self.effects.push(Effect::Task(Box::new(order)));
        self.run.flying += 1;
        self.packed += items.len();
        let open = Open { n: self.run.n, cancel: None };
        let step = self.step_mut(id);
        step.open.insert(first, open);
        if let Some(map) = step.map_mut() {
            map.packs.open(items);
        }
    }

    /// Takes a task, or an item of a bundle, that ended off the books; says whether it was under way.
    pub fn close(&mut self, step: &StepId, role: Role, index: u32) -> bool {
        let is_packed = self.run.steps.get(step).and_then(|step| step.map()).is_some_and(|map| !map.packs.is_empty());
        if !is_packed || role != Role::Work {
            return self.close_task(step, role, index);
        }
        let Some(map) = self.step_mut(step).map_mut() else { return false };
        match map.packs.close(index) {
            Closed::No => false,
            Closed::Item => true,
            Closed::Last(first) => self.close_task(step, role, first),
        }
    }

    fn close_task(&mut self, step: &StepId, role: Role, index: u32) -> bool {
        if !self.run.is_open(&Part { step: step.clone(), role, index }) {
            return false;
        }
        let state = self.step_mut(step);
        match role {
            Role::Work => drop(state.open.remove(&index)),
            _ => state.judge = None,
        }
        if state.ended.is_some() && state.is_idle() {
            state.active = Active::Plain;
        }
        self.run.flying -= 1;
        true
    }

    /// Asks for the cancel of all tasks of a step that are under way.
    pub fn cancel_parts(&mut self, id: &StepId) {
        let Some(step) = self.run.steps.get_mut(id) else { return };
        let parts: Vec<_> = step.parts().filter(|(_, _, open)| open.cancel.is_none()).collect();
        if parts.is_empty() {
            return;
        }
        let (step, n) = (step.to_mut(), self.run.n);
        for open in step.open.values_mut().chain(&mut step.judge) {
            open.cancel.get_or_insert(n);
        }
        for (role, index, _) in parts {
            let part = Part { step: id.clone(), role, index };
            let skill = order::skill_of(self.plan, &part);
            self.decisions.push(Decision::Cancel { part: part.clone() });
            self.effects.push(Effect::Cancel { part, skill });
        }
    }

    /// Sets a step's timer.
    pub fn set_timer(&mut self, id: &StepId, timer: Timer, at: UnixMillis) {
        let alarm = Alarm { at, n: self.run.n };
        self.step_mut(id).timer = Some((timer.clone(), alarm));
        self.set(timer, at);
    }

    pub fn set(&mut self, timer: Timer, at: UnixMillis) {
        self.decisions.push(Decision::Set { timer: timer.clone(), at });
        self.effects.push(Effect::Set { timer, at });
    }

    pub fn unset(&mut self, timer: Timer) {
        self.run.unset.push((timer.clone(), self.run.n));
        self.decisions.push(Decision::Unset { timer: timer.clone() });
        self.effects.push(Effect::Unset { timer });
    }

    /// Withdraws a step's timer, when one is set.
    pub fn unset_timer(&mut self, id: &StepId) {
        let is_set = self.run.steps.get(id).is_some_and(|step| step.timer.is_some());
        if is_set && let Some((timer, _)) = self.step_mut(id).timer.take() {
            self.unset(timer);
        }
    }

    /// Withdraws the run's deadline, when one is set.
    pub fn unset_deadline(&mut self) {
        if self.run.deadline.take().is_some() {
            self.unset(Timer::Deadline);
        }
    }

    pub fn complete(&mut self, id: &StepId, answer: Answer) {
        self.decisions.push(Decision::Complete { step: id.clone() });
        self.end_step(id, StepStatus::Completed, answer, None, 0);
    }

    pub fn skip(&mut self, id: &StepId) {
        self.decisions.push(Decision::Skip { step: id.clone() });
        let is_undoable = self.plan.step(id).undo.is_some();
        let answer = if is_undoable { self.so_far(id) } else { Answer::NULL };
        self.end_step(id, StepStatus::Skipped, answer, None, 0);
    }

    /// Fails a step, and with it the run unless its definition says otherwise.
    pub fn fail(&mut self, id: &StepId, failure: Failure, attempts: u32) {
        self.decisions.push(Decision::Fail { step: id.clone(), failure: failure.clone() });
        let answer = self.so_far(id);
        self.end_step(id, StepStatus::Failed, answer, Some(failure.clone()), attempts);
        if self.run.ending.is_none() && !self.is_tolerated(id) {
            let (step, failure) = (Some(id.clone()), Some(failure));
            let status = nova_types::RunStatus::Failed;
            ending::begin(self, RunEnd { status, step, attempts, failure, not_undone: Vec::new() });
        }
    }

    /// Whether the run goes on when this step fails.
    fn is_tolerated(&self, id: &StepId) -> bool {
        let dependants = self.plan.dependants(id);
        let only_joins = dependants.iter().all(|one| matches!(self.plan.kind(one), Kind::Join(_)));
        self.plan.step(id).on_failure == StepFailure::Continue || (!dependants.is_empty() && only_joins)
    }

    /// What a step under way has done until now.
    fn so_far(&self, id: &StepId) -> Answer {
        match self.run.steps.get(id).map(|step| &step.active) {
            Some(Active::Map(map)) => Answer::List(map.list.clone()),
            Some(Active::Loop(repeat)) => Answer::Value((*repeat.last).clone()),
            _ => Answer::NULL,
        }
    }

    /// Whether a step under way has done part of its work, beside what an earlier run did of it.
    fn is_half_done(&self, id: &StepId) -> bool {
        match self.run.steps.get(id).map(|step| &step.active) {
            Some(Active::Map(map)) => map.list.done.len() > map.kept,
            Some(Active::Loop(repeat)) => repeat.done > 0,
            _ => false,
        }
    }

    fn end_step(&mut self, id: &StepId, status: StepStatus, answer: Answer, failure: Option<Failure>, attempts: u32) {
        let partial = status != StepStatus::Completed && self.is_half_done(id);
        self.unset_timer(id);
        if !self.run.steps.contains_key(id) {
            self.activate(id, Active::Plain);
        }
        let (at, order) = (self.at, Some(self.run.ended_steps));
        self.run.ended_steps += 1;
        let step = self.step_mut(id);
        step.ended = Some(Shared::new(Ended { status, at, order, answer, failure, attempts, partial }));
        if step.is_idle() {
            step.active = Active::Plain;
        }
        self.cancel_parts(id);
    }

    pub fn ignore(&mut self, why: impl Into<String>) {
        self.decisions.push(Decision::Ignore { why: why.into() });
    }

    /// Ends the run.
    pub fn end(&mut self, end: RunEnd, result: Value) {
        self.unset_deadline();
        let (at, n) = (self.at, self.run.n);
        self.run.ended = Some(Shared::new(Final { end: end.clone(), at, n }));
        self.decisions.push(Decision::End(end.clone()));
        self.effects.push(Effect::End { end, result });
    }
}

impl Answer {
    pub const NULL: Self = Self::Value(nova_workflow::Datum::NULL);
}

/// Tells what a run's own expression may do wrong from what stops the turn.
pub(super) fn own<T>(result: Result<T, EvalError>) -> Result<Result<T, Failure>, Stuck> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(EvalError::Failed(failure)) => Ok(Err(failure)),
        Err(EvalError::Wants(mut blobs)) => {
            blobs.sort();
            blobs.dedup();
            Err(Stuck::Wants(blobs))
        }
    }
}
