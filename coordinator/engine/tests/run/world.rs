//! A random world around a run: tasks end in any order, well or badly, are told twice, and orders come at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nova_engine::run::{Effect, Run, StepStatus, Stuck, items_of, part_of, parts_of};
use nova_types::{OutcomeKind, StepId};
use nova_workflow::definition::Kind;
use nova_workflow::{
    Approved, BlobName, Datum, Decision, End, Event, Failure, Items, Kept, Lost, Part, Role, Segment, Started, Timer,
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

    fn note_late(&mut self, event: &Event) {
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
    fn note(&mut self, decision: &Decision) {
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

    fn carry_out(&mut self, effect: Effect) {
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
    fn caps(&self) {
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
