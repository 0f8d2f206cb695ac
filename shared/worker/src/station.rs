//! Everything one skill of a worker needs while it handles deliveries.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nova_broker::{AckToken, Blobs, BrokerError, BrokerRef, Connection, Settle};
use nova_runtime::{ClockRef, Counter, Gauge, Histogram, Metric, Metrics};
use nova_types::{ItemCount, OutcomeKind, Skill, UnixMillis, WorkerId};
use nova_wire::SkillPolicy;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Middleware;
use crate::cancels::Cancels;
use crate::events::Events;
use crate::keyed::note_settled;
use crate::lease::Leases;
use crate::rate::limiter::Limiter;
use crate::skill::AnySkill;
use crate::slots::Slots;
use crate::threads::Floor;

/// One skill at work.
pub(crate) struct Station {
    pub(crate) broker: BrokerRef,
    pub(crate) blobs: Blobs,
    pub(crate) clock: ClockRef,
    pub(crate) worker: WorkerId,
    pub(crate) name: Skill,
    pub(crate) skill: Arc<dyn AnySkill>,
    /// Where the skill runs.
    pub(crate) floor: Floor,
    pub(crate) middleware: Arc<[Arc<dyn Middleware>]>,
    pub(crate) policy: SkillPolicy,
    pub(crate) outcomes_kept: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) leases: Arc<Leases>,
    pub(crate) slots: Slots,
    pub(crate) cancels: Cancels,
    pub(crate) events: Events,
    pub(crate) meters: Meters,
    /// No more tasks are taken.
    pub(crate) drain: CancellationToken,
    /// What runs is given up.
    pub(crate) hard: CancellationToken,
    pub(crate) nonces: Nonces,
    pub(crate) horizon: Horizon,
    /// Its rate, where the skill has one.
    pub(crate) limiter: Option<Limiter>,
}

/// Tells every execution from every other, also of the same task in the same process.
pub(crate) struct Nonces {
    process: String,
    count: AtomicU64,
}

impl Nonces {
    pub(crate) fn new(process: String) -> Self {
        Self { process, count: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        format!("{}{}", self.process, self.count.fetch_add(1, Ordering::Relaxed))
    }
}

/// The moment before which a stored task may have been delivered, run and acked already, and the ack forgotten: a broker
/// that is killed forgets its last acks and counts deliveries anew.
pub(crate) struct Horizon {
    connection: watch::Receiver<Connection>,
    known: Mutex<Option<Known>>,
}

/// What the broker's clock showed, and over which connection it was asked.
#[derive(Clone, Copy)]
struct Known {
    epoch: u64,
    moment: UnixMillis,
    asked: Instant,
}

impl Horizon {
    pub(crate) fn new(connection: watch::Receiver<Connection>) -> Self {
        Self { connection, known: Mutex::new(None) }
    }

