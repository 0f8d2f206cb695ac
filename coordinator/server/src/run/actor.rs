//! One run in memory: takes what arrives for it, lets the engine decide, records that, and carries it out.
//!
//! What arrives while a transition is on its way is folded into the next one. A letter is answered once what it led to is
//! recorded and carried out; before that it comes again, to whichever coordinator.

use std::sync::Arc;
use std::time::Duration;

use nova_engine::run::Effect;
use nova_runtime::Metric;
use nova_types::{OutcomeKind, run_skill};
use nova_workflow::Event;
use tokio::sync::mpsc;

use super::batch::{Batch, Sorted};
use super::effects::{Doer, Round};
use super::fold::FOLD;
use super::mail::{Letter, News, Verdict};
use super::place::Place;
use super::runs::Runs;
use super::state::{State, Trouble};
use super::store::{self, Appended};
use crate::record::outcome_of;

/// How much their results may take together, in bytes; one larger than that goes alone.
const FOLD_BYTES: u64 = 8 * 1024 * 1024;
/// The pause after something that failed and may work later.
pub(crate) const RETRY: Duration = Duration::from_secs(1);
/// The pause before a parked run is looked at again.
const PARKED: Duration = Duration::from_secs(30);
/// The pause before an outcome that no task under way has is looked at again: a replica may be behind.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// How often a batch is tried in a row while others move the same run.
const ROUNDS: usize = 200;

/// The run's own task.
pub(crate) struct Actor {
    runs: Arc<Runs>,
    place: Place,
    number: u64,
    inbox: mpsc::Receiver<Letter>,
    state: Option<State>,
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
                    if !self.note_last().await {
                        continue;
                    }
                    if self.runs.leave(&self.place.run, self.number, &self.inbox) {
                        return;
                    }
                }
            }
        }
    }

    /// Takes a letter with all that wait behind it, and answers them.
    async fn take(&mut self, first: Letter) {
        let (mut ends, mut bytes) = (first.ends(), first.bytes());
        let mut batch = Batch { open: vec![first], ..Batch::default() };
        while ends < FOLD && bytes < FOLD_BYTES {
            let Ok(letter) = self.inbox.try_recv() else { break };
            ends += letter.ends();
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

    /// Whether it is to stay until all is known to be carried out. What an ended run has decided no longer matters to it.
    fn is_behind(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.last > 0 && !state.is_ended() && state.is_behind())
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
        let mut rounds = 0;
        while rounds < ROUNDS {
            rounds += 1;
            if batch.open.is_empty() {
                return Ok(());
            }
            if !self.bring_up(batch).await? {
                continue;
            }
            self.catch_up(batch).await?;
            let Some(state) = &mut self.state else { continue };
            let sorted = batch.sort(&shared.parts, &self.place.run, state).await?;
            if !sorted.unknown.is_empty() && !batch.is_fresh {
                // Another coordinator may have started the task, or counted its end already.
                batch.open = sorted.all();
                self.refresh(batch).await?;
                continue;
            }
            let Sorted { events, mut counted, rest, unknown, ends } = sorted;
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
                rounds = 0;
                shared.parts.metrics.add(Metric::RunOutcomesFolded, &[], ends);
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
        let Some(state) = self.state.as_mut().filter(|state| state.last > 0 && state.is_behind()) else {
            return Ok(());
        };
        for letter in &mut batch.open {
            // That its start was recorded shows that it came before, whatever the broker remembers.
            letter.is_again |= matches!(letter.news, News::Start(_));
        }
        if state.is_left_behind(parts, batch.open.iter().any(|letter| letter.is_again)) {
            let news = self.recover().await?;
            batch.open.extend(news.into_iter().map(Letter::own));
            return Ok(());
        }
        // Whoever decided is most likely at it. What led to it is answered when that is known to be done.
        let (again, open): (Vec<Letter>, Vec<Letter>) = batch.open.drain(..).partition(|letter| letter.is_again);
        again.into_iter().for_each(|letter| letter.settle(Verdict::Later(RETRY)));
        batch.open = open;
        Ok(())
    }

    /// Carries out all that is not known to be.
    async fn recover(&mut self) -> Result<Vec<News>, Trouble> {
        let runs = Arc::clone(&self.runs);
        let Some(state) = &mut self.state else { return Ok(Vec::new()) };
        let (effects, round) = state.recover(&runs.shared.parts).await?;
        tracing::info!(run = %self.place.run, effects = effects.len(), "carrying out what another decided");
        let news = match self.doer(round) {
            Some(doer) => doer.carry_out(effects).await?,
            None => Vec::new(),
        };
        if let Some(state) = &mut self.state {
            state.all_carried_out();
        }
        self.hand_on_room();
        Ok(news)
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
        let Some(state) = &mut self.state else { return };
        state.rest();
        if !state.is_to_be_noted() {
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

    /// The same before the run leaves memory; says whether it may. Not while it is not known whether all is carried out.
    async fn note_last(&mut self) -> bool {
        match self.look_back().await {
            Ok(may_leave) => may_leave,
            Err(trouble) => {
                self.give_back(&trouble);
                true
            }
        }
    }

    async fn look_back(&mut self) -> Result<bool, Trouble> {
        let runs = Arc::clone(&self.runs);
        let (parts, stop) = (&runs.shared.parts, &runs.shared.stop);
        let is_behind = self.is_behind();
        let Some(state) = self.state.as_mut() else { return Ok(true) };
        if is_behind {
            // By now others have noted what they carried out.
            state.refresh(parts, &self.place).await?;
            if state.is_behind() && (state.is_left_behind(parts, false) || stop.is_cancelled()) {
                let news = self.recover().await?;
                let mut batch = Batch { open: news.into_iter().map(Letter::own).collect(), ..Batch::default() };
                self.work_off(&mut batch).await?;
            }
        }
        self.note().await;
        Ok(!self.is_behind())
    }
}
