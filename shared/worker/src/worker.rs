//! A worker: skills, slots and what surrounds them, run until it drains.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{Blobs, BrokerError, BrokerRef};
use nova_runtime::{ClockRef, Metrics, Shutdown};
use nova_types::{InvalidSkill, Priority, Skill as SkillName, WorkerId};
use nova_wire::{WorkerRow, WorkerSkill, assets, subject};
use tokio_util::task::TaskTracker;

use crate::cancels::Cancels;
use crate::drift::{self, QueueError};
use crate::events::Events;
use crate::horizon::Horizon;
use crate::keyed::Governor;
use crate::lease::Leases;
use crate::presence::{Presence, leave};
use crate::pull::Puller;
use crate::rate::limiter::Limiter;
use crate::skill::AnySkill;
use crate::slots::Slots;
use crate::station::{Meters, Nonces, Station};
use crate::threads::Threads;
use crate::{Middleware, Skill};

/// Why a worker could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It was given no skill.
    #[error("worker has no skill")]
    NoSkill,
    /// A skill's name is malformed.
    #[error("worker has a skill with a malformed name")]
    Name(#[from] InvalidSkill),
    /// Two skills have one name.
    #[error("worker has skill `{0}` twice")]
    Twice(SkillName),
    /// A queue is missing or not as it should be.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The connection ended in a way that it does not recover from; only a new process helps.
    #[error("the connection to the broker broke for good: start the worker anew")]
    Broken,
    /// The machine refuses threads.
    #[error("could not start the threads of the skills")]
    Threads(#[source] std::io::Error),
    /// The cancels of a skill could not be read.
    #[error("could not read the cancels of skill `{skill}`")]
    Cancels {
        /// The skill.
        skill: SkillName,
        /// Why.
        #[source]
        source: BrokerError,
    },
}

/// What a worker needs beside its skills.
#[derive(Clone)]
pub struct WorkerOptions {
    /// Its name.
    pub id: WorkerId,
    /// How many attempts run at once.
    pub slots: usize,
    /// How many threads of their own run skills; 0 runs them where the worker runs, on its clock.
    pub threads: usize,
    /// How long an attempt that must stop may take for it.
    pub cancel_grace: Duration,
    /// How long outcomes are kept on this broker.
    pub outcomes_kept: Duration,
    /// Labels shown in presence.
    pub labels: BTreeMap<String, String>,
    /// Where metrics and health are served.
    pub http: Option<String>,
    /// The clock.
    pub clock: ClockRef,
    /// The meters.
    pub metrics: Metrics,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// Skills and the middleware around them.
///
/// ```no_run
/// # use nova_worker::{Context, Skill, Verdict, Worker};
/// # struct Shout;
/// # impl Skill for Shout {
/// #     type Input = String;
/// #     type Output = String;
/// #     fn name(&self) -> &str { "shout" }
/// #     async fn run(&self, input: String, _: Context) -> Result<String, Verdict> { Ok(input) }
/// # }
/// fn main() -> std::process::ExitCode {
///     nova_worker::main(|_setup| async { Ok(Worker::new().skill(Shout)) })
/// }
/// ```
#[derive(Default)]
pub struct Worker {
    skills: Vec<Arc<dyn AnySkill>>,
    middleware: Vec<Arc<dyn Middleware>>,
    slots: Option<usize>,
}

impl Worker {
    /// A worker that can do nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a skill.
    #[must_use]
    pub fn skill(mut self, skill: impl Skill) -> Self {
        self.skills.push(Arc::new(skill));
        self
    }

    /// Adds a middleware inside those added before.
    #[must_use]
    pub fn wrap(mut self, middleware: impl Middleware) -> Self {
        self.middleware.push(Arc::new(middleware));
        self
    }

    /// How many attempts run at once unless the configuration says otherwise, such as one per core for a skill that
    /// computes. Default 16.
    #[must_use]
    pub fn slots(mut self, slots: usize) -> Self {
        self.slots = Some(slots.max(1));
        self
    }

    pub(crate) fn default_slots(&self) -> Option<usize> {
        self.slots
    }

    pub(crate) fn first_skill(&self) -> Option<&str> {
        self.skills.first().map(|skill| skill.name())
    }

    /// Works until the shutdown asks it to drain and what runs has ended.
    ///
    /// # Errors
    /// [`WorkerError`] when it cannot start; safe to call again.
    pub async fn run(self, broker: BrokerRef, options: WorkerOptions) -> Result<(), WorkerError> {
        let threads = Threads::start(options.threads).map_err(WorkerError::Threads)?;
        let slots = Slots::new(options.slots.max(1));
        let process = format!("{:08x}-", fastrand::u32(..));
        let middleware: Arc<[Arc<dyn Middleware>]> = self.middleware.into();
        let mut stations: Vec<Arc<Station>> = Vec::new();
        let mut followers = tokio::task::JoinSet::new();
        for skill in self.skills {
            let name = SkillName::new(skill.name())?;
            if stations.iter().any(|station| station.name == name) {
                return Err(WorkerError::Twice(name));
            }
            let checked = drift::checked(&broker, &name, &options.shutdown.token()).await?;
            let Some(policy) = checked else { return Ok(()) };
            let clock_of = match &policy.keyed {
                Some(_) => assets::partition_consumer(0),
                None => assets::consumer(Priority::Normal).to_owned(),
            };
            let limiter = policy.rate.map(|rate| Limiter::new(&broker, &name, clock_of, rate));
            let cancels = Cancels::default();
            let follow = cancels.follow(&broker, &name).await;
            followers.spawn(follow.map_err(|source| WorkerError::Cancels { skill: name.clone(), source })?);
            let leases = Leases::new(policy.lease);
            followers.spawn(Arc::clone(&leases).keep(Arc::clone(&broker)));
            let events = Events {
                broker: Arc::clone(&broker),
                worker: options.id.clone(),
                clock: Arc::clone(&options.clock),
                level: policy.events,
            };
            stations.push(Arc::new(Station {
                broker: Arc::clone(&broker),
                blobs: Blobs::new(Arc::clone(&broker)),
                clock: Arc::clone(&options.clock),
                worker: options.id.clone(),
                meters: Meters::new(&options.metrics, &name, slots.total()),
                limiter,
                name,
                skill,
                floor: threads.floor(),
                middleware: Arc::clone(&middleware),
                policy,
                outcomes_kept: options.outcomes_kept,
                cancel_grace: options.cancel_grace,
                leases,
                slots: slots.clone(),
                cancels,
                events,
                drain: options.shutdown.token(),
                hard: options.shutdown.hard(),
                nonces: Nonces::new(process.clone()),
                horizon: Horizon::new(broker.connection()),
            }));
        }
        if stations.is_empty() {
            return Err(WorkerError::NoSkill);
        }
        work(broker, options, stations, slots, process).await
    }
}

async fn work(
    broker: BrokerRef,
    options: WorkerOptions,
    stations: Vec<Arc<Station>>,
    slots: Slots,
    nonce: String,
) -> Result<(), WorkerError> {
    let process = nonce.clone();
    let row = row(&options, &stations, nonce);
    let draining = Arc::new(AtomicBool::new(false));
    let presence = Presence { broker: Arc::clone(&broker), clock: Arc::clone(&options.clock), row };
    let (told, counted) = (Arc::clone(&draining), slots.clone());
    let mut presence = tokio::spawn(presence.run(move || counted.running(), move || told.load(Ordering::Relaxed)));
    let asked = tokio::spawn(drain_when_asked(Arc::clone(&broker), options.id.clone(), options.shutdown.clone()));

    let running = TaskTracker::new();
    let pullers: Vec<_> =
        stations.iter().map(|station| tokio::spawn(Puller::new(Arc::clone(station), running.clone()).run())).collect();
    let governors = stations.iter().filter_map(|station| {
        let keyed = station.policy.keyed?;
        Some(tokio::spawn(Governor::new(Arc::clone(station), keyed, running.clone(), &process).run()))
    });
    let pullers: Vec<_> = pullers.into_iter().chain(governors).collect();
    tracing::info!(worker = %options.id, slots = slots.total(), "worker ready");

    let drain = options.shutdown.token();
    tokio::select! {
        biased;
        () = drain.cancelled() => {}
        // What runs cannot be told to anyone: its leases end, and others take over.
        _ = &mut presence => return Err(WorkerError::Broken),
    }
    draining.store(true, Ordering::Relaxed);
    tracing::info!(worker = %options.id, running = slots.running(), "worker drains");
    for puller in pullers {
        let _ = puller.await;
    }
    running.close();
    // After the hard stop each attempt has its grace; one that is stuck even then ends with the process.
    let stuck = async {
        options.shutdown.hard().cancelled().await;
        tokio::time::sleep(options.cancel_grace.saturating_add(Duration::from_secs(1))).await;
    };
    tokio::select! {
        biased;
        () = running.wait() => {}
        () = stuck => tracing::warn!(running = slots.running(), "worker ends with attempts that do not stop"),
    }
    presence.abort();
    asked.abort();
    leave(&broker, &options.id).await;
    if let Err(error) = broker.flush().await {
        tracing::debug!(%error, "last words were not flushed");
    }
    Ok(())
}

fn row(options: &WorkerOptions, stations: &[Arc<Station>], nonce: String) -> WorkerRow {
    let now = options.clock.now();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    WorkerRow {
        worker: options.id.clone(),
        pid: std::process::id(),
        host: host.trim().to_owned(),
        skills: stations
            .iter()
            .map(|station| WorkerSkill { name: station.name.clone(), version: station.skill.version().to_owned() })
            .collect(),
        version: nova_runtime::VERSION.to_owned(),
        slots: u32::try_from(options.slots).unwrap_or(u32::MAX),
        running: 0,
        draining: false,
        nonce,
        started: now,
        seen: now,
        http: options.http.clone(),
        labels: options.labels.clone(),
    }
}

/// Drains when an operator asks this worker to, through its key in the fleet's bucket.
async fn drain_when_asked(broker: BrokerRef, worker: WorkerId, shutdown: Shutdown) {
    let key = subject::bucket_key(assets::CONFIG_BUCKET, &format!("drain.{worker}"));
    match broker.listen(key, None).await {
        Ok(mut asked) => {
            if asked.next().await.is_some() {
                tracing::info!(%worker, "worker was asked to drain");
                shutdown.drain();
            }
        }
        Err(error) => tracing::warn!(%error, "cannot hear requests to drain"),
    }
}
