//! A random world around a run: tasks end in any order, well or badly, are told twice, and orders come at any time.

mod books;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nova_engine::run::{StepStatus, Stuck};
use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::Kind;
use nova_workflow::{
    Approved, BlobName, Datum, End, Event, Failure, Items, Kept, Lost, Part, Role, Segment, Started, Timer,
};
use serde_json::{Value, json};

use crate::play::Play;

/// Numbers that look random and follow from a seed.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// How rough the world is: once in how many times something happens.
#[derive(Debug, Clone, Copy)]
pub struct Rough {
    pub fails: usize,
    pub repeats: usize,
    pub cancels: usize,
    pub pauses: usize,
    /// Which of the ends fails, whatever else does.
    pub fails_at: Option<usize>,
    /// Whether every other result is large: held outside, and loaded when it is wanted.
    pub is_large: bool,
}

impl Rough {
    /// Nothing fails, nobody interferes.
    pub const CALM: Self =
        Self { fails: NEVER, repeats: NEVER, cancels: NEVER, pauses: NEVER, fails_at: None, is_large: false };
}

/// Never, as good as.
const NEVER: usize = 1 << 30;

/// The world: what is under way outside the run.
pub struct World {
    pub play: Play,
    dice: Dice,
    rough: Rough,
    /// Tasks under way, and which items they are a bundle of.
    tasks: BTreeMap<Part, Vec<u32>>,
    timers: BTreeSet<Timer>,
    asks: BTreeMap<StepId, String>,
    told: Vec<Event>,
    order: u64,
    started: BTreeSet<Part>,
    ended: BTreeMap<StepId, StepStatus>,
    done: Vec<StepId>,
    undone: Vec<StepId>,
    /// Steps that were skipped under way and completed all the same.
    late: BTreeSet<StepId>,
    /// Maps and loops of which at least one task completed.
    begun: BTreeSet<StepId>,
    /// How many tasks ended.
    pub ends: usize,
    /// Large values that nobody wanted yet.
    store: BTreeMap<BlobName, Arc<Value>>,
}

impl World {
    pub fn new(play: Play, seed: u64, rough: Rough) -> Self {
        Self {
            play,
            dice: Dice::new(seed),
            rough,
            tasks: BTreeMap::new(),
            timers: BTreeSet::new(),
            asks: BTreeMap::new(),
            told: Vec::new(),
            order: 0,
            started: BTreeSet::new(),
            ended: BTreeMap::new(),
            done: Vec::new(),
            undone: Vec::new(),
            late: BTreeSet::new(),
            begun: BTreeSet::new(),
            ends: 0,
            store: BTreeMap::new(),
        }
    }

    /// Lives until the run has ended; every claim about a single turn is checked in between.
    pub fn live(&mut self) {
        let started = self.play.started();
        self.live_from(started);
    }

    /// The same from a start of its own.
    pub fn live_from(&mut self, started: Started) {
        for (step, kept) in &started.kept {
            match kept {
                Kept::Completed(_) => drop(self.ended.insert(step.clone(), StepStatus::Completed)),
                Kept::Skipped => drop(self.ended.insert(step.clone(), StepStatus::Skipped)),
                // None of these may start again.
                Kept::Items { done, .. } => {
                    let items = done.iter().flat_map(|segment| &segment.items);
                    self.started.extend(items.map(|item| Part::work(step.clone(), *item)));
                }
            }
        }
        let started = Event::Started(Box::new(started));
        self.turn(vec![started.clone()]);
        self.told.push(started);
        for _ in 0..10_000 {
            if self.play.run.end().is_some() {
                return;
            }
            let events = self.happen();
            self.turn(events);
        }
        panic!("the run does not end: {:#?}", self.play.run.view(&self.play.plan));
    }

    /// What happens next: one thing or several, some of it told before.
    fn happen(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..=self.dice.below(3) {
            if let Some(event) = self.one() {
                events.push(event.clone());
                self.told.push(event);
            }
            if self.dice.once_in(self.rough.repeats) {
                let again = self.told[self.dice.below(self.told.len())].clone();
                events.push(again);
            }
        }
        if events.is_empty() && (self.play.run.status() == nova_types::RunStatus::Paused) {
            self.order += 1;
            events.push(Event::Resumed { order: self.order });
        }
        events
    }

    fn one(&mut self) -> Option<Event> {
        if self.dice.once_in(self.rough.cancels) {
            return Some(Event::Cancelled { why: String::new() });
        }
        if self.dice.once_in(self.rough.pauses) {
            self.order += 1;
            let order = self.order;
            return Some(if self.dice.once_in(2) { Event::Paused { order } } else { Event::Resumed { order } });
        }
        match self.dice.below(8) {
            0 => self.fire(),
            1 => self.order(),
            2 => self.items(),
            _ => self.end(),
        }
        .or_else(|| self.end())
        .or_else(|| self.fire())
        .or_else(|| self.order())
    }

