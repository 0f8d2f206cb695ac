//! One run in memory: its history folded, and what is known to be carried out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nova_engine::run::{self as engine, Data, Effect, Memo, Moved, Run, Stuck};
use nova_types::{RunStatus, UnixMillis};
use nova_wire::{Headers, RunSummary, name};
use nova_workflow::{BlobName, Event, Plan, RECORD_VERSION};
use serde_json::Value;

use super::definitions::DefinitionError;
use super::effects::{Halted, Round};
use super::marks;
use super::place::Place;
use super::shared::Shared;
use super::shelf::{Shelf, ShelfError};
use super::store::{self, Record, Snapshot, StoreError};
use crate::Parts;

/// How many transitions, and bytes of them, a snapshot saves at least.
const SNAPSHOT_EVERY: (u64, usize) = (100, 64 * 1024);
/// How many transitions are read before it is known whether there is a snapshot.
const SHORT: usize = 32;
/// After how long whoever wrote a transition must have carried it out and said so, or be gone: several leases.
const STALE: Duration = Duration::from_secs(10);
/// The same when what led to it came again: half a lease, for whoever lives extends it each second.
const SUSPECT: Duration = Duration::from_millis(1500);
/// How long after a transition the broker surely knows the tasks it made: its dedupe window, less what clocks differ.
const WINDOW: Duration = Duration::from_secs(8);

/// Why a run could not be moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// Someone has to act: its record or its definition is not understood.
    #[error("the run is parked: {0}")]
    Parked(String),
    /// Later it may work.
    #[error(transparent)]
    Store(StoreError),
    #[error(transparent)]
    Shelf(ShelfError),
    #[error(transparent)]
    Definition(DefinitionError),
    #[error(transparent)]
    Halted(#[from] Halted),
    #[error("others moved the run each time")]
    Contended,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unreadable { .. } => Self::Parked(error.to_string()),
            // A transition that no message holds will not fit later, either.
            StoreError::Write(nova_broker::PublishError::TooLarge { .. }) => Self::Parked(error.to_string()),
            other => Self::Store(other),
        }
    }
}

impl From<ShelfError> for Trouble {
    fn from(error: ShelfError) -> Self {
        if error.is_transient() { Self::Shelf(error) } else { Self::Parked(error.to_string()) }
    }
}

impl From<DefinitionError> for Trouble {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Read { .. } => Self::Definition(error),
            other => Self::Parked(other.to_string()),
        }
    }
}

impl Data for Shelf {
    fn get(&self, blob: &BlobName) -> Option<Arc<Value>> {
        Self::get(self, blob)
    }
}

/// A run as it is known here.
pub(crate) struct State {
    pub(crate) run: Run,
    pub(crate) plan: Arc<Plan>,
    /// The headers its start carried.
    pub(crate) origin: Headers,
    pub(crate) shelf: Shelf,
    /// The last message of its history.
    pub(crate) last: u64,
    decided_at: UnixMillis,
    memo: Memo,
    /// Transitions that are known here to be carried out, above the run's own mark.
    carried_out: BTreeSet<u64>,
    /// Those among them that others have to be told of with the next transition: done here.
    ours: BTreeSet<u64>,
    /// Transitions that decided something, above what the history notes as carried out, and when they were stored.
    unnoted: BTreeMap<u64, UnixMillis>,
    /// What came since the last snapshot.
    fresh: (u64, usize),
    snapshot: Option<u64>,
    snapshot_bytes: usize,
}

impl State {
    /// A run that is to begin.
    pub(crate) fn new(place: &Place, plan: Arc<Plan>, origin: Headers) -> Self {
        Self {
            run: Run::new(place.run.clone()),
            plan,
            origin,
            shelf: Shelf::default(),
            last: 0,
            decided_at: UnixMillis(0),
            memo: Memo::default(),
            carried_out: BTreeSet::new(),
            ours: BTreeSet::new(),
            unnoted: BTreeMap::new(),
            fresh: (0, 0),
            snapshot: None,
            snapshot_bytes: 0,
        }
    }

