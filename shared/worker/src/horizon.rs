//! Which tasks may have run before, though the broker says it delivers them for the first time.
//!
//! A broker that is killed forgets its last acks and counts deliveries anew. So whatever was stored before this connection
//! may have run, and its outcome is looked for: two reads for each task. That would halve the speed of a worker that starts
//! on a long queue, nearly all of which nobody ever touched. What tells the two apart is an order and a bound. A consumer
//! delivers for the first time in the order of its stream, so what it had delivered before is a stretch at the beginning.
//! And what of that stretch has no outcome was out and not acked, which are so many at most. Once a worker has met more
//! tasks without outcome than could be out, the last of them lies behind the stretch, and so does all that follows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nova_broker::Connection;
use nova_types::{Priority, UnixMillis};
use tokio::sync::watch;
use tokio::time::Instant;

/// What one skill's worker knows of the time before its connection.
pub(crate) struct Horizon {
    connection: watch::Receiver<Connection>,
    known: Mutex<Option<Known>>,
}

/// What was asked over a connection, and what was found since.
#[derive(Clone, Copy)]
struct Known {
    epoch: u64,
    /// The broker's clock then.
    moment: UnixMillis,
    asked: Instant,
    /// How many deliveries of one consumer may be out and not acked.
    most_out: u64,
    lanes: [Untouched; Priority::ALL.len()],
}

/// The tasks of one consumer that were looked at and had no outcome.
#[derive(Clone, Copy, Default)]
struct Untouched {
    count: u64,
    /// The greatest stream sequence among them.
    last: u64,
}

/// Where a task stands in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) lane: Priority,
    pub(crate) sequence: u64,
}

impl Horizon {
    pub(crate) fn new(connection: watch::Receiver<Connection>) -> Self {
        Self { connection, known: Mutex::new(None) }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the moment, asked for over the connection of that epoch or a later one.
    pub(crate) fn set(&self, epoch: u64, moment: UnixMillis, most_out: u64) {
        *self.known() = Some(Known { epoch, moment, asked: Instant::now(), most_out, lanes: Default::default() });
    }

    /// Forgets the moment: a consumer that was gone may be another one when it is back, which delivers anew what was run.
    pub(crate) fn forget(&self) {
        *self.known() = None;
    }

    /// Whether the moment is that of the connection of this epoch.
    pub(crate) fn is_of(&self, epoch: u64) -> bool {
        self.known().is_some_and(|known| known.epoch == epoch)
    }

    /// What the broker's clock shows now; `None` while it is not known.
    pub(crate) fn now(&self) -> Option<UnixMillis> {
        self.known().map(|known| known.moment.plus(known.asked.elapsed()))
    }

    /// Whether a task stored then may have run; over a connection nobody has asked on yet, any may.
    pub(crate) fn covers(&self, stored: UnixMillis) -> bool {
        let epoch = self.connection.borrow().epoch;
        self.known().is_none_or(|known| known.epoch != epoch || stored <= known.moment)
    }

    /// Whether a task that is delivered for the first time stands behind all that may have run.
    pub(crate) fn is_passed_by(&self, place: Place) -> bool {
        let epoch = self.connection.borrow().epoch;
        self.known().is_some_and(|known| {
            let untouched = known.lanes[place.lane as usize];
            known.epoch == epoch && untouched.count > known.most_out && place.sequence > untouched.last
        })
    }

    /// Notes a task that was delivered for the first time, and of which nothing was found where there would be something if
    /// it had ended.
    pub(crate) fn met_untouched(&self, place: Place) {
        let epoch = self.connection.borrow().epoch;
        let mut known = self.known();
        let Some(known) = known.as_mut().filter(|known| known.epoch == epoch) else { return };
        let lane = &mut known.lanes[place.lane as usize];
        if lane.count > known.most_out {
            return;
        }
        lane.count += 1;
        lane.last = lane.last.max(place.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(sequence: u64) -> Place {
        Place { lane: Priority::Normal, sequence }
    }

    #[test]
    fn a_new_connection_makes_every_task_suspect_until_the_broker_was_asked_again() {
        let (state, connection) = watch::channel(Connection { epoch: 1, is_up: true });
        let horizon = Horizon::new(connection);
        assert!(horizon.covers(UnixMillis(5)), "nobody has asked yet");
        horizon.set(1, UnixMillis(4), 10);
        assert!(horizon.covers(UnixMillis(4)) && !horizon.covers(UnixMillis(5)));
        // A worker whose slots are all taken learns of it long before it pulls and looks again.
        state.send_replace(Connection { epoch: 2, is_up: true });
        assert!(horizon.covers(UnixMillis(5)));
        horizon.set(2, UnixMillis(9), 10);
        assert!(!horizon.covers(UnixMillis(10)) && horizon.is_of(2));
        horizon.forget();
        assert!(horizon.covers(UnixMillis(10)) && !horizon.is_of(2));
    }

    #[test]
    fn behind_more_untouched_tasks_than_may_be_out_nothing_has_run() {
        let (state, connection) = watch::channel(Connection { epoch: 1, is_up: true });
        let horizon = Horizon::new(connection);
        horizon.set(1, UnixMillis(100), 3);
        // Looks end in any order.
        for sequence in [11, 14, 12] {
            horizon.met_untouched(place(sequence));
            assert!(!horizon.is_passed_by(place(99)), "three may be out");
        }
        horizon.met_untouched(place(13));
        assert!(!horizon.is_passed_by(place(14)) && horizon.is_passed_by(place(15)));
        assert!(
            !horizon.is_passed_by(Place { lane: Priority::High, sequence: 15 }),
            "each consumer has its own stretch"
        );
        horizon.met_untouched(place(40));
        assert!(horizon.is_passed_by(place(15)), "what is known needs no more");
        state.send_replace(Connection { epoch: 2, is_up: true });
        assert!(!horizon.is_passed_by(place(15)), "the broker may have been killed again");
        horizon.met_untouched(place(41));
        horizon.set(2, UnixMillis(200), 3);
        assert!(!horizon.is_passed_by(place(42)));
    }
}
