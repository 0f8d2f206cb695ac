//! All parts of one coordinator, started and stopped together.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BrokerError, StreamInfo};
use nova_runtime::{Metric, Shutdown, Side, State};
use nova_types::{Priority, run_skill};
use nova_wire::assets;
use tokio::task::JoinSet;

use crate::call::{self, Calls};
use crate::config::CoordinatorConfig;
use crate::later::Later;
use crate::poison::Finder;
use crate::run::{self, Runs};
use crate::vanish::Removals;
use crate::{Parts, canary, cancel, due, leader, service, sweep, trim, watch};

/// How soon what did not answer at the start is asked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a coordinator cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum CoordinatorError {
    /// The broker could not be asked.
    #[error("could not look at {what}")]
    Look {
        /// What was looked at.
        what: String,
        /// Why not.
        #[source]
        source: BrokerError,
    },
    /// The connection ended in a way that it does not recover from; only a new process helps.
    #[error("the connection to the broker broke for good")]
    Broken(#[source] BrokerError),
    /// Something is not provisioned.
    #[error("{what} does not exist: run `nova provision apply`")]
    Missing {
        /// What.
        what: String,
    },
}

impl CoordinatorError {
    /// Whether beginning again may help without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Look { source, .. } => source.is_transient(),
            Self::Broken(_) => true,
            Self::Missing { .. } => false,
        }
    }
}

/// One coordinator.
pub struct Coordinator {
    parts: Parts,
    config: CoordinatorConfig,
}

impl Coordinator {
    /// Makes a coordinator; nothing happens before [`run`](Self::run).
    #[must_use]
    pub fn new(parts: Parts, config: CoordinatorConfig) -> Self {
        Self { parts, config }
    }

