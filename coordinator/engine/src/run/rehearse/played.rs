//! A new version of a workflow, run dry over a record.
//!
//! What happened is played in the recorded order, together what was recorded together; what the new version is not ready for
//! waits until it is. So the same version comes to the same.

use std::collections::{BTreeMap, BTreeSet};

use nova_types::{StepId, UnixMillis};
use nova_workflow::{Event, Part, Plan, Timer, Transition};

use super::recorded::{Asked, Cue, Recorded};
use crate::run::{Data, Effect, Memo, Run, Stuck, step};

/// The new version, run dry.
pub(super) struct Played {
    pub run: Run,
    /// Tasks that started and have no end yet.
    open: BTreeSet<Part>,
    timers: BTreeSet<Timer>,
    /// Steps that asked a task something else.
    pub different: BTreeSet<StepId>,
}

impl Played {
    pub fn play(
        new: &Plan,
        transitions: &[Transition],
        mut recorded: Recorded,
        data: &dyn Data,
    ) -> Result<(Self, Recorded), Stuck> {
        let run = Run::new(recorded.run.id().clone());
        let mut played = Self { run, open: BTreeSet::new(), timers: BTreeSet::new(), different: BTreeSet::new() };
        let moments: BTreeMap<u64, UnixMillis> = transitions.iter().map(|one| (one.n, one.at)).collect();
        let (mut memo, mut at) = (Memo::default(), UnixMillis(0));
        while let Some(n) = played.next(&recorded) {
            let ready = played.take(&mut recorded, n);
            at = at.max(moments.get(&n).copied().unwrap_or_default());
            let events = ready.into_iter().map(|cue| event_of(cue, new)).collect();
            let moved = step(&played.run, new, events, at, data, &mut memo)?;
            played.run = moved.run;
            for effect in moved.effects {
                played.note(effect, &recorded);
            }
        }
        Ok((played, recorded))
    }

    fn is_ready(&self, cue: &Cue) -> bool {
        match cue {
            Cue::End(end) => self.open.contains(&end.part),
            Cue::Fired(timer) => self.timers.contains(timer),
            Cue::Free(_) => true,
        }
    }

    /// The first transition of which something can happen now.
    fn next(&self, recorded: &Recorded) -> Option<u64> {
        recorded.script.iter().find(|(_, cue)| self.is_ready(cue)).map(|((n, _), _)| *n)
    }

    /// What can happen now of a transition.
    fn take(&mut self, recorded: &mut Recorded, n: u64) -> Vec<Cue> {
        let of = recorded.script.range((n, 0)..(n + 1, 0));
        let ready: Vec<_> = of.filter(|(_, cue)| self.is_ready(cue)).map(|(place, _)| *place).collect();
        let cues: Vec<_> = ready.iter().filter_map(|place| recorded.script.remove(place)).collect();
        for cue in &cues {
            match cue {
                Cue::End(end) => drop(self.open.remove(&end.part)),
                Cue::Fired(timer) => drop(self.timers.remove(timer)),
                Cue::Free(_) => {}
            }
        }
        cues
    }

    fn note(&mut self, effect: Effect, recorded: &Recorded) {
        match effect {
            Effect::Task(order) => {
                for (part, input) in order.works() {
                    let is_the_same =
                        |(skill, asked, key): &Asked| *skill == order.skill && asked == input && *key == order.key;
                    if recorded.asked.get(&part).is_some_and(|asked| !is_the_same(asked)) {
                        self.different.insert(part.step.clone());
                    }
                    self.open.insert(part);
                }
            }
            Effect::Set { timer, .. } => drop(self.timers.insert(timer)),
            Effect::Unset { timer } => drop(self.timers.remove(&timer)),
            Effect::Cancel { .. } | Effect::End { .. } => {}
        }
    }
}

fn event_of(cue: Cue, new: &Plan) -> Event {
    match cue {
        Cue::End(end) => Event::Ended(vec![end]),
        Cue::Fired(timer) => Event::Fired(timer),
        Cue::Free(Event::Started(mut started)) => {
            started.definition = new.hash().to_owned();
            Event::Started(started)
        }
        Cue::Free(event) => event,
    }
}