    fn end(&mut self) -> Option<Event> {
        let (part, items) = self.pick()?;
        if !items.is_empty() {
            return Some(self.items_of(&part.step, items));
        }
        let mut end = self.end_of(part);
        end.result = self.told_as(end.result);
        Some(Event::Ended(vec![end]))
    }

    fn pick(&mut self) -> Option<(Part, Vec<u32>)> {
        let at = self.dice.below(self.tasks.len());
        let part = self.tasks.keys().nth(at).cloned()?;
        self.tasks.remove_entry(&part)
    }

    fn end_of(&mut self, part: Part) -> End {
        self.ends += 1;
        if self.dice.once_in(self.rough.fails) || self.rough.fails_at == Some(self.ends - 1) {
            let error = Some(Failure { code: "bad".into(), message: "why".into() });
            return End { part, kind: OutcomeKind::Dead, attempt: 2, result: Datum::NULL, error };
        }
        let result = Datum::Inline(self.dice.below(4).into());
        End { part, kind: OutcomeKind::Completed, attempt: 1, result, error: None }
    }

    /// A value as it is told: where the world is so, every other is large.
    fn told_as(&mut self, datum: Datum) -> Datum {
        match datum {
            Datum::Inline(value) if self.rough.is_large && !value.is_null() && self.dice.once_in(2) => {
                let blob = crate::play::blob(&format!("v{}", self.store.len()));
                self.store.insert(blob.clone(), Arc::new(value));
                Datum::Blob(blob)
            }
            other => other,
        }
    }

    /// Several ends of one map at once.
    fn items(&mut self) -> Option<Event> {
        let is_item = |part: &Part| matches!(self.play.plan.kind(&part.step), Kind::Map(_)) && part.role == Role::Work;
        let step = self.tasks.keys().find(|part| is_item(part))?.step.clone();
        let parts: Vec<_> = self.tasks.keys().filter(|part| part.step == step && is_item(part)).cloned().collect();
        let mut ended = Vec::new();
        for part in parts {
            if self.dice.once_in(3) {
                continue;
            }
            // A bundle ends as a whole.
            let items = self.tasks.remove(&part).unwrap_or_default();
            ended.extend(if items.is_empty() { vec![part.index] } else { items });
        }
        Some(self.items_of(&step, ended))
    }

    /// The ends of these items as one event.
    fn items_of(&mut self, step: &StepId, items: Vec<u32>) -> Event {
        let (mut done, mut failed) = (Segment { items: vec![], results: Datum::NULL }, Vec::new());
        let mut results = Vec::new();
        for index in items {
            let end = self.end_of(Part::work(step.clone(), index));
            match (end.error, end.result) {
                (Some(error), _) => failed.push(Lost { item: index, attempts: 1, error }),
                (None, Datum::Inline(result)) => {
                    done.items.push(index);
                    results.push(result);
                }
                (None, Datum::Blob(_)) => unreachable!("results here are small"),
            }
        }
        done.results = self.told_as(Datum::Inline(Value::Array(results)));
        Event::Items(Items { step: step.clone(), done, failed })
    }

    fn fire(&mut self) -> Option<Event> {
        // The deadline is as rare as a cancel: it ends everything.
        let is_late = self.dice.once_in(self.rough.cancels);
        let timers: Vec<_> =
            self.timers.iter().filter(|timer| is_late || **timer != Timer::Deadline).cloned().collect();
        let timer = timers.get(self.dice.below(timers.len())).cloned()?;
        self.timers.remove(&timer);
        Some(Event::Fired(timer))
    }

    /// A signal or an answer that some step waits for or may wait for.
    fn order(&mut self) -> Option<Event> {
        self.order += 1;
        if self.dice.once_in(2)
            && let Some((step, hash)) = self.asks.pop_first()
        {
            let (order, yes) = (self.order, !self.dice.once_in(self.rough.fails));
            return Some(Event::Approved(Approved { order, step, hash, yes, by: None, note: None }));
        }
        let (order, name) = (self.order, "go".to_owned());
        Some(Event::Signalled { order, name, data: Datum::Inline(json!(1)), by: None })
    }

    fn turn(&mut self, events: Vec<Event>) {
        self.play.now += 1;
        while let Err(stuck) = self.play.tell(events.clone()) {
            let Stuck::Wants(blobs) = stuck else { panic!("{stuck}") };
            assert!(!blobs.is_empty(), "it wants nothing");
            for blob in blobs {
                let before = self.play.data.0.insert(blob.clone(), Arc::clone(&self.store[&blob]));
                assert_eq!(before, None, "{blob:?} was at hand");
            }
        }
        let decisions = self.play.history.last().expect("it moved").decisions.clone();
        let effects = self.play.effects.last().expect("it moved").clone();
        for event in &events {
            self.note_late(event);
        }
        for decision in &decisions {
            self.note(decision);
        }
        for effect in effects {
            self.carry_out(effect);
        }
        self.caps();
    }
}
