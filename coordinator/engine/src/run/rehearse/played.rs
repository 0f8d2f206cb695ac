//! A new version of a workflow, run dry over a record.

use std::collections::BTreeSet;

use nova_types::StepId;
use nova_workflow::{Decision, Event, Plan, Timer, Transition};

use super::recorded::Recorded;
use crate::run::{Data, Effect, Memo, Moved, Run, Stuck, TaskOrder, step};

/// The new version, run dry.
pub(super) struct Played {
    pub run: Run,
    /// Steps that started a task nothing is recorded of.
    pub unknown: BTreeSet<StepId>,
    /// Steps that asked a task something else.
    pub different: BTreeSet<StepId>,
}

impl Played {
    pub fn play(new: &Plan, transitions: &[Transition], recorded: &Recorded, data: &dyn Data) -> Result<Self, Stuck> {
        let run = Run::new(recorded.run.id().clone());
        let mut played = Self { run, unknown: BTreeSet::new(), different: BTreeSet::new() };
        let mut memo = Memo::default();
        let mut at = transitions.first().map(|first| first.at).unwrap_or_default();
        let mut next = beginning(new, transitions);
        // What ended the recorded run from outside comes when nothing else does.
        let mut last: Vec<_> = transitions
            .iter()
            .flat_map(|transition| &transition.events)
            .filter(|event| matches!(event, Event::Cancelled { .. } | Event::Fired(Timer::Deadline)))
            .cloned()
            .collect();
        loop {
            if next.is_empty() {
                next = std::mem::take(&mut last);
            }
            if next.is_empty() || played.run.ended.is_some() {
                return Ok(played);
            }
            at.0 += 1;
            let moved = step(&played.run, new, std::mem::take(&mut next), at, data, &mut memo)?;
            next = played.answer(moved, recorded);
        }
    }

    /// The recorded events that answer what was decided.
    fn answer(&mut self, moved: Moved, recorded: &Recorded) -> Vec<Event> {
        let Moved { run, transition, effects } = moved;
        let (mut ends, mut events) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Task(order) => {
                    let TaskOrder { part, skill, key, input, .. } = *order;
                    let asks = (skill, input, key);
                    if recorded.asked.get(&part).is_some_and(|asked| *asked != asks) {
                        self.different.insert(part.step.clone());
                    }
                    match recorded.ends.get(&part) {
                        Some(end) => ends.push(end.clone()),
                        None => drop(self.unknown.insert(part.step)),
                    }
                }
                Effect::Set { timer, .. } if recorded.fired.contains(&timer) && timer != Timer::Deadline => {
                    events.push(Event::Fired(timer));
                }
                _ => {}
            }
        }
        for decision in transition.decisions {
            if let Decision::Wait { step, hash: Some(hash) } = decision {
                events.extend(
                    recorded.answers.get(&step).filter(|answer| answer.hash == hash).cloned().map(Event::Approved),
                );
            }
        }
        self.run = run;
        if !ends.is_empty() {
            events.push(Event::Ended(ends));
        }
        events
    }
}

/// The start of the new version, and the signals of the old one: they are kept until a step waits for them.
fn beginning(new: &Plan, transitions: &[Transition]) -> Vec<Event> {
    let mut beginning = Vec::new();
    for event in transitions.iter().flat_map(|transition| &transition.events) {
        match event {
            Event::Started(started) => {
                let mut started = started.clone();
                started.definition = new.hash().to_owned();
                started.queued = false;
                beginning.push(Event::Started(started));
            }
            Event::Signalled { .. } => beginning.push(event.clone()),
            _ => {}
        }
    }
    beginning
}