    /// Reads a run; `None` when there is none.
    pub(crate) async fn load(shared: &Shared, place: &Place) -> Result<Option<Self>, Trouble> {
        // Most runs are short and have none: their history is asked for at once.
        let (found, begun) = tokio::join!(
            store::snapshot::<Run>(&shared.parts, place),
            store::tail(&shared.parts, place, 0, Some(SHORT))
        );
        let found = found?.filter(|(snapshot, _)| snapshot.run.version() == RECORD_VERSION);
        let records = match &found {
            Some((snapshot, _)) => store::tail(&shared.parts, place, snapshot.sequence, None).await?,
            None => {
                let mut records = begun?;
                if records.len() == SHORT {
                    let behind = records.last().map_or(0, |record| record.sequence);
                    records.extend(store::tail(&shared.parts, place, behind, None).await?);
                }
                records
            }
        };
        let of_snapshot = found.as_ref().and_then(|(snapshot, _)| snapshot.run.started());
        let of_record = records.first().and_then(|record| match record.transition.events.first() {
            Some(Event::Started(started)) => Some(&**started),
            _ => None,
        });
        let Some(started) = of_snapshot.or(of_record) else {
            return match records.first() {
                None => Ok(None),
                Some(_) => Err(Trouble::Parked("its history does not begin with its start".to_owned())),
            };
        };
        let plan = shared.definitions.get(&started.definition).await?;
        let mut state = match found {
            Some((snapshot, sequence)) => {
                let origin = snapshot.origin.into_iter().collect();
                let mut state = Self::new(place, plan, origin);
                state.run = snapshot.run;
                state.last = snapshot.sequence;
                state.carried_out = marks::read(&snapshot.emitted).collect();
                state.snapshot = Some(sequence);
                state
            }
            None => Self::new(place, plan, store::origin(&records[0].headers)),
        };
        state.fold(&shared.parts, records).await?;
        Ok(Some(state))
    }

    /// Folds what others have appended meanwhile; says whether there was anything.
    pub(crate) async fn refresh(&mut self, parts: &Parts, place: &Place) -> Result<bool, Trouble> {
        let records = store::tail(parts, place, self.last, None).await?;
        let has_moved = !records.is_empty();
        self.fold(parts, records).await?;
        Ok(has_moved)
    }

    async fn fold(&mut self, parts: &Parts, records: Vec<Record>) -> Result<(), Trouble> {
        for record in records {
            let Record { sequence, at, bytes, transition, headers } = record;
            self.run = loop {
                match engine::apply(&self.run, &self.plan, &transition, &self.shelf, &mut self.memo) {
                    Ok(run) => break run,
                    Err(stuck) => self.supply(parts, stuck).await?,
                }
            };
            self.carried_out.extend(headers.get(name::EMITTED).into_iter().flat_map(marks::read));
            self.keep(sequence, at, bytes, &transition);
        }
        Ok(())
    }

    /// Loads what the engine wants, or says why that will not help.
    async fn supply(&mut self, parts: &Parts, stuck: Stuck) -> Result<(), Trouble> {
        match stuck {
            Stuck::Wants(blobs) => {
                if blobs.iter().all(|blob| self.shelf.get(blob).is_some()) {
                    return Err(Trouble::Parked("it wants values that it was given".to_owned()));
                }
                Ok(self.shelf.load(parts, blobs).await?)
            }
            other => Err(Trouble::Parked(other.to_string())),
        }
    }

    fn keep(&mut self, sequence: u64, at: UnixMillis, bytes: usize, transition: &nova_workflow::Transition) {
        self.last = sequence;
        self.decided_at = self.decided_at.max(transition.at);
        self.fresh = (self.fresh.0 + 1, self.fresh.1 + bytes);
        if transition.decisions.is_empty() {
            self.carried_out.insert(transition.n);
        } else {
            self.unnoted.insert(transition.n, at);
        }
        self.unnoted.retain(|n, _| *n > transition.emitted);
        self.carried_out.retain(|n| *n > transition.emitted);
    }

    /// Decides what follows from events; nothing has happened yet.
    pub(crate) async fn decide(&mut self, parts: &Parts, events: Vec<Event>) -> Result<Moved, Trouble> {
        let mark = self.mark();
        self.run.mark_emitted(mark);
        let at = parts.clock.now().max(self.decided_at);
        loop {
            let moved = engine::step(&self.run, &self.plan, events.clone(), at, &self.shelf, &mut self.memo);
            match moved {
                Ok(moved) => return Ok(moved),
                Err(stuck) => self.supply(parts, stuck).await?,
            }
        }
    }

    /// Takes over a transition of ours that stands in the history.
    pub(crate) fn accept(&mut self, parts: &Parts, moved: Moved, sequence: u64, bytes: usize) -> Vec<Effect> {
        self.run = moved.run;
        // They were told with it.
        self.ours.clear();
        self.keep(sequence, parts.clock.now(), bytes, &moved.transition);
        moved.effects
    }

    /// Everything up to this transition is carried out, as far as is known here.
    fn mark(&self) -> u64 {
        let mut mark = self.run.emitted();
        while self.carried_out.contains(&(mark + 1)) {
            mark += 1;
        }
        mark
    }

    /// Notes that a transition's effects are carried out here.
    pub(crate) fn carried_out(&mut self, n: u64) {
        self.carried_out.insert(n);
        self.ours.insert(n);
    }

