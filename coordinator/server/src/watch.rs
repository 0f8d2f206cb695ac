//! Measures every queue: what waits and for how long, what runs, what is paused, when a task was last taken.

use std::collections::BTreeSet;
use std::time::Duration;

use nova_broker::BrokerError;
use nova_runtime::{Metric, Shutdown, State};
use nova_types::{Priority, Skill};

use crate::Parts;
use crate::queues::{self, Lane};
use crate::sweep::as_gauge;

/// What stands for a priority in the metrics of a keyed skill's partitions, which hold all priorities.
const KEYED: &str = "keyed";

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
                biased;
                () = tokio::time::sleep(self.options.every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&self, known: &mut BTreeSet<Skill>) -> Result<(), BrokerError> {
        let mut present = BTreeSet::new();
        for (skill, _) in queues::all(&self.parts.broker).await? {
            let lanes = queues::lanes(&self.parts.broker, &skill).await?;
            for priority in Priority::ALL.map(Some).into_iter().chain([None]) {
                let of: Vec<&Lane> = lanes.iter().filter(|lane| lane.priority == priority).collect();
                if !of.is_empty() {
                    self.measure(&skill, priority.map_or(KEYED, Priority::as_str), &of).await?;
                }
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

    /// Measures the consumers that share a name in the metrics.
    async fn measure(&self, skill: &Skill, name: &str, lanes: &[&Lane]) -> Result<(), BrokerError> {
        let labels = [skill.as_str(), name];
        let metrics = &self.parts.metrics;
        let sum = |of: fn(&Lane) -> u64| as_gauge(lanes.iter().map(|lane| of(lane)).sum());
        metrics.set(Metric::QueueWaiting, &labels, sum(|lane| lane.info.pending));
        metrics.set(Metric::QueueRunning, &labels, sum(|lane| lane.info.ack_pending));
        let is_paused = lanes.iter().any(|lane| lane.info.pause.until.is_some());
        metrics.set(Metric::QueuePaused, &labels, if is_paused { 1.0 } else { 0.0 });
        let mut age = Duration::ZERO;
        for Lane { info, .. } in lanes.iter().filter(|lane| lane.info.pending > 0) {
            let (stream, filter) = (info.spec.stream.clone(), info.spec.filter.clone());
            let oldest = self.parts.broker.inspect(stream, filter, info.delivered + 1).await?;
            age = age.max(oldest.map_or(Duration::ZERO, |oldest| info.now.since(oldest.stored.at)));
        }
        metrics.set(Metric::OldestWaiting, &labels, age.as_secs_f64());
        Ok(())
    }

    /// A skill that is gone must not look like one that stands still.
    fn forget(&self, skill: &Skill) {
        for metric in BY_QUEUE {
            self.parts.metrics.forget(metric, &[skill.as_str()]);
        }
        for name in Priority::ALL.map(Priority::as_str).into_iter().chain([KEYED]) {
            for metric in BY_LANE {
                self.parts.metrics.forget(metric, &[skill.as_str(), name]);
            }
        }
    }
}
