//! What is on record of a run: what was asked, and what came of it.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::StepId;
use nova_workflow::{Approved, End, Event, Part, Plan, Segment, Timer, Transition};
use serde_json::Value;

use crate::run::turn::own;
use crate::run::value::value;
use crate::run::verify::id_of;
use crate::run::{Data, Effect, Memo, Run, Stuck, Unverified, apply, step};

/// What is on record of the old run.
pub(super) struct Recorded {
    pub run: Run,
    /// What each task was asked, and how it ended.
    pub asked: BTreeMap<Part, Asked>,
    pub ends: BTreeMap<Part, End>,
    pub fired: BTreeSet<Timer>,
    pub answers: BTreeMap<StepId, Approved>,
}

/// The skill, input and key of a task.
pub(super) type Asked = (nova_types::Skill, Value, Option<String>);

impl Recorded {
    pub fn read(old: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Self, Unverified> {
        let run = Run::new(id_of(transitions)?);
        let mut recorded = Self {
            run,
            asked: BTreeMap::new(),
            ends: BTreeMap::new(),
            fired: BTreeSet::new(),
            answers: BTreeMap::new(),
        };
        let mut memo = Memo::default();
        for transition in transitions {
            let run = &recorded.run;
            // Folding it twice costs little, and the effects are what a record does not hold.
            let next = apply(run, old, transition, data, &mut memo).map_err(|stuck| match stuck {
                Stuck::Diverged(divergence) => Unverified::Diverged(divergence),
                stuck => Unverified::Stuck(stuck),
            })?;
            let moved = step(run, old, transition.events.clone(), transition.at, data, &mut memo);
            for effect in moved.map_err(Unverified::Stuck)?.effects {
                if let Effect::Task(order) = effect {
                    recorded.asked.insert(order.part, (order.skill, order.input, order.key));
                }
            }
            recorded.run = next;
            for event in &transition.events {
                recorded.note(event, data).map_err(Unverified::Stuck)?;
            }
        }
        Ok(recorded)
    }

    fn note(&mut self, event: &Event, data: &dyn Data) -> Result<(), Stuck> {
        match event {
            Event::Ended(ends) => self.ends.extend(ends.iter().map(|end| (end.part.clone(), end.clone()))),
            Event::Items(items) => {
                let Segment { items: numbers, results } = &items.done;
                let results = own(value(data, results))?.unwrap_or_default();
                for (place, item) in numbers.iter().enumerate() {
                    let result = results.get(place).cloned().unwrap_or_default();
                    self.end_item(&items.step, *item, Ok(result));
                }
                for (item, failure) in &items.failed {
                    self.end_item(&items.step, *item, Err(failure.clone()));
                }
            }
            Event::Fired(timer) => drop(self.fired.insert(timer.clone())),
            Event::Approved(answer) => drop(self.answers.insert(answer.step.clone(), answer.clone())),
            _ => {}
        }
        Ok(())
    }

    fn end_item(&mut self, step: &StepId, item: u32, result: Result<Value, nova_workflow::Failure>) {
        use nova_types::OutcomeKind::{Completed, Dead};
        let part = Part::work(step.clone(), item);
        let (kind, result, error) = match result {
            Ok(result) => (Completed, result, None),
            Err(failure) => (Dead, Value::Null, Some(failure)),
        };
        self.ends.insert(part.clone(), End { part, kind, attempt: 0, result: result.into(), error });
    }
}