    /// Runs until told to stop: then it takes nothing more, finishes what it has and gives leadership up.
    ///
    /// # Errors
    /// [`CoordinatorError`] when it cannot begin. Once begun it outlasts any failure of the broker, but not of its own
    /// connection's machinery: then it ends, to be started anew.
    pub async fn run(&self, shutdown: &Shutdown) -> Result<(), CoordinatorError> {
        let gone = connection_gone(&self.parts);
        tokio::pin!(gone);
        let partitions = tokio::select! {
            biased;
            checked = self.checked(shutdown) => match checked? {
                Some(partitions) => partitions,
                None => return Ok(()),
            },
            error = &mut gone => return Err(CoordinatorError::Broken(error)),
        };
        self.clear_the_way().await;
        self.parts.metrics.announce(Side::Coordinator);
        let mut running = JoinSet::new();
        self.start(&mut running, shutdown, partitions);
        let hard = shutdown.hard();
        loop {
            tokio::select! {
                biased;
                ended = running.join_next() => match ended {
                    None => break,
                    Some(Ok(part)) => tracing::debug!(part, "part ended"),
                    Some(Err(error)) => {
                        // A part that panicked is gone for good: better a process that is restarted whole.
                        tracing::error!(%error, "a part of the coordinator broke");
                        self.parts.health.set("coordinator", State::Broken("a part of it panicked".to_owned()));
                        shutdown.drain();
                    }
                },
                error = &mut gone => {
                    self.parts.health.set("broker", State::Broken(error.to_string()));
                    return Err(CoordinatorError::Broken(error));
                }
                () = hard.cancelled() => {
                    tracing::warn!("coordinator stopped before all was finished");
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits until everything it works on could be looked at: a stream whose servers elect a leader does not answer. `None` when
    /// it was told to stop meanwhile.
    async fn checked(&self, shutdown: &Shutdown) -> Result<Option<u32>, CoordinatorError> {
        let stop = shutdown.token();
        loop {
            match self.check().await {
                Err(CoordinatorError::Look { what, source }) if source.is_transient() => {
                    tracing::warn!(%what, error = &source as &dyn std::error::Error, "the broker does not answer yet");
                }
                checked => return checked.map(Some),
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Refuses to begin without what it works on; says how many partitions runs have.
    async fn check(&self) -> Result<u32, CoordinatorError> {
        for stream in [
            assets::ATTEMPTS,
            assets::DEAD,
            &*assets::bucket_stream(assets::CONFIG_BUCKET),
            &*assets::bucket_stream(assets::WORKFLOWS_BUCKET),
        ] {
            self.check_stream(stream).await?;
        }
        let runs = self.check_stream(assets::RUNS).await?;
        let partitions = runs.spec.metadata.get(assets::PARTITIONS_NOTE).and_then(|text| text.parse().ok());
        let what = format!("note {} of stream {}", assets::PARTITIONS_NOTE, assets::RUNS);
        let partitions = partitions.filter(|count| *count > 0).ok_or(CoordinatorError::Missing { what })?;
        self.check_consumer(assets::SCHEDULES, assets::DUE_CONSUMER).await?;
        self.check_consumer(assets::CONTROL, assets::CANCEL_CONSUMER).await?;
        self.check_consumer(assets::RUNS, assets::ORDER_CONSUMER).await?;
        for partition in 0..partitions {
            self.check_consumer(assets::OUTCOMES, &assets::run_consumer(partition)).await?;
        }
        for priority in Priority::ALL {
            self.check_consumer(&assets::tasks_stream(&run_skill()), assets::consumer(priority)).await?;
        }
        Ok(partitions)
    }

    /// Ends what no client can read among the deliveries that are out, before any of it comes here.
    ///
    /// Such a message broke the connection of whoever had it, maybe this process before it was started anew. The sweeper ends
    /// it, too, but leadership takes longer to pass on than a lease to end.
    async fn clear_the_way(&self) {
        let starts = assets::tasks_stream(&run_skill());
        let lanes = Priority::ALL.map(|priority| (&*starts, assets::consumer(priority)));
        let own = [
            (assets::SCHEDULES, assets::DUE_CONSUMER),
            (assets::CONTROL, assets::CANCEL_CONSUMER),
            (assets::RUNS, assets::ORDER_CONSUMER),
        ];
        let mut finder = Finder::default();
        for (stream, consumer) in own.into_iter().chain(lanes) {
            let Ok(Some(info)) = self.parts.broker.consumer(stream.to_owned(), consumer.to_owned()).await else {
                continue;
            };
            if let Err(error) = finder.round(&self.parts, &info).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(stream, consumer, error, "unreadable messages may stand");
            }
        }
    }

    async fn check_stream(&self, stream: &str) -> Result<StreamInfo, CoordinatorError> {
        let what = format!("stream {stream}");
        match self.parts.broker.stream(stream.to_owned()).await {
            Ok(Some(info)) => Ok(info),
            Ok(None) => Err(CoordinatorError::Missing { what }),
            Err(source) => Err(CoordinatorError::Look { what, source }),
        }
    }

    async fn check_consumer(&self, stream: &str, consumer: &str) -> Result<(), CoordinatorError> {
        let what = format!("consumer {consumer} of stream {stream}");
        match self.parts.broker.consumer(stream.to_owned(), consumer.to_owned()).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(CoordinatorError::Missing { what }),
            Err(source) => Err(CoordinatorError::Look { what, source }),
        }
    }

    fn start(&self, running: &mut JoinSet<&'static str>, shutdown: &Shutdown, partitions: u32) {
        let config = &self.config;
        let parts = || self.parts.clone();
        let period = CoordinatorConfig::period;
        macro_rules! run {
            ($name:literal, $part:expr) => {{
                let (part, shutdown) = ($part, shutdown.clone());
                running.spawn(async move {
                    part.run(&shutdown).await;
                    $name
                });
            }};
        }
        let call = call::Options { waiting: config.calls_waiting, timeout: period(config.call_timeout_secs) };
        let calls = Arc::new(Calls::new(parts(), call, shutdown.token()));
        run!("service", service::Service { parts: parts(), calls, later: Arc::new(Later::new(parts())) });
        let options = run::Options { live: config.runs_live, ..run::Options::default() };
        let runs = Runs::new(run::Shared::new(parts(), options, partitions, shutdown.token()));
        run!("runs", run::Service { runs: Arc::clone(&runs) });
        run!("due", due::Service::new(parts(), due::Options::default(), Arc::clone(&runs)));
        let grace = Duration::from_millis(config.cancel_grace_ms);
        run!("cancel", cancel::Service::new(parts(), cancel::Options { grace }, Arc::clone(&runs)));
        let leader = leader::Service::new(parts(), leader::Options { ttl: period(config.leader_secs) });
        let leadership = leader.leadership();
        run!("leader", leader);
        let options = sweep::Options { every: period(config.sweep_secs) };
        let removals = Removals::default();
        run!("sweep", sweep::Service::new(parts(), options, leadership.clone(), removals.clone()));
        let options = due::catch_up::Options { every: period(config.sweep_secs) };
        run!("catch-up", due::catch_up::Service::new(parts(), options, leadership.clone()));
        let options =
            trim::Options { every: period(config.trim_secs), history_age: Duration::from_secs(config.history_secs) };
        run!("trim", trim::Service::new(parts(), options, leadership.clone(), removals));
        let options =
            run::retention::Options { every: period(config.sweep_secs), keep: Duration::from_secs(config.runs_secs) };
        run!("old runs", run::retention::Service { runs, options, leadership: leadership.clone() });
        run!("watch", watch::Service::new(parts(), watch::Options { every: period(config.watch_secs) }));
        if let Some(every) = config.canary_secs.map(period) {
            run!("canary", canary::Service { parts: parts(), every, leadership });
        }
        let (parts, stop) = (parts(), shutdown.token());
        running.spawn(async move {
            tokio::select! {
                biased;
                () = follow_connection(&parts) => {}
                () = stop.cancelled() => {}
            }
            "connection"
        });
    }
}

/// How often the connection is tried.
const TRY_EVERY: Duration = Duration::from_secs(3);
/// How many tries in a row must fail at once, on a connection that says it stands, before it is given up.
const TRIES: u32 = 3;

/// Ends when the connection is beyond repair.
///
/// A message with a lone carriage return in a header makes the client library panic where it reads: from then on every
/// send fails at once, nothing reconnects, and the state still says that all is well.
async fn connection_gone(parts: &Parts) -> BrokerError {
    let mut failures = 0;
    loop {
        tokio::time::sleep(TRY_EVERY).await;
        let is_up = parts.broker.connection().borrow().is_up;
        match parts.broker.flush().await {
            Err(error @ BrokerError::Disconnected { .. }) if is_up => {
                failures += 1;
                if failures >= TRIES {
                    tracing::error!(%error, "the connection broke for good");
                    return error;
                }
            }
            _ => failures = 0,
        }
    }
}

async fn follow_connection(parts: &Parts) {
    let mut connection = parts.broker.connection();
    let mut epoch = 0;
    loop {
        let now = *connection.borrow_and_update();
        let state = if now.is_up { State::Up } else { State::Down("not connected to the broker".to_owned()) };
        parts.health.set("broker", state);
        if now.epoch > epoch && epoch > 0 {
            parts.metrics.inc(Metric::Reconnects, &[]);
        }
        epoch = now.epoch;
        if connection.changed().await.is_err() {
            return;
        }
    }
}
