//! Everything one skill of a worker needs while it handles deliveries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nova_broker::{AckToken, Blobs, BrokerError, BrokerRef, Settle};
use nova_runtime::{ClockRef, Counter, Gauge, Histogram, Metric, Metrics};
use nova_types::{ItemCount, OutcomeKind, Skill, UnixMillis, WorkerId};
use nova_wire::SkillPolicy;
use tokio_util::sync::CancellationToken;

use crate::Middleware;
use crate::cancels::Cancels;
use crate::events::Events;
use crate::horizon::Horizon;
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
