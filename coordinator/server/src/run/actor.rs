//! One run in memory: takes what arrives for it, lets the engine decide, records that, and carries it out.
//!
//! What arrives while a transition is on its way is folded into the next one. A letter is answered once what it led to is
//! recorded and carried out; before that it comes again, to whichever coordinator.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use nova_engine::run::{Effect, part_of};
use nova_runtime::Metric;
use nova_types::{OutcomeKind, run_skill};
use nova_workflow::{Event, Part};
use tokio::sync::mpsc;

use super::effects::{Doer, Round};
use super::end;
use super::fold::Fold;
use super::mail::{Letter, News, Verdict};
use super::place::Place;
use super::runs::Runs;
use super::state::{State, Trouble};
use super::store::{self, Appended};
use crate::record::outcome_of;

/// How many letters one transition folds.
const FOLD: usize = 1000;
/// How much their results may take together, in bytes; one larger than that goes alone.
const FOLD_BYTES: u64 = 8 * 1024 * 1024;
/// The pause after something that failed and may work later.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// The pause before a parked run is looked at again.
const PARKED: Duration = Duration::from_secs(30);
/// The pause before an outcome that no task under way has is looked at again: a replica may be behind.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// How often a batch is tried while others move the same run.
const ROUNDS: usize = 200;

/// The run's own task.
pub(crate) struct Actor {
    runs: Arc<Runs>,
    place: Place,
    number: u64,
    inbox: mpsc::Receiver<Letter>,
    state: Option<State>,
}

/// A batch on its way.
#[derive(Default)]
struct Batch {
    /// Not recorded yet.
    open: Vec<Letter>,
    /// Recorded, or known to be; answered once all is carried out.
    done: Vec<Letter>,
    /// Whether the history was read since the batch came.
    is_fresh: bool,
    /// Whether the run is known to exist.
    exists: bool,
}

/// What a batch comes to before it is recorded.
struct Sorted {
    events: Vec<Event>,
    /// Recorded with these events.
    counted: Vec<Letter>,
    /// Left for the next transition.
    rest: Vec<Letter>,
    /// Ends that no task under way has.
    unknown: Vec<Letter>,
}

impl Actor {
    pub(crate) fn new(runs: Arc<Runs>, place: Place, number: u64, inbox: mpsc::Receiver<Letter>) -> Self {
        Self { runs, place, number, inbox, state: None }
    }

