//! What another version of a workflow would have done with a recorded run.
//!
//! The new version is run dry: as its tasks start, the recorded ends of the same tasks are fed to it.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::StepId;
use nova_workflow::{Approved, End, Event, Part, Plan, RunEnd, Segment, Timer, Transition};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::turn::own;
use super::value::value;
use super::verify::id_of;
use super::{Data, Effect, Memo, Moved, Run, StepStatus, Stuck, TaskOrder, Unverified, step};

/// What a new version would have done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// The recorded run's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<RunEnd>,
    /// The end the new version comes to; none when it would still wait for something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEnd>,
    /// Every step of either version.
    pub steps: BTreeMap<StepId, StepRehearsal>,
}

/// What a new version would have done with one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRehearsal {
    /// In short.
    pub comes_to: Rehearsed,
    /// Where the step stood in the recorded run.
    pub was: StepStatus,
    /// Where it stands after the new version's.
    pub is: StepStatus,
}

/// How a step compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rehearsed {
    /// It does the same, with the same inputs.
    Same,
    /// It does the same tasks, with other inputs: their recorded results may not be what they would be.
    DifferentInput,
    /// It waits for, or starts, what the recorded run has no end of.
    NoRecord,
    /// It began in the recorded run, and would not.
    NotStarted,
    /// It ends another way.
    DifferentEnd,
}

/// Runs `new` dry over the recorded ends of a run of `old`.
///
/// # Errors
/// As [`verify`](super::verify) of the recorded run.
pub fn rehearse(old: &Plan, new: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Rehearsal, Unverified> {
    let recorded = Recorded::read(old, transitions, data)?;
    let played = Played::play(new, transitions, &recorded, data).map_err(Unverified::Stuck)?;
    let ids: BTreeSet<_> = old.order().iter().chain(new.order()).cloned().collect();
    let status = |run: &Run, id: &StepId| match run.steps.get(id) {
        None => StepStatus::Waiting,
        Some(step) => step.ended.as_ref().map_or(StepStatus::Running, |ended| ended.status),
    };
    let mut steps = BTreeMap::new();
    for id in ids {
        let (was, is) = (status(&recorded.run, &id), status(&played.run, &id));
        let has_begun = |status| matches!(status, StepStatus::Running | StepStatus::Completed | StepStatus::Failed);
        let comes_to = if has_begun(was) && !has_begun(is) {
            Rehearsed::NotStarted
        } else if played.unknown.contains(&id) || is == StepStatus::Running && was != is {
            Rehearsed::NoRecord
        } else if was != is {
            Rehearsed::DifferentEnd
        } else if played.different.contains(&id) {
            Rehearsed::DifferentInput
        } else {
            Rehearsed::Same
        };
        steps.insert(id, StepRehearsal { comes_to, was, is });
    }
    Ok(Rehearsal { was: recorded.run.end().cloned(), end: played.run.end().cloned(), steps })
}

/// What is on record of the old run.
struct Recorded {
    run: Run,
    /// What each task was asked, and how it ended.
    asked: BTreeMap<Part, Asked>,
    ends: BTreeMap<Part, End>,
    fired: BTreeSet<Timer>,
    answers: BTreeMap<StepId, Approved>,
}

/// The skill, input and key of a task.
type Asked = (nova_types::Skill, Value, Option<String>);

impl Recorded {
    fn read(old: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Self, Unverified> {
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
            let next = super::apply(run, old, transition, data, &mut memo).map_err(|stuck| match stuck {
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

/// The new version, run dry.
struct Played {
    run: Run,
    /// Steps that started a task nothing is recorded of.
    unknown: BTreeSet<StepId>,
    /// Steps that asked a task something else.
    different: BTreeSet<StepId>,
}

impl Played {
    fn play(new: &Plan, transitions: &[Transition], recorded: &Recorded, data: &dyn Data) -> Result<Self, Stuck> {
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
            if let nova_workflow::Decision::Wait { step, hash: Some(hash) } = decision {
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
