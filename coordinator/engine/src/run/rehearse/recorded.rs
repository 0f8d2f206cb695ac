//! What is on record of a run: what was asked, and what came of it, in order.

use std::collections::BTreeMap;

use nova_types::{OutcomeKind, Skill};
use nova_workflow::{End, Event, Failure, Items, Part, Plan, Timer, Transition};
use serde_json::Value;

use crate::run::turn::own;
use crate::run::value::value;
use crate::run::verify::id_of;
use crate::run::{Data, Effect, Memo, Run, Stuck, Unverified, apply, step};

/// What is on record of the old run.
pub(super) struct Recorded {
    pub run: Run,
    /// What each task was asked.
    pub asked: BTreeMap<Part, Asked>,
    /// What happened, by its place: the transition, and the place in it.
    pub script: BTreeMap<(u64, usize), Cue>,
}

/// The skill, input and key of a task.
pub(super) type Asked = (Skill, Value, Option<String>);

/// Something that happened, and what it takes to happen again.
pub(super) enum Cue {
    /// A task ended: it must have started.
    End(End),
    /// A moment came: its timer must have been set.
    Fired(Timer),
    /// Someone did something: nothing.
    Free(Event),
}

impl Recorded {
    pub fn read(old: &Plan, transitions: &[Transition], data: &dyn Data) -> Result<Self, Unverified> {
        let run = Run::new(id_of(transitions)?);
        let mut recorded = Self { run, asked: BTreeMap::new(), script: BTreeMap::new() };
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
                    let asked = order
                        .works()
                        .map(|(part, input)| (part, (order.skill.clone(), input.clone(), order.key.clone())));
                    recorded.asked.extend(asked);
                }
            }
            recorded.run = next;
            let mut cues = Vec::new();
            for event in &transition.events {
                cues_of(event, data, &mut cues).map_err(Unverified::Stuck)?;
            }
            let places = cues.into_iter().enumerate();
            recorded.script.extend(places.map(|(place, cue)| ((transition.n, place), cue)));
        }
        Ok(recorded)
    }
}

fn cues_of(event: &Event, data: &dyn Data, cues: &mut Vec<Cue>) -> Result<(), Stuck> {
    match event {
        Event::Ended(ends) => cues.extend(ends.iter().cloned().map(Cue::End)),
        Event::Items(items) => {
            let results = own(value(data, &items.done.results))?.unwrap_or_default();
            for (place, item) in items.done.items.iter().enumerate() {
                cues.push(item_of(items, *item, 0, Ok(results.get(place).cloned().unwrap_or_default())));
            }
            cues.extend(
                items.failed.iter().map(|lost| item_of(items, lost.item, lost.attempts, Err(lost.error.clone()))),
            );
        }
        // The run's deadline may come over any version.
        Event::Fired(timer) if *timer != Timer::Deadline => cues.push(Cue::Fired(timer.clone())),
        other => cues.push(Cue::Free(other.clone())),
    }
    Ok(())
}

fn item_of(items: &Items, item: u32, attempt: u32, result: Result<Value, Failure>) -> Cue {
    let part = Part::work(items.step.clone(), item);
    let (kind, result, error) = match result {
        Ok(result) => (OutcomeKind::Completed, result, None),
        Err(failure) => (OutcomeKind::Dead, Value::Null, Some(failure)),
    };
    Cue::End(End { part, kind, attempt, result: result.into(), error })
}
