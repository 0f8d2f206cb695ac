//! What the simulation itself sees: what was accepted, what began, and what went wrong on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nova_types::{TaskId, UnixMillis};

/// The books of one world.
#[derive(Debug, Default)]
pub struct Books(Mutex<Pages>);

/// What is in them.
#[derive(Debug, Default, Clone)]
pub struct Pages {
    /// The tasks that the broker has a receipt for, and their bodies.
    pub accepted: BTreeMap<TaskId, Vec<u8>>,
    /// The attempts that began, in their order.
    pub begun: Vec<Begun>,
    /// For each schedule that recurs: when it stood at the latest, and when it was to be deleted.
    pub recurred: BTreeMap<String, (UnixMillis, UnixMillis)>,
    /// Under which ids each submit with a key for once was answered.
    pub answered: BTreeMap<String, BTreeSet<TaskId>>,
    /// The tasks that were put into the schedules.
    pub scheduled: BTreeSet<TaskId>,
    /// Promises that were seen to be broken while it happened.
    pub broken: Vec<String>,
    /// How often each fault really happened.
    pub faults: BTreeMap<&'static str, u64>,
}

/// An attempt that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Of which task.
    pub task: TaskId,
    /// Of which of its items, when it is a bundle.
    pub item: Option<u32>,
    /// Its number.
    pub attempt: u32,
    /// When.
    pub at: UnixMillis,
}

impl Books {
    /// The pages, to write on.
    pub fn open(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a fault that happened.
    pub fn count(&self, fault: &'static str) {
        *self.open().faults.entry(fault).or_default() += 1;
    }
}
