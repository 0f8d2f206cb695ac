//! One connection to the broker: whether it stands, and what it is about to lose.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::watch;

use crate::Connection;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    state: Mutex<State>,
    pub(super) losses: Mutex<Losses>,
    inboxes: AtomicU64,
}

/// Whether it stands, and who is told when that changes.
#[derive(Debug)]
struct State {
    now: Connection,
    /// A channel for each: those who wait on one channel are woken in an order that the runtime draws by lot.
    told: Vec<watch::Sender<Connection>>,
}

/// How many of each are still to be lost.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Losses {
    pub(super) acks: u64,
    pub(super) receipts: u64,
    pub(super) publishes: u64,
}

impl Link {
    pub(super) fn new(id: u64) -> Self {
        let state = State { now: Connection { epoch: 1, is_up: true }, told: Vec::new() };
        Self { id, state: Mutex::new(state), losses: Mutex::default(), inboxes: AtomicU64::new(0) }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state().now.is_up
    }

    /// Tells whoever asked, in the order they did.
    pub(super) fn change(&self, change: impl FnOnce(&mut Connection)) {
        let mut state = self.state();
        change(&mut state.now);
        let now = state.now;
        for told in &state.told {
            told.send_replace(now);
        }
    }

    /// What becomes of it from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Connection> {
        let mut state = self.state();
        state.told.retain(|told| !told.is_closed());
        let (sender, receiver) = watch::channel(state.now);
        state.told.push(sender);
        receiver
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock can panic")
    }

    /// A subject nobody else uses.
    pub(super) fn inbox(&self) -> String {
        format!("_INBOX.{}.{}", self.id, self.inboxes.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes one off a count of losses; says whether there was one to take.
    pub(super) fn loses(&self, count: impl FnOnce(&mut Losses) -> &mut u64) -> bool {
        let mut losses = self.losses.lock().expect("no holder of this lock can panic");
        let left = count(&mut losses);
        let is_lost = *left > 0;
        *left = left.saturating_sub(1);
        is_lost
    }
}
