//! How many attempts a process runs at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The slots of a process, shared by its skills.
#[derive(Clone)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// Room for attempts that have run and whose outcome is on its way: as many again as there are slots.
    ending: Arc<Semaphore>,
    /// How many wait for a slot.
    waiting: Arc<AtomicUsize>,
    total: usize,
}

/// One slot, held while an attempt runs.
pub(crate) struct Slot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Slots {
    pub(crate) fn new(total: usize) -> Self {
        let total = total.min(Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(total)),
            ending: Arc::new(Semaphore::new(total)),
            waiting: Arc::default(),
            total,
        }
    }

    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// How many attempts run now.
    pub(crate) fn running(&self) -> usize {
        self.total - self.free.available_permits()
    }

    /// Whether a slot is free now.
    pub(crate) fn has_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// Waits for a slot.
    pub(crate) async fn take(&self) -> Slot {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Slot(slot);
        }
        let _waits = Waits::new(&self.waiting);
        Slot(Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed"))
    }

    /// Whether someone waits for a slot: what holds one it can do without gives it up.
    pub(crate) fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Frees a slot whose skill has returned for the next attempt, while its outcome is on its way. When as many outcomes
    /// are on their way as there are slots, the slot is kept: a store that is slow or full must slow its worker down.
    pub(crate) fn end(&self, slot: Slot) -> Slot {
        match Arc::clone(&self.ending).try_acquire_owned() {
            Ok(room) => Slot(room),
            Err(_) => slot,
        }
    }

    /// Takes up to `most` free slots, none when all are busy.
    pub(crate) fn take_free(&self, most: usize) -> Vec<Slot> {
        let take = || Arc::clone(&self.free).try_acquire_owned().ok().map(Slot);
        std::iter::from_fn(take).take(most).collect()
    }
}

/// Stands for one who waits for a slot.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
