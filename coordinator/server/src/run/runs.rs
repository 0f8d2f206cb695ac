//! The runs that are in memory: one actor each, found by its id, made when something arrives for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nova_runtime::Metric;
use nova_types::RunId;
use nova_workflow::Event;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::actor::Actor;
use super::mail::{Letter, News, Verdict};
use super::shared::Shared;

/// How many letters wait for one run: as many as one transition folds, twice. A sender beyond that waits.
const MAILBOX: usize = 2048;

/// All runs of this coordinator.
pub(crate) struct Runs {
    pub(crate) shared: Shared,
    seats: Mutex<Seats>,
    /// One for each actor.
    room: Arc<Semaphore>,
    actors: TaskTracker,
}

#[derive(Default)]
struct Seats {
    by_run: HashMap<RunId, Seat>,
    given: u64,
}

struct Seat {
    /// Tells this actor from an earlier one of the same run.
    number: u64,
    mail: mpsc::Sender<Letter>,
}

impl Runs {
    pub(crate) fn new(shared: Shared) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(shared.options.live.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { shared, seats: Mutex::default(), room, actors: TaskTracker::new() })
    }

    /// Hands news to a run and waits for what becomes of them.
    pub(crate) async fn tell(self: &Arc<Self>, run: &RunId, news: News, is_again: bool) -> Verdict {
        let (answer, told) = oneshot::channel();
        self.post(run, Letter { news, is_again, answer: Some(answer) }).await;
        // An actor that broke took the letter with it: whoever sent it brings it again.
        told.await.unwrap_or(Verdict::Later(super::actor::RETRY))
    }

    /// Hands a letter to a run, which is brought into memory for it.
    pub(crate) async fn post(self: &Arc<Self>, run: &RunId, letter: Letter) {
        let mut letter = letter;
        loop {
            let found = self.lock().by_run.get(run).map(|seat| seat.mail.clone());
            let mail = match found {
                Some(mail) => mail,
                None => self.bring_in(run).await,
            };
            match mail.send(letter).await {
                Ok(()) => return,
                // It has just left memory.
                Err(mpsc::error::SendError(back)) => letter = back,
            }
        }
    }

    async fn bring_in(self: &Arc<Self>, run: &RunId) -> mpsc::Sender<Letter> {
        let permit = Arc::clone(&self.room).acquire_owned().await.expect("the room is never closed");
        let mut seats = self.lock();
        if let Some(seat) = seats.by_run.get(run) {
            return seat.mail.clone();
        }
        let (mail, inbox) = mpsc::channel(MAILBOX);
        seats.given += 1;
        let number = seats.given;
        seats.by_run.insert(run.clone(), Seat { number, mail: mail.clone() });
        drop(seats);
        let actor = Actor::new(Arc::clone(self), self.shared.place(run.clone()), number, inbox);
        let runs = Arc::clone(self);
        let live = self.shared.parts.metrics.gauge(Metric::RunsLive, &[]);
        live.add(1.0);
        let leaving = Leaving { runs, run: run.clone(), number };
        self.actors.spawn(async move {
            actor.run().await;
            drop(leaving);
            live.add(-1.0);
            drop(permit);
        });
        mail
    }

    /// Takes a run out of memory, unless letters wait for it.
    pub(crate) fn leave(&self, run: &RunId, number: u64, inbox: &mpsc::Receiver<Letter>) -> bool {
        let mut seats = self.lock();
        if !inbox.is_empty() {
            return false;
        }
        if seats.by_run.get(run).is_some_and(|seat| seat.number == number) {
            seats.by_run.remove(run);
        }
        true
    }

    /// Gives the room that a run left to those that wait for it, and tells them.
    pub(crate) async fn hand_on(self: &Arc<Self>, workflow: &nova_types::WorkflowName) {
        match self.shared.slots.hand_on(workflow).await {
            Ok(admitted) => {
                for run in admitted {
                    self.post(&run, Letter::own(News::Event(Box::new(Event::Admitted)))).await;
                }
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(%workflow, error, "room was not handed on, the leader will");
            }
        }
    }

    /// Does something for a run beside it; it is waited for when the coordinator ends.
    pub(crate) fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.actors.spawn(work);
    }

    /// Waits until every run has left memory.
    pub(crate) async fn ended(&self) {
        self.actors.close();
        self.actors.wait().await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Frees the seat however the actor ended, a panic included.
struct Leaving {
    runs: Arc<Runs>,
    run: RunId,
    number: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut seats = self.runs.lock();
        if seats.by_run.get(&self.run).is_some_and(|seat| seat.number == self.number) {
            seats.by_run.remove(&self.run);
        }
    }
}