    /// Whether the history is to be told what is carried out.
    pub(crate) fn is_to_be_noted(&self) -> bool {
        let is_new = |n: &u64| self.unnoted.contains_key(n);
        !self.is_ended() && (self.unnoted.range(..=self.mark()).next().is_some() || self.ours.iter().any(is_new))
    }

    /// Whether others decided what is not known to be carried out.
    pub(crate) fn is_behind(&self) -> bool {
        self.mark() < self.run.n()
    }

    /// Whether whoever decided that is likely to be gone.
    pub(crate) fn is_left_behind(&self, parts: &Parts, has_come_again: bool) -> bool {
        let oldest = self.unnoted.iter().find(|(n, _)| !self.carried_out.contains(n) && **n > self.run.emitted());
        let patience = if has_come_again { SUSPECT } else { STALE };
        oldest.is_some_and(|(_, at)| parts.clock.now().since(*at) > patience)
    }

    /// What was decided and may not be carried out.
    pub(crate) async fn recover(&mut self, parts: &Parts) -> Result<(Vec<Effect>, Round), Trouble> {
        let mark = self.mark();
        self.run.mark_emitted(mark);
        let effects = loop {
            match engine::recover(&self.run, &self.plan, &self.shelf, &mut self.memo) {
                Ok(effects) => break effects,
                Err(stuck) => self.supply(parts, stuck).await?,
            }
        };
        let newest = self.unnoted.iter().next_back().map_or(UnixMillis(0), |(_, at)| *at);
        let is_in_window = parts.clock.now().since(newest) < WINDOW;
        Ok((effects, Round::Again { is_in_window, sequence: self.last }))
    }

    /// Notes that everything decided so far is carried out.
    pub(crate) fn all_carried_out(&mut self) {
        for n in self.mark() + 1..=self.run.n() {
            self.carried_out(n);
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.run.status().is_ended()
    }

    /// Whether its workflow says how many runs may be under way at once.
    pub(crate) fn is_capped(&self) -> bool {
        self.plan.workflow().runs.is_some()
    }

    /// The headers of a transition: its summary, and with the first one what the start carried.
    pub(crate) fn headers(&self, moved: &Moved) -> Headers {
        let mut headers = if moved.transition.n == 1 { self.origin.clone() } else { Headers::new() };
        // What others cannot know: their mark stands still before it.
        if self.ours.iter().any(|n| *n > moved.transition.emitted) {
            headers.push(name::EMITTED, marks::write(self.ours.iter().filter(|n| **n > moved.transition.emitted)));
        }
        if let Some(summary) = summary(&moved.run, &self.plan, moved.transition.at) {
            headers.push(name::TRANSITION, summary.to_header());
        }
        headers
    }

    /// Lets go of what is only held because it may soon be needed.
    pub(crate) fn rest(&mut self) {
        self.shelf = Shelf::default();
        self.memo = Memo::default();
    }

    /// Writes a snapshot when it is worth one.
    pub(crate) async fn snap(&mut self, parts: &Parts, place: &Place) {
        let (count, bytes) = self.fresh;
        // Growing with the run, so that what snapshots cost stays in proportion to its history.
        let worth = SNAPSHOT_EVERY.1.max(self.snapshot_bytes);
        let is_due = count >= SNAPSHOT_EVERY.0 && bytes >= self.snapshot_bytes || bytes >= worth;
        if !is_due || self.is_ended() {
            return;
        }
        let snapshot = Snapshot::new(self.last, &self.origin, marks::write(&self.carried_out), &self.run);
        let written = store::put_snapshot(parts, place, &snapshot, self.snapshot).await;
        self.fresh = (0, 0);
        match written {
            Some((sequence, bytes)) => (self.snapshot, self.snapshot_bytes) = (Some(sequence), bytes),
            // One that was too large is not tried with every transition.
            None => self.snapshot_bytes = self.snapshot_bytes.max(SNAPSHOT_EVERY.1) * 2,
        }
    }
}

fn summary(run: &Run, plan: &Plan, at: UnixMillis) -> Option<RunSummary> {
    let started = run.started()?;
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let status: RunStatus = run.status();
    Some(RunSummary {
        status,
        run: run.id().clone(),
        workflow: started.workflow.clone(),
        version: started.definition.clone(),
        n: run.n(),
        task: started.task.clone(),
        key: started.key.clone(),
        started: run.started_at()?,
        ended: status.is_ended().then_some(run.ended_at().unwrap_or(at)),
        done: count(run.steps_ended()),
        total: count(plan.order().len()),
        failed: run.end().and_then(|end| end.step.clone()),
        parent: started.parent.as_ref().map(|parent| parent.run.clone()),
        restart_of: started.restart_of.clone(),
        labels: started.labels.clone(),
    })
}
