//! The books of a simulated world: what was decided is checked against all that came before it.

use nova_engine::run::{Effect, Run, StepStatus, items_of, part_of, parts_of};
use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::Kind;
use nova_workflow::{Decision, End, Event, Role};

use super::World;

impl World {
    pub(super) fn note_late(&mut self, event: &Event) {
        if let Event::Items(items) = event
            && !items.done.items.is_empty()
        {
            self.begun.insert(items.step.clone());
        }
        let Event::Ended(ends) = event else { return };
        for End { part, kind, .. } in ends {
            let is_part = matches!(self.play.plan.kind(&part.step), Kind::Map(_) | Kind::Loop(_));
            if is_part && part.role == Role::Work && *kind == OutcomeKind::Completed {
                self.begun.insert(part.step.clone());
            }
            let is_task = matches!(self.play.plan.kind(&part.step), Kind::Task(_) | Kind::Run(_));
            let is_late = part.role == Role::Work && self.ended.get(&part.step) == Some(&StepStatus::Skipped);
            if is_task && is_late && *kind == OutcomeKind::Completed {
                self.late.insert(part.step.clone());
            }
        }
    }

    /// Keeps the books of what was decided, and checks each against them.
    pub(super) fn note(&mut self, decision: &Decision) {
        match decision {
            Decision::Start { step, role: Role::Undo, .. } => {
                let was_done = self.done.contains(step) || self.is_half_done(step);
                assert!(was_done, "{step} is undone and has not completed");
                assert!(!self.undone.contains(step), "{step} is undone twice");
                self.undone.push(step.clone());
            }
            Decision::Start { step, .. } | Decision::Items { step, .. } | Decision::Wait { step, .. } => {
                self.needs_ended(step);
                if let Decision::Wait { step, hash: Some(hash) } = decision {
                    self.asks.insert(step.clone(), hash.clone());
                }
            }
            Decision::Complete { step } => {
                if let Kind::Map(_) = self.play.plan.kind(step) {
                    let view = self.play.run.view(&self.play.plan);
                    let of = &view.steps[step];
                    assert_eq!(of.done + of.failed, of.total, "every item of {step} is counted, and once");
                }
                self.end_once(step, StepStatus::Completed);
                self.done.push(step.clone());
            }
            Decision::Fail { step, .. } => self.end_once(step, StepStatus::Failed),
            Decision::Skip { step } => self.end_once(step, StepStatus::Skipped),
            Decision::End(_) => {
                let seen: Vec<_> = self.undone.iter().filter(|step| self.done.contains(step)).cloned().collect();
                assert_eq!(self.asks_undone(), seen, "undo goes back as the steps came");
                let is_bad = self.play.run.status() != nova_types::RunStatus::Completed;
                let with_undo = |step: &&StepId| self.play.plan.step(step).undo.is_some();
                let steps = self.play.plan.order().iter();
                for step in steps.filter(with_undo).filter(|step| is_bad && self.is_half_done(step)) {
                    assert!(self.undone.contains(step), "{step} was done, in part or late, and is not undone");
                }
            }
            _ => {}
        }
    }

    /// Whether something of a step was done, and it did not complete.
    fn is_half_done(&self, step: &StepId) -> bool {
        !self.done.contains(step) && (self.late.contains(step) || self.begun.contains(step))
    }

    fn needs_ended(&self, step: &StepId) {
        for need in self.play.plan.needs(step) {
            assert!(self.ended.contains_key(need), "{step} starts and {need} has not ended");
        }
    }

    fn end_once(&mut self, step: &StepId, status: StepStatus) {
        let before = self.ended.insert(step.clone(), status);
        assert_eq!(before, None, "{step} ends twice");
    }

    /// The steps to be undone in the order they have to be, when the run ends badly.
    fn asks_undone(&self) -> Vec<StepId> {
        let Some(end) = self.play.run.end() else { return self.undone.clone() };
        if end.status == nova_types::RunStatus::Completed {
            return Vec::new();
        }
        let with_undo = self.done.iter().rev().filter(|step| self.play.plan.step(step).undo.is_some());
        with_undo.cloned().collect()
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Task(order) => {
                for (part, _) in order.works() {
                    assert!(self.started.insert(part.clone()), "{part:?} starts twice");
                }
                if let Kind::Map(map) = self.play.plan.kind(&order.part.step) {
                    let most = map.bundle.filter(|_| order.part.role == Role::Work).unwrap_or(0);
                    assert!(order.items.len() <= most as usize, "{} items in a bundle of {most}", order.items.len());
                    let is_part_of_it = most == 0 || order.items.first() == Some(&order.part.index);
                    assert!(is_part_of_it, "{:?} is called after its first item", order.part);
                }
                self.tasks.insert(order.part, order.items);
            }
            Effect::Set { timer, .. } => drop(self.timers.insert(timer)),
            Effect::Unset { timer } => drop(self.timers.remove(&timer)),
            // A cancelled task may still end in any way.
            Effect::Cancel { .. } | Effect::End { .. } => {}
        }
    }

    /// No cap is exceeded, and the run knows what is under way.
    pub(super) fn caps(&self) {
        let (run, plan): (&Run, _) = (&self.play.run, &self.play.plan);
        let names: Vec<_> = self.tasks.keys().map(|part| part.name(run.id())).collect();
        let found = parts_of(run, &names.iter().collect::<Vec<_>>());
        for (((part, items), name), found) in self.tasks.iter().zip(&names).zip(found) {
            assert_eq!((part_of(run, name).as_ref(), found.as_ref()), (Some(part), Some(part)));
            assert_eq!(&items_of(run, part).unwrap_or_default(), items, "{part:?}");
        }
        assert_eq!(run.under_way() as usize, self.tasks.len(), "under way");
        let most = plan.workflow().parallel.unwrap_or(1000);
        assert!(run.under_way() <= most, "{} under way, {most} allowed", run.under_way());
        for id in plan.order() {
            if let Kind::Map(map) = plan.kind(id) {
                let open = self.tasks.keys().filter(|part| part.step == *id && part.role == Role::Work).count();
                assert!(open <= map.parallel.unwrap_or(1000) as usize, "{open} of map {id}");
            }
        }
    }
}
