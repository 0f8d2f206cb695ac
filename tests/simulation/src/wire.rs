//! A process' way to the broker: calls are counted, delayed, lost, and at the chosen one the process is killed.
//!
//! A process that is dead makes no calls any more: each waits for ever, as its tasks would be gone. What the broker had
//! carried out stays carried out, and what it had delivered stays under lease.

pub mod port;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nova_broker::memory::MemoryBroker;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::books::Books;
use crate::scenario::{Sabotage, Strike, Weather};

/// The way of one process.
pub struct Wire {
    inner: MemoryBroker,
    books: Arc<Books>,
    sabotage: Option<Sabotage>,
    strike: Option<Strike>,
    calls: AtomicU64,
    state: Mutex<State>,
    died: Notify,
}

struct State {
    rng: Rng,
    weather: Weather,
    is_dead: bool,
    frozen_until: Option<Instant>,
}

/// How a publish fares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fare {
    Well,
    Lost,
    ReceiptLost,
}

impl Wire {
    /// A connection of its own to the broker.
    #[must_use]
    pub fn new(
        broker: &MemoryBroker,
        books: &Arc<Books>,
        seed: u64,
        weather: Weather,
        strike: Option<Strike>,
        sabotage: Option<Sabotage>,
    ) -> Arc<Self> {
        let state = State { rng: Rng::with_seed(seed), weather, is_dead: false, frozen_until: None };
        Arc::new(Self {
            inner: broker.connect(),
            books: Arc::clone(books),
            sabotage,
            strike,
            calls: AtomicU64::new(0),
            state: Mutex::new(state),
            died: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the process.
    pub fn kill(&self) {
        self.state().is_dead = true;
        self.inner.faults().disconnect();
        self.died.notify_one();
    }

    /// Resolves when the process was killed.
    pub async fn died(&self) {
        self.died.notified().await;
    }

    /// Whether it was.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// How many calls it has made.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Lets the process stand still until a moment.
    pub fn freeze(&self, until: Instant) {
        self.state().frozen_until = Some(until);
    }

    /// Breaks its connection.
    pub fn cut(&self) {
        self.inner.faults().disconnect();
    }

    /// Makes it again.
    pub fn mend(&self) {
        if !self.is_dead() {
            self.inner.faults().reconnect();
        }
    }

    /// No more is lost or delayed.
    pub fn clear_up(&self) {
        let mut state = self.state();
        (state.weather, state.frozen_until) = (Weather::default(), None);
    }

    /// A call is about to be made: its number, once it is on its way.
    async fn depart(&self) -> u64 {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        if self.strike.is_some_and(|strike| strike.call == call && !strike.is_behind) {
            self.kill();
        }
        self.travel().await;
        call
    }

    /// It was carried out: what it came to is under way.
    async fn arrive(&self, call: u64) {
        if self.strike.is_some_and(|strike| strike.call == call && strike.is_behind) {
            self.kill();
        }
        self.travel().await;
    }

    async fn travel(&self) {
        let (frozen, latency) = {
            let mut state = self.state();
            let most = state.weather.latency_ms;
            let latency = if most == 0 { 0 } else { state.rng.u64(0..=most) };
            (state.frozen_until, Duration::from_millis(latency))
        };
        if let Some(until) = frozen {
            tokio::time::sleep_until(until).await;
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        if self.is_dead() {
            std::future::pending().await
        }
    }

    fn fare(&self) -> Fare {
        let mut state = self.state();
        let Weather { lost_calls, lost_receipts, .. } = state.weather;
        if lost_calls + lost_receipts == 0 {
            return Fare::Well;
        }
        let lot = state.rng.u64(0..1000);
        drop(state);
        if lot < lost_calls {
            self.books.count("calls lost");
            Fare::Lost
        } else if lot < lost_calls + lost_receipts {
            self.books.count("receipts lost");
            Fare::ReceiptLost
        } else {
            Fare::Well
        }
    }

    fn loses_settle(&self) -> bool {
        let mut state = self.state();
        let rate = state.weather.lost_settles;
        let is_lost = rate > 0 && state.rng.u64(0..1000) < rate;
        drop(state);
        if is_lost {
            self.books.count("settles lost");
        }
        is_lost
    }
}
