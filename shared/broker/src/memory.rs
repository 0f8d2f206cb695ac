//! The memory adapter: the broker's semantics without a broker, on the runtime's clock, and with faults on order.
//!
//! It does what nats-server 2.15 was measured to do, and the conformance suite holds it to that. Decisions are in
//! `State`, which knows no clock; time passes when somebody looks, so nothing runs in the background, and under the
//! runtime's paused clock a run is repeatable.

mod adapter;
mod clock;
mod consumer;
mod dedupe;
mod duration;
mod faults;
mod link;
mod listeners;
mod log;
mod pull;
mod pulls;
mod refusal;
mod schedule;
mod state;
mod stream;
mod stream_spec;
mod subjects;
#[cfg(test)]
mod tests;
mod token;
mod transform;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nova_types::UnixMillis;
use tokio::sync::Notify;

use clock::{Clock, Moment};
pub use faults::Faults;
use link::Link;
use state::State;

/// A broker in memory; clones share one connection to it, [`connect`](Self::connect) makes another.
#[derive(Debug, Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
    link: Arc<Link>,
}

impl MemoryBroker {
    /// An empty broker, whose clock begins now, and the first connection to it.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that starts a clock would surprise")]
    pub fn new() -> Self {
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            state: Mutex::default(),
            links: Mutex::default(),
            changes: Mutex::default(),
            connects: AtomicU64::new(0),
        });
        Self::join(shared)
    }

    /// Another connection to the same broker, with faults of its own.
    #[must_use]
    pub fn connect(&self) -> Self {
        Self::join(Arc::clone(&self.shared))
    }

    /// Orders faults on this connection.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults::new(self.clone())
    }

    /// The broker's clock.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        clock::date(self.shared.clock.now())
    }

    fn join(shared: Arc<Shared>) -> Self {
        let id = shared.connects.fetch_add(1, Ordering::Relaxed) + 1;
        let link = Arc::new(Link::new(id));
        locked(&shared.links).insert(id, Arc::downgrade(&link));
        Self { shared, link }
    }
}

/// What all connections share. At the rim: it reads the clock and wakes those who wait.
#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<State>,
    links: Mutex<BTreeMap<u64, std::sync::Weak<Link>>>,
    changes: Mutex<BTreeMap<String, Arc<Notify>>>,
    connects: AtomicU64,
}

impl Shared {
    /// Looks at the state now.
    fn look<T>(&self, read: impl FnOnce(&mut State, Moment) -> T) -> T {
        read(&mut locked(&self.state), self.clock.now())
    }

    /// Changes the state now, and wakes the pulls of one stream.
    fn change<T>(&self, stream: &str, change: impl FnOnce(&mut State, Moment) -> T) -> T {
        let done = self.look(change);
        let changed = locked(&self.changes).get(stream).cloned();
        changed.inspect(|changed| changed.notify_waiters());
        done
    }

    /// Changes the state now, and wakes all pulls.
    fn change_all(&self, change: impl FnOnce(&mut State, Moment)) {
        self.look(change);
        locked(&self.changes).values().for_each(|changed| changed.notify_waiters());
    }

    /// Wakes when a stream has changed.
    fn changed(&self, stream: &str) -> Arc<Notify> {
        Arc::clone(locked(&self.changes).entry(stream.to_owned()).or_default())
    }

    /// Whether a connection stands.
    fn is_up(&self, link: u64) -> bool {
        locked(&self.links).get(&link).and_then(std::sync::Weak::upgrade).is_some_and(|link| link.is_up())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no holder of this lock can panic")
}
