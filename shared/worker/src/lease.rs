//! Keeps the leases of all deliveries of a skill, with one timer for all of them, and notices which of them are lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nova_broker::{AckToken, BrokerRef, Settle};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The leases a worker holds for one skill.
pub(crate) struct Leases {
    length: Duration,
    table: Mutex<Table>,
    /// Nothing was held when the keeper last looked: it waits to be called.
    is_resting: AtomicBool,
    call: Notify,
}

#[derive(Default)]
struct Table {
    places: Vec<Option<Arc<Held>>>,
    free: Vec<usize>,
}

/// What is known of one lease.
struct Held {
    token: AckToken,
    /// Since when it has run; the last extension that can have reached the broker.
    since: Mutex<Instant>,
    lost: Notify,
}

/// One lease, extended until this is dropped.
pub(crate) struct Lease {
    all: Arc<Leases>,
    held: Arc<Held>,
    place: usize,
}

impl Leases {
    pub(crate) fn new(length: Duration) -> Arc<Self> {
        let is_resting = AtomicBool::new(false);
        Arc::new(Self { length, table: Mutex::default(), is_resting, call: Notify::new() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a delivery whose lease began at that moment.
    pub(crate) fn hold(self: &Arc<Self>, token: &AckToken, taken: Instant) -> Lease {
        let held = Arc::new(Held { token: token.clone(), since: Mutex::new(taken), lost: Notify::new() });
        let mut table = self.table();
        let place = match table.free.pop() {
            Some(place) => place,
            None => {
                table.places.push(None);
                table.places.len() - 1
            }
        };
        table.places[place] = Some(Arc::clone(&held));
        drop(table);
        if self.is_resting.swap(false, Ordering::Relaxed) {
            self.call.notify_one();
        }
        Lease { all: Arc::clone(self), held, place }
    }

    fn all_held(&self) -> Vec<Arc<Held>> {
        self.table().places.iter().flatten().cloned().collect()
    }

    /// Extends each lease when a third of it is over, for as long as this is polled.
    ///
    /// Lost means: a whole lease has passed since the last extension that could have reached the broker. A process that
    /// was stopped (SIGSTOP, a frozen machine) finds out by it; one that is cut off from the broker, too.
    ///
    /// # Cancel safety
    /// Safe: dropping it ends the extensions.
    pub(crate) async fn keep(self: Arc<Self>, broker: BrokerRef) {
        loop {
            tokio::time::sleep(self.length / 12).await;
            let held = self.all_held();
            if held.is_empty() {
                self.rest().await;
            }
            for held in held {
                let passed = held.since().elapsed();
                if passed >= self.length {
                    held.lost.notify_waiters();
                } else if passed >= self.length / 3 && !self.extend(&broker, &held).await {
                    break;
                }
            }
        }
    }

    /// Waits until something is held.
    async fn rest(&self) {
        self.is_resting.store(true, Ordering::Relaxed);
        // What came between the look and the word is not waited for.
        if self.table().places.iter().all(Option::is_none) {
            self.call.notified().await;
        }
    }

    /// Says whether the broker could be told.
    async fn extend(&self, broker: &BrokerRef, held: &Held) -> bool {
        // A full buffer of a connection that is gone must not keep this from noticing what is lost.
        if !broker.connection().borrow().is_up {
            return true;
        }
        let asked = Instant::now();
        let told = tokio::time::timeout(self.length / 3, broker.settle(&held.token, Settle::Extend)).await;
        let is_told = matches!(told, Ok(Ok(())));
        if is_told {
            *held.since.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
        is_told
    }
}

impl Held {
    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// Whether another may hold the task by now.
    pub(crate) fn is_lost(&self) -> bool {
        self.held.since().elapsed() >= self.all.length
    }

    /// Resolves when the lease is lost, at most a twelfth of it later.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn lost(&self) {
        let told = self.held.lost.notified();
        if !self.is_lost() {
            told.await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut table = self.all.table();
        table.places[self.place] = None;
        table.free.push(self.place);
    }
}

#[cfg(test)]
mod tests {
    use nova_broker::memory::MemoryBroker;

    use super::*;

    const LENGTH: Duration = Duration::from_secs(12);

    fn token() -> AckToken {
        AckToken::new("$JS.ACK.S.c.1.1.1.1.0")
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_extended_while_it_is_held_and_lost_once_nobody_extends_it() {
        let leases = Leases::new(LENGTH);
        let keeper = tokio::spawn(Arc::clone(&leases).keep(Arc::new(MemoryBroker::new())));
        // It rests by then, and must be called.
        tokio::time::sleep(LENGTH).await;
        let lease = leases.hold(&token(), Instant::now());
        tokio::time::sleep(LENGTH * 3).await;
        assert!(!lease.is_lost());
        keeper.abort();
        tokio::time::sleep(LENGTH).await;
        assert!(lease.is_lost());
        lease.lost().await;
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_hears_of_the_loss() {
        let leases = Leases::new(LENGTH);
        let broker = MemoryBroker::new();
        let _keeper = tokio::spawn(Arc::clone(&leases).keep(Arc::new(broker.clone())));
        let lease = leases.hold(&token(), Instant::now());
        broker.faults().disconnect();
        let began = Instant::now();
        lease.lost().await;
        assert!((LENGTH..=LENGTH + LENGTH / 12).contains(&began.elapsed()), "{:?}", began.elapsed());
    }

    #[test]
    fn places_are_used_again() {
        let leases = Leases::new(LENGTH);
        let first = leases.hold(&token(), Instant::now());
        let second = leases.hold(&token(), Instant::now());
        drop(first);
        let third = leases.hold(&token(), Instant::now());
        assert_eq!((leases.table().places.len(), third.place, second.place), (2, 0, 1));
    }
}
