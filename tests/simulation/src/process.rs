//! Workers and coordinators as processes: started, killed, and started again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nova_broker::BrokerRef;
use nova_broker::memory::MemoryBroker;
use nova_coordinator::{Coordinator, CoordinatorConfig, Parts};
use nova_runtime::{Clock, Metrics, Shutdown};
use nova_types::{UnixMillis, WorkerId};
use nova_worker::{Worker, WorkerOptions};

use crate::books::Books;
use crate::scenario::{Sabotage, Scenario, SkillKind, Strike, WORKERS, Weather};
use crate::skill::Scripted;
use crate::wire::Wire;
use crate::wire::port::Port;

/// How long outcomes are kept: far beyond any world's end.
const OUTCOMES_KEPT: Duration = Duration::from_secs(24 * 3600);

/// What all processes of a world have in common.
pub struct Ground {
    /// The broker, free of faults.
    pub memory: MemoryBroker,
    /// What is noted.
    pub books: Arc<Books>,
    /// What goes wrong with calls now.
    pub weather: Mutex<Weather>,
    /// The skills of the workers.
    pub skills: BTreeSet<SkillKind>,
    sabotage: Option<Sabotage>,
}

/// The broker's clock is everybody's.
struct BrokerClock(MemoryBroker);

impl Clock for BrokerClock {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }
}

impl Ground {
    /// The ground of a scenario.
    #[must_use]
    pub fn new(memory: MemoryBroker, books: Arc<Books>, scenario: &Scenario) -> Arc<Self> {
        let (weather, sabotage) = (Mutex::new(scenario.weather), scenario.sabotage);
        Arc::new(Self { memory, books, weather, skills: scenario.skills(), sabotage })
    }

    /// A way to the broker.
    #[must_use]
    pub fn wire(&self, seed: u64, strike: Option<Strike>) -> Arc<Wire> {
        let weather = *self.weather.lock().unwrap_or_else(PoisonError::into_inner);
        Wire::new(&self.memory, &self.books, seed, weather, strike, self.sabotage)
    }

    fn clock(&self) -> Arc<BrokerClock> {
        Arc::new(BrokerClock(self.memory.clone()))
    }
}

/// A place where one process after the other works.
pub struct Place {
    number: usize,
    current: Mutex<Arc<Wire>>,
}

impl Place {
    /// Starts the first process here, and another whenever one has ended.
    #[must_use]
    pub fn open(ground: &Arc<Ground>, number: usize, mut rng: Rng, strike: Option<Strike>) -> Arc<Self> {
        let strike = strike.filter(|strike| strike.process == number);
        let place = Arc::new(Self { number, current: Mutex::new(ground.wire(rng.u64(..), strike)) });
        let (kept, ground) = (Arc::clone(&place), Arc::clone(ground));
        tokio::spawn(async move {
            loop {
                let wire = kept.wire();
                let job = tokio::spawn(work(Arc::clone(&ground), Arc::clone(&wire), number, rng.u16(..)));
                tokio::select! {
                    biased;
                    () = wire.died() => ground.books.count("processes killed"),
                    // It gave up by itself, as it may when it cannot begin.
                    () = finished(&job) => wire.kill(),
                }
                job.abort();
                tokio::time::sleep(Duration::from_millis(rng.u64(500..4000))).await;
                *kept.current.lock().unwrap_or_else(PoisonError::into_inner) = ground.wire(rng.u64(..), None);
            }
        });
        place
    }

    /// The way of the process that works here now.
    #[must_use]
    pub fn wire(&self) -> Arc<Wire> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }
}

async fn finished(job: &tokio::task::JoinHandle<()>) {
    while !job.is_finished() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn work(ground: Arc<Ground>, wire: Arc<Wire>, number: usize, incarnation: u16) {
    let broker: BrokerRef = Arc::new(Port(wire));
    let name = WorkerId::new(format!("p{number}-{incarnation:04x}")).expect("letters and digits");
    let shutdown = Shutdown::manual();
    if number < WORKERS {
        let options = WorkerOptions {
            id: name,
            slots: 3,
            threads: 0,
            cancel_grace: Duration::from_secs(1),
            outcomes_kept: OUTCOMES_KEPT,
            labels: BTreeMap::new(),
            http: None,
            clock: ground.clock(),
            metrics: Metrics::new(),
            shutdown,
        };
        let with = |worker: Worker, kind: &SkillKind| {
            worker.skill(Scripted::new(*kind, Arc::clone(&ground.books), ground.memory.clone()))
        };
        let _ = ground.skills.iter().fold(Worker::new(), with).run(broker, options).await;
    } else {
        let mut parts = Parts::new(broker, name);
        parts.clock = ground.clock();
        let _ = Coordinator::new(parts, CoordinatorConfig::default()).run(&shutdown).await;
    }
}
