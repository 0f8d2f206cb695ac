//! Faults on order, for simulations: lost acks and receipts, a broker that forgets, a connection that breaks.

use super::MemoryBroker;
use super::link::Losses;
use super::pulls::End;

/// Orders faults. Losses and breaks concern the one connection of the handle it came from, forgetting the whole broker.
#[derive(Debug, Clone)]
pub struct Faults {
    broker: MemoryBroker,
}

impl Faults {
    pub(super) fn new(broker: MemoryBroker) -> Self {
        Self { broker }
    }

    /// Loses the next `count` settles of any kind on their way to the broker.
    pub fn lose_acks(&self, count: u64) {
        self.order(|losses| losses.acks = count);
    }

    /// Loses the receipts of the next `count` publishes: stored, and [`Unknown`](crate::PublishError::Unknown) to the sender.
    pub fn lose_receipts(&self, count: u64) {
        self.order(|losses| losses.receipts = count);
    }

    /// Loses the next `count` publishes themselves: not stored, and [`Unknown`](crate::PublishError::Unknown) to the sender.
    pub fn lose_publishes(&self, count: u64) {
        self.order(|losses| losses.publishes = count);
    }

    fn order(&self, change: impl FnOnce(&mut Losses)) {
        change(&mut self.broker.link.losses.lock().expect("no holder of this lock can panic"));
    }

    /// Makes every consumer forget its last `acks` acks and all leases, as a killed broker does.
    ///
    /// What was out or forgotten is delivered anew, ahead of the rest, and its delivery count begins at 1.
    pub fn forget_consumer_state(&self, acks: usize) {
        self.broker.shared.change_all(|state, now| state.forget(acks, now));
    }

    /// Breaks the connection: its pulls end, its listeners hear nothing, its requests fail.
    pub fn disconnect(&self) {
        let link = &self.broker.link;
        link.change(|connection| connection.is_up = false);
        self.broker.shared.change_all(|state, _| state.pulls.cut(link.id, &End::Lost));
    }

    /// Makes a new connection; listeners hear again what is sent from now on.
    pub fn reconnect(&self) {
        self.broker.link.change(|connection| {
            connection.epoch += u64::from(!connection.is_up);
            connection.is_up = true;
        });
    }
}
