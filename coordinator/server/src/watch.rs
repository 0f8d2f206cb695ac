//! Measures every queue: what waits and for how long, what runs, what is paused, when a task was last taken.

use std::collections::BTreeSet;
use std::time::Duration;

use nova_broker::BrokerError;
use nova_runtime::{Metric, Shutdown, State};
use nova_types::{Priority, Skill};

use crate::Parts;
use crate::queues::{self, Lane};
use crate::sweep::as_gauge;

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pause between rounds. Default 5 s.
    pub every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { every: Duration::from_secs(5) }
    }
}

/// The part.
pub struct Service {
    parts: Parts,
    options: Options,
}

/// What is measured for each priority of a queue.
const BY_LANE: [Metric; 4] = [Metric::QueueWaiting, Metric::QueueRunning, Metric::QueuePaused, Metric::OldestWaiting];

/// What any part measures for a queue as a whole.
const BY_QUEUE: [Metric; 7] = [
    Metric::LastConsumed,
    Metric::LawImbalance,
    Metric::TasksStuck,
    Metric::TasksOrphaned,
    Metric::TasksOverdelivered,
    Metric::HistoryBytes,
    Metric::HistoryPinned,
];

impl Service {
    /// Makes the part.
    #[must_use]
    pub fn new(parts: Parts, options: Options) -> Self {
        Self { parts, options }
    }

    /// Measures until told to stop.
    pub async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        let mut known = BTreeSet::new();
        loop {
            match self.round(&mut known).await {
                Ok(()) => self.parts.health.set("queues", State::Up),
                Err(error) => {
                    tracing::warn!(%error, "queues were not measured");
                    self.parts.health.set("queues", State::Degraded(error.to_string()));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.options.every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&self, known: &mut BTreeSet<Skill>) -> Result<(), BrokerError> {
        let mut present = BTreeSet::new();
        for (skill, _) in queues::all(&self.parts.broker).await? {
            let lanes = queues::lanes(&self.parts.broker, &skill).await?;
            for lane in &lanes {
                self.measure(&skill, lane).await?;
            }
            let taken = lanes.iter().filter_map(|lane| Some(lane.info.now.since(lane.info.last_delivered?))).min();
            if let Some(ago) = taken {
                self.parts.metrics.set(Metric::LastConsumed, &[skill.as_str()], ago.as_secs_f64());
            }
            present.insert(skill);
        }
        for gone in known.difference(&present) {
            self.forget(gone);
        }
        *known = present;
        Ok(())
    }

    async fn measure(&self, skill: &Skill, lane: &Lane) -> Result<(), BrokerError> {
        let info = &lane.info;
        let labels = [skill.as_str(), lane.priority.as_str()];
        let metrics = &self.parts.metrics;
        metrics.set(Metric::QueueWaiting, &labels, as_gauge(info.pending));
        metrics.set(Metric::QueueRunning, &labels, as_gauge(info.ack_pending));
        metrics.set(Metric::QueuePaused, &labels, if info.pause.until.is_some() { 1.0 } else { 0.0 });
        let mut age = Duration::ZERO;
        if info.pending > 0 {
            let (stream, filter) = (info.spec.stream.clone(), info.spec.filter.clone());
            let oldest = self.parts.broker.inspect(stream, filter, info.delivered + 1).await?;
            age = oldest.map_or(age, |oldest| info.now.since(oldest.stored.at));
        }
        metrics.set(Metric::OldestWaiting, &labels, age.as_secs_f64());
        Ok(())
    }

    /// A skill that is gone must not look like one that stands still.
    fn forget(&self, skill: &Skill) {
        for metric in BY_QUEUE {
            self.parts.metrics.forget(metric, &[skill.as_str()]);
        }
        for priority in Priority::ALL {
            for metric in BY_LANE {
                self.parts.metrics.forget(metric, &[skill.as_str(), priority.as_str()]);
            }
        }
    }
}