    fn known(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the moment, asked for over the connection of that epoch or a later one.
    pub(crate) fn set(&self, epoch: u64, moment: UnixMillis) {
        *self.known() = Some(Known { epoch, moment, asked: Instant::now() });
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
}

/// The meters of one skill, found once.
pub(crate) struct Meters {
    pub(crate) completed: Counter,
    pub(crate) dead: Counter,
    pub(crate) cancelled: Counter,
    pub(crate) failed: Counter,
    pub(crate) retried: Counter,
    pub(crate) fenced: Counter,
    pub(crate) leases_lost: Counter,
    pub(crate) redeliveries: Counter,
    pub(crate) snoozes: Counter,
    pub(crate) wait: Histogram,
    pub(crate) run: Histogram,
    pub(crate) running: Gauge,
    pub(crate) stuck: Gauge,
    pub(crate) pulls: Counter,
    pub(crate) store_full: Counter,
    pub(crate) rate_waits: Counter,
    items: [Counter; 3],
}

impl Meters {
    pub(crate) fn new(metrics: &Metrics, skill: &Skill, slots: usize) -> Self {
        let skill = skill.as_str();
        let counter = |metric| metrics.counter(metric, &[skill]);
        metrics.set(Metric::Slots, &[skill], slots as f64);
        let finished = |kind: OutcomeKind| metrics.counter(Metric::TasksFinished, &[skill, kind.as_str()]);
        Self {
            completed: finished(OutcomeKind::Completed),
            dead: finished(OutcomeKind::Dead),
            cancelled: finished(OutcomeKind::Cancelled),
            failed: counter(Metric::AttemptsFailed),
            retried: counter(Metric::AttemptsRetried),
            fenced: counter(Metric::OutcomesFenced),
            leases_lost: counter(Metric::LeasesLost),
            redeliveries: counter(Metric::Redeliveries),
            snoozes: counter(Metric::Snoozes),
            wait: metrics.histogram(Metric::QueueWait, &[skill]),
            run: metrics.histogram(Metric::RunTime, &[skill]),
            running: metrics.gauge(Metric::SlotsRunning, &[skill]),
            stuck: metrics.gauge(Metric::AttemptsStuck, &[skill]),
            pulls: counter(Metric::Pulls),
            store_full: counter(Metric::OutcomeStoreFull),
            rate_waits: counter(Metric::RateWaits),
            items: [OutcomeKind::Completed, OutcomeKind::Dead, OutcomeKind::Cancelled]
                .map(|kind| metrics.counter(Metric::ItemsFinished, &[skill, kind.as_str()])),
        }
    }

    /// Counts the items of a bundle whose outcome is recorded.
    pub(crate) fn count_items(&self, counted: ItemCount) {
        let ItemCount { items, failed, cancelled } = counted;
        let completed = items.saturating_sub(failed).saturating_sub(cancelled);
        for (counter, count) in self.items.iter().zip([completed, failed, cancelled]) {
            counter.add(u64::from(count));
        }
    }

    pub(crate) fn finished(&self, kind: OutcomeKind) -> &Counter {
        match kind {
            OutcomeKind::Completed => &self.completed,
            OutcomeKind::Dead => &self.dead,
            OutcomeKind::Cancelled => &self.cancelled,
        }
    }
}

impl Station {
    /// Now by the broker's clock, for all that is compared with what the broker stored or is to do: workers whose own
    /// clocks differ still agree on deadlines, ages and pauses.
    pub(crate) fn now(&self) -> UnixMillis {
        self.horizon.now().unwrap_or_else(|| self.clock.now())
    }

    /// Settles a delivery; a broker that cannot be told delivers it again.
    pub(crate) async fn settle(&self, token: &AckToken, settle: Settle) {
        note_settled(settle);
        if let Err(error) = self.broker.settle(token, settle).await {
            tracing::warn!(skill = %self.name, %error, "a delivery was not settled and will come again");
        }
    }

    /// After a pull that was refused or not answered, what comes may have run.
    pub(crate) fn doubt(&self, error: &BrokerError) {
        // A new connection is looked at anyhow.
        if !matches!(error, BrokerError::Disconnected { .. }) {
            self.horizon.forget();
        }
    }

    /// Hands a delivery back for a pause, because something it needs cannot be reached now.
    pub(crate) async fn put_off(&self, token: &AckToken) {
        self.settle(token, Settle::Nak { delay: Duration::from_secs(1) }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_connection_makes_every_task_suspect_until_the_broker_was_asked_again() {
        let (state, connection) = watch::channel(Connection { epoch: 1, is_up: true });
        let horizon = Horizon::new(connection);
        assert!(horizon.covers(UnixMillis(5)), "nobody has asked yet");
        horizon.set(1, UnixMillis(4));
        assert!(horizon.covers(UnixMillis(4)) && !horizon.covers(UnixMillis(5)));
        // A worker whose slots are all taken learns of it long before it pulls and looks again.
        state.send_replace(Connection { epoch: 2, is_up: true });
        assert!(horizon.covers(UnixMillis(5)));
        horizon.set(2, UnixMillis(9));
        assert!(!horizon.covers(UnixMillis(10)) && horizon.is_of(2));
        horizon.forget();
        assert!(horizon.covers(UnixMillis(10)) && !horizon.is_of(2));
    }
}
