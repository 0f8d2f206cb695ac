//! One connection to the broker: whether it stands, and what it is about to lose.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::Connection;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) state: watch::Sender<Connection>,
    pub(super) losses: Mutex<Losses>,
    inboxes: AtomicU64,
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
        let state = watch::Sender::new(Connection { epoch: 1, is_up: true });
        Self { id, state, losses: Mutex::default(), inboxes: AtomicU64::new(0) }
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.borrow().is_up
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