    /// Runs until it has been quiet for long enough.
    pub(crate) async fn run(mut self) {
        let runs = Arc::clone(&self.runs);
        let (stop, options) = (&runs.shared.stop, &runs.shared.options);
        let (mut has_worked, mut is_noted) = (false, false);
        loop {
            let is_over = has_worked && (stop.is_cancelled() || self.state.as_ref().is_none_or(State::is_ended));
            let patience = match (is_over, is_noted) {
                (true, _) => Duration::ZERO,
                (false, false) => options.quiet,
                (false, true) => options.idle,
            };
            let letter = tokio::select! {
                biased;
                letter = self.inbox.recv() => letter,
                () = tokio::time::sleep(patience) => None,
                () = stop.cancelled(), if has_worked && !is_over => None,
            };
            match letter {
                Some(letter) => {
                    self.take(letter).await;
                    (has_worked, is_noted) = (true, false);
                }
                None if !is_noted => {
                    self.note().await;
                    is_noted = true;
                }
                None => {
                    self.note_last().await;
                    if self.runs.leave(&self.place.run, self.number, &self.inbox) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes a letter with all that wait behind it, and answers them.
    async fn take(&mut self, first: Letter) {
        let mut bytes = first.bytes();
        let mut batch = Batch { open: vec![first], ..Batch::default() };
        while batch.open.len() < FOLD && bytes < FOLD_BYTES {
            let Ok(letter) = self.inbox.try_recv() else { break };
            bytes += letter.bytes();
            batch.open.push(letter);
        }
        let verdict = match self.work_off(&mut batch).await {
            Ok(()) => Verdict::Done,
            Err(trouble) => self.give_back(&trouble),
        };
        nova_runtime::failpoint::hit("run-before-ack");
        for letter in batch.done.into_iter().chain(batch.open) {
            letter.settle(verdict);
        }
        if let Some(state) = &mut self.state {
            state.snap(&self.runs.shared.parts, &self.place).await;
        }
    }

    fn give_back(&mut self, trouble: &Trouble) -> Verdict {
        // What is held may be what was not understood, or only half carried out: it is read again.
        self.state = None;
        let run = &self.place.run;
        if let Trouble::Parked(why) = trouble {
            self.runs.shared.count(Metric::RunsParked);
            tracing::error!(%run, why, "a run is parked: someone has to act");
            return Verdict::Later(PARKED);
        }
        tracing::warn!(%run, error = trouble as &dyn std::error::Error, "a run is put off");
        Verdict::Later(RETRY)
    }

    async fn work_off(&mut self, batch: &mut Batch) -> Result<(), Trouble> {
        let runs = Arc::clone(&self.runs);
        let shared = &runs.shared;
        for _ in 0..ROUNDS {
            if batch.open.is_empty() {
                return Ok(());
            }
            if !self.bring_up(batch).await? {
                continue;
            }
            self.catch_up(batch).await?;
            let sorted = self.sort(batch).await?;
            if !sorted.unknown.is_empty() && !batch.is_fresh {
                // Another coordinator may have started the task, or counted its end already.
                batch.open = sorted.all();
                self.refresh(batch).await?;
                continue;
            }
            let Sorted { events, mut counted, rest, unknown } = sorted;
            let (again, early): (Vec<Letter>, Vec<Letter>) = unknown.into_iter().partition(|letter| letter.is_again);
            early.into_iter().for_each(|letter| letter.settle(Verdict::Later(LOOK_AGAIN)));
            // What is recorded next proves that the run was seen as it is: such an end was counted before.
            let has_to_prove = !again.is_empty();
            counted.extend(again);
            if events.is_empty() && !has_to_prove {
                batch.done.extend(counted);
                batch.open = rest;
                continue;
            }
            let is_start = matches!(events.first(), Some(Event::Started(_)));
            if let Some(effects) = self.record(events).await? {
                batch.done.extend(counted);
                batch.open.extend(rest);
                batch.is_fresh = true;
                let (news, cancel) = tokio::join!(self.carry_out(effects), self.cancelled_before(is_start));
                batch.open.extend(news?.into_iter().chain(cancel?).map(Letter::own));
                self.carried_out(is_start);
            } else {
                shared.count(Metric::RunConflicts);
                batch.open.extend(counted);
                batch.open.extend(rest);
                batch.exists = true;
                // Two that met step aside for different times.
                tokio::time::sleep(Duration::from_micros(fastrand::u64(0..2000))).await;
                self.refresh(batch).await?;
            }
        }
        Err(Trouble::Contended)
    }

    /// Sees to it that there is a state to work on; says whether there is.
    async fn bring_up(&mut self, batch: &mut Batch) -> Result<bool, Trouble> {
        let runs = Arc::clone(&self.runs);
        if self.state.is_some() {
            return Ok(true);
        }
        let start = batch.open.iter().find_map(|letter| match &letter.news {
            News::Start(start) => Some((start.clone(), letter.is_again)),
            _ => None,
        });
        // A start that comes for the first time is most likely one: the compare-and-set tells when it is not.
        let is_likely_new = start.as_ref().is_some_and(|(_, is_again)| !is_again) && !batch.exists;
        if !is_likely_new {
            self.state = State::load(&runs.shared, &self.place).await?;
            batch.is_fresh = true;
        }
        if self.state.is_some() {
            return Ok(true);
        }
        if batch.exists {
            // Someone was first, and the replica that was asked does not know it yet.
            tokio::time::sleep(LOOK_AGAIN / 10).await;
            return Ok(false);
        }
        let Some((start, _)) = start else {
            batch.open.drain(..).for_each(|letter| letter.settle(Verdict::NoRun));
            return Ok(false);
        };
        let plan = runs.shared.definitions.get(&start.started.definition).await?;
        self.state = Some(State::new(&self.place, plan, start.origin));
        Ok(true)
    }

    async fn refresh(&mut self, batch: &mut Batch) -> Result<(), Trouble> {
        let runs = Arc::clone(&self.runs);
        match &mut self.state {
            // A run that was to begin, and has begun elsewhere.
            Some(state) if state.last == 0 => self.state = None,
            Some(state) => {
                state.refresh(&runs.shared.parts, &self.place).await?;
            }
            None => {}
        }
        batch.is_fresh = true;
        Ok(())
    }

    /// Carries out what someone decided and may not have carried out.
    async fn catch_up(&mut self, batch: &mut Batch) -> Result<(), Trouble> {
        let runs = Arc::clone(&self.runs);
        let parts = &runs.shared.parts;
        let Some(state) = &mut self.state else { return Ok(()) };
        if state.last == 0 || !state.is_behind(parts, batch.open.iter().any(|letter| letter.is_again)) {
            return Ok(());
        }
        let (effects, round) = state.recover(parts).await?;
        tracing::info!(run = %self.place.run, effects = effects.len(), "carrying out what another decided");
        if let Some(doer) = self.doer(round) {
            let news = doer.carry_out(effects).await?;
            batch.open.extend(news.into_iter().map(Letter::own));
        }
        if let Some(state) = &mut self.state {
            state.all_carried_out();
        }
        self.hand_on_room();
        Ok(())
    }

    /// Sorts what arrived: what happened to the run, what is known already, and what is not understood.
    async fn sort(&mut self, batch: &mut Batch) -> Result<Sorted, Trouble> {
        let parts = &self.runs.shared.parts;
        let run_id = &self.place.run;
        let mut sorted = Sorted { events: vec![], counted: vec![], rest: vec![], unknown: vec![] };
        let Some(state) = &mut self.state else {
            sorted.rest = std::mem::take(&mut batch.open);
            return Ok(sorted);
        };
        if state.run.started().is_none() {
            // Its start alone: all else is understood behind it.
            for letter in std::mem::take(&mut batch.open) {
                match &letter.news {
                    News::Start(start) if sorted.events.is_empty() => {
                        sorted.events.push(Event::Started(Box::new(start.started.clone())));
                        sorted.counted.push(letter);
                    }
                    _ => sorted.rest.push(letter),
                }
            }
            return Ok(sorted);
        }
        let (mut fold, mut seen) = (Fold::default(), HashSet::<Part>::new());
        let mut others = Vec::new();
        for letter in std::mem::take(&mut batch.open) {
            match &letter.news {
                News::Start(start) => {
                    if state.run.started().is_some_and(|started| started.task == start.started.task) {
                        sorted.counted.push(letter);
                    } else {
                        letter.settle(Verdict::Taken);
                    }
                }
                News::Order(order) if state.run.started().is_some_and(|started| started.task != order.0) => {
                    letter.settle(Verdict::Taken);
                }
                _ if state.is_ended() => sorted.counted.push(letter),
                News::Outcome(ended) => match part_of(&state.run, &ended.name) {
                    Some(part) => {
                        if seen.insert(part.clone()) {
                            fold.add(parts, run_id, &state.plan, &mut state.shelf, part, ended).await?;
                        }
                        sorted.counted.push(letter);
                    }
                    None => sorted.unknown.push(letter),
                },
                News::Refused(end) => {
                    if part_of(&state.run, &end.part.name(run_id)).is_some() && seen.insert(end.part.clone()) {
                        fold.push((**end).clone());
                    }
                    sorted.counted.push(letter);
                }
                News::Order(order) => {
                    others.push(order.1.clone());
                    sorted.counted.push(letter);
                }
                News::Event(event) => {
                    others.push((**event).clone());
                    sorted.counted.push(letter);
                }
            }
        }
        parts.metrics.add(Metric::RunOutcomesFolded, &[], seen.len() as u64);
        sorted.events = fold.events(parts, run_id, &mut state.shelf).await?;
        sorted.events.extend(others);
        Ok(sorted)
    }

    /// Lets the engine decide, and appends that; says what is to be carried out when it stands.
    async fn record(&mut self, events: Vec<Event>) -> Result<Option<Vec<Effect>>, Trouble> {
        let runs = Arc::clone(&self.runs);
        let parts = &runs.shared.parts;
        let Some(state) = &mut self.state else { return Ok(None) };
        let moved = state.decide(parts, events).await?;
        let headers = state.headers(&moved);
        let appended = store::append(parts, &self.place, &moved.transition, headers, state.last).await?;
        let Appended::Ours { sequence, bytes } = appended else { return Ok(None) };
        nova_runtime::failpoint::hit("run-appended");
        runs.shared.count(Metric::RunTransitions);
        Ok(Some(state.accept(parts, moved, sequence, bytes)))
    }

    async fn carry_out(&self, effects: Vec<Effect>) -> Result<Vec<News>, Trouble> {
        match self.doer(Round::First) {
            Some(doer) if !effects.is_empty() => Ok(doer.carry_out(effects).await?),
            _ => Ok(Vec::new()),
        }
    }

    fn doer(&self, round: Round) -> Option<Doer<'_>> {
        let state = self.state.as_ref()?;
        Some(Doer {
            shared: &self.runs.shared,
            place: &self.place,
            run: &state.run,
            origin: &state.origin,
            is_capped: state.is_capped(),
            round,
        })
    }

    /// A cancel that was recorded just before the run began: it found no run then.
    async fn cancelled_before(&self, is_start: bool) -> Result<Option<News>, Trouble> {
        let started = self.state.as_ref().and_then(|state| state.run.started()).filter(|_| is_start);
        let Some(started) = started else { return Ok(None) };
        let stands = outcome_of(&self.runs.shared.parts, &run_skill(), &started.task).await;
        Ok(matches!(stands, Ok(Some((outcome, _))) if outcome.kind == OutcomeKind::Cancelled).then(|| {
            let why = "it was cancelled before it began".to_owned();
            News::Event(Box::new(Event::Cancelled { why }))
        }))
    }

    /// Notes that the last transition is carried out, and tells what that means for others.
    fn carried_out(&mut self, is_start: bool) {
        let Some(state) = &mut self.state else { return };
        state.carried_out(state.run.n());
        nova_runtime::failpoint::hit("run-carried-out");
        if is_start {
            self.runs.shared.count(Metric::RunsStarted);
            let (runs, place, run) = (Arc::clone(&self.runs), self.place.clone(), state.run.clone());
            self.runs.beside(async move { end::event(&runs.shared, &place, &run, "started").await });
        }
        if is_start || state.is_ended() {
            self.hand_on_room();
        }
    }

    /// Lets runs that wait have the room there is, where room is counted: some may have come free meanwhile.
    fn hand_on_room(&self) {
        let Some(state) = self.state.as_ref().filter(|state| state.is_capped()) else { return };
        let workflow = state.plan.workflow().workflow.clone();
        let runs = Arc::clone(&self.runs);
        self.runs.beside(async move { runs.hand_on(&workflow).await });
    }

    /// Notes in the history what is carried out: nothing more is to be published should the run be read again.
    async fn note(&mut self) {
        if self.state.as_ref().is_none_or(|state| !state.is_to_be_noted()) {
            return;
        }
        match self.record(Vec::new()).await {
            Ok(Some(_)) => {}
            // Someone else moves it, and notes as much.
            Ok(None) => {
                let runs = Arc::clone(&self.runs);
                if let Some(state) = &mut self.state
                    && let Err(trouble) = state.refresh(&runs.shared.parts, &self.place).await
                {
                    self.give_back(&trouble);
                }
            }
            Err(trouble) => {
                self.give_back(&trouble);
            }
        }
    }

    /// The same before the run leaves memory: by now others have noted what they carried out.
    async fn note_last(&mut self) {
        let runs = Arc::clone(&self.runs);
        if let Some(state) = self.state.as_mut().filter(|state| state.has_unnoted())
            && let Err(trouble) = state.refresh(&runs.shared.parts, &self.place).await
        {
            self.give_back(&trouble);
        }
        self.note().await;
    }
}

impl Sorted {
    /// All letters again, as they came.
    fn all(self) -> Vec<Letter> {
        self.counted.into_iter().chain(self.rest).chain(self.unknown).collect()
    }
}
