//! Which faults hit what, when and for how long: all of it follows from a seed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A worker is killed.
    WorkerKill,
    /// A worker kills itself at one of the boundaries of a task's life.
    WorkerKillAt,
    /// A worker is frozen for longer than its leases.
    WorkerPause,
    /// A worker is asked to end.
    WorkerDrain,
    /// A worker's clock is wrong by an hour.
    WorkerClock,
    /// A coordinator is killed.
    CoordinatorKill,
    /// A coordinator kills itself at one of the boundaries of a run's life.
    CoordinatorKillAt,
    /// A coordinator is frozen, and then goes on as if nothing had been.
    CoordinatorPause,
    /// A coordinator's clock is wrong by an hour.
    CoordinatorClock,
    /// Nothing passes between a process and the servers, and nobody is told.
    Silence,
    /// What a process sends does not arrive.
    SilenceUp,
    /// What a process is sent does not arrive.
    SilenceDown,
    /// All connections of a process are reset.
    Reset,
    /// The connections of a process are half closed.
    HalfClose,
    /// The connections of a process are slow to answer, and unevenly.
    Lag,
    /// The connections of a process carry little.
    Slow,
    /// A server is killed.
    BrokerKill,
    /// A server is asked to end.
    BrokerStop,
    /// A server is frozen.
    BrokerPause,
    /// The server that leads the outcomes is killed.
    LeaderKill,
    /// A server is cut off from the others.
    BrokerCut,
    /// What a server sends to the others does not arrive.
    BrokerCutOneWay,
    /// The power of one server's disk goes.
    PowerCut,
    /// The power of all servers' disks goes at once.
    PowerCutAll,
    /// A server's disk is full, and has room again.
    DiskFull,
    /// Somebody deletes a consumer of a queue.
    ConsumerDeleted,
    /// Somebody purges a queue in which tasks wait.
    QueuePurged,
}

/// What there is to hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Workers.
    pub workers: usize,
    /// Coordinators.
    pub coordinators: usize,
    /// Submitters.
    pub submitters: usize,
    /// Servers.
    pub brokers: usize,
    /// Consumers of queues that somebody could delete.
    pub consumers: usize,
    /// Whether servers have disks of their own: power can be cut, and they can be filled.
    pub has_power: bool,
}

/// One fault on one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act {
    /// Which kind.
    pub fault: Fault,
    /// On which of its targets.
    pub target: usize,
    /// Chooses between variants of the fault.
    pub variant: u64,
}

/// Faults that begin together and are healed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// How long nothing is done before.
    pub rest: Duration,
    /// How long the faults last.
    pub lasts: Duration,
    /// The faults.
    pub acts: Vec<Act>,
}

/// On what a fault acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// A worker.
    Worker,
    /// A coordinator.
    Coordinator,
    /// The connections of any process: workers first, then coordinators, then submitters.
    Link,
    /// A server.
    Broker,
    /// A queue, or one of its consumers.
    Queue,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::WorkerKill,
        Self::WorkerKillAt,
        Self::WorkerPause,
        Self::WorkerDrain,
        Self::WorkerClock,
        Self::CoordinatorKill,
        Self::CoordinatorKillAt,
        Self::CoordinatorPause,
        Self::CoordinatorClock,
        Self::Silence,
        Self::SilenceUp,
        Self::SilenceDown,
        Self::Reset,
        Self::HalfClose,
        Self::Lag,
        Self::Slow,
        Self::BrokerKill,
        Self::BrokerStop,
        Self::BrokerPause,
        Self::LeaderKill,
        Self::BrokerCut,
        Self::BrokerCutOneWay,
        Self::PowerCut,
        Self::PowerCutAll,
        Self::DiskFull,
        Self::ConsumerDeleted,
        Self::QueuePurged,
    ];

    /// Its name in reports and on the command line.
    #[must_use]
    pub fn name(self) -> String {
        let text = serde_json::to_string(&self).expect("a unit variant has a JSON form");
        text.trim_matches('"').to_owned()
    }

    /// On what it acts.
    #[must_use]
    pub fn realm(self) -> Realm {
        match self {
            Self::WorkerKill | Self::WorkerKillAt | Self::WorkerPause | Self::WorkerDrain | Self::WorkerClock => {
                Realm::Worker
            }
            Self::CoordinatorKill | Self::CoordinatorKillAt | Self::CoordinatorPause | Self::CoordinatorClock => {
                Realm::Coordinator
            }
            Self::Silence
            | Self::SilenceUp
            | Self::SilenceDown
            | Self::Reset
            | Self::HalfClose
            | Self::Lag
            | Self::Slow => Realm::Link,
            Self::BrokerKill
            | Self::BrokerStop
            | Self::BrokerPause
            | Self::LeaderKill
            | Self::BrokerCut
            | Self::BrokerCutOneWay
            | Self::PowerCut
            | Self::PowerCutAll
            | Self::DiskFull => Realm::Broker,
            Self::ConsumerDeleted | Self::QueuePurged => Realm::Queue,
        }
    }

    /// Whether there is anything it could hit.
    #[must_use]
    pub fn is_possible(self, shape: Shape) -> bool {
        match self {
            Self::LeaderKill | Self::BrokerCut | Self::BrokerCutOneWay => shape.brokers > 1,
            Self::PowerCut => shape.has_power && shape.brokers > 1,
            Self::PowerCutAll | Self::DiskFull => shape.has_power,
            _ => targets(self.realm(), shape) > 0,
        }
    }

    /// How long it lasts, in milliseconds, at least and at most.
    fn lasts(self) -> (u64, u64) {
        match self {
            // Longer than a lease and the next pull of another worker: the frozen one must find itself fenced.
            Self::WorkerPause => (3_500, 5_000),
            Self::BrokerKill | Self::BrokerStop | Self::PowerCut | Self::PowerCutAll => (200, 1_000),
            Self::LeaderKill | Self::BrokerCut | Self::BrokerCutOneWay | Self::DiskFull => (2_000, 8_000),
            _ => (1_000, 4_000),
        }
    }
}

fn targets(realm: Realm, shape: Shape) -> usize {
    match realm {
        Realm::Worker => shape.workers,
        Realm::Coordinator => shape.coordinators,
        Realm::Link => shape.workers + shape.coordinators + shape.submitters,
        Realm::Broker => shape.brokers,
        Realm::Queue => shape.consumers,
    }
}

/// One of four periods is quiet: what only shows when nothing happens has its time, too.
const QUIET: f64 = 0.25;

/// The faults of a run of this length. Those named are dealt as cards are: each comes before any comes again.
///
/// # Panics
/// When none of them is possible.
#[must_use]
pub fn plan(seed: u64, length: Duration, shape: Shape, faults: &[Fault]) -> Vec<Period> {
    let possible: Vec<Fault> = faults.iter().copied().filter(|fault| fault.is_possible(shape)).collect();
    assert!(!possible.is_empty(), "none of the faults can be injected here");
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut deck, mut periods, mut used) = (Vec::new(), Vec::new(), Duration::ZERO);
    while used < length {
        let rest = if random.f64() < QUIET { random.u64(2_000..5_000) } else { random.u64(200..1_000) };
        let mut acts: Vec<Act> = Vec::new();
        for _ in 0..random.usize(1..=3) {
            if deck.is_empty() {
                deck.clone_from(&possible);
                random.shuffle(&mut deck);
            }
            let fault = deck.pop().expect("it was just filled");
            let act = Act { fault, target: random.usize(..targets(fault.realm(), shape)), variant: random.u64(..) };
            if acts.iter().all(|other| fits(act, *other, shape)) {
                acts.push(act);
            } else {
                // Its turn comes with the next ones.
                deck.insert(0, fault);
            }
        }
        // The shortest that each of them needs at least.
        let least = acts.iter().map(|act| act.fault.lasts().0).max().unwrap_or(0);
        let most = acts.iter().map(|act| act.fault.lasts().1).max().unwrap_or(0);
        let period = Period { rest: ms(rest), lasts: ms(random.u64(least..=most)), acts };
        used += period.rest + period.lasts;
        periods.push(period);
    }
    periods
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two faults at once need two targets, and a majority of servers stays.
fn fits(one: Act, other: Act, shape: Shape) -> bool {
    let (a, b) = (one.fault.realm(), other.fault.realm());
    // Nobody can do anything to a queue whose server is not there.
    let is_of_the_broker = |realm| matches!(realm, Realm::Broker | Realm::Queue);
    if is_of_the_broker(a) && is_of_the_broker(b) {
        return false;
    }
    let process = |act: Act| match act.fault.realm() {
        Realm::Worker | Realm::Link => Some(act.target),
        Realm::Coordinator => Some(shape.workers + act.target),
        Realm::Broker | Realm::Queue => None,
    };
    process(one).is_none() || process(one) != process(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape =
        Shape { workers: 3, coordinators: 2, submitters: 2, brokers: 3, consumers: 7, has_power: true };

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let minute = Duration::from_secs(60);
        assert_eq!(plan(7, minute, SHAPE, &Fault::ALL), plan(7, minute, SHAPE, &Fault::ALL));
        assert_ne!(plan(7, minute, SHAPE, &Fault::ALL), plan(8, minute, SHAPE, &Fault::ALL));
    }

    #[test]
    fn two_minutes_meet_every_fault_and_no_two_at_one_target() {
        for seed in 0..50 {
            let periods = plan(seed, Duration::from_secs(120), SHAPE, &Fault::ALL);
            let met: std::collections::BTreeSet<Fault> =
                periods.iter().flat_map(|period| period.acts.iter().map(|act| act.fault)).collect();
            assert_eq!(met.len(), Fault::ALL.len(), "seed {seed}");
            for period in &periods {
                let brokers = period.acts.iter().filter(|act| act.fault.realm() == Realm::Broker).count();
                assert!(brokers <= 1 && !period.acts.is_empty());
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_hit() {
        let alone = Shape { brokers: 1, has_power: false, ..SHAPE };
        let periods = plan(1, Duration::from_secs(300), alone, &Fault::ALL);
        let acts = || periods.iter().flat_map(|period| &period.acts);
        assert!(acts().all(|act| act.fault.is_possible(alone)));
        assert!(acts().all(|act| act.fault.realm() != Realm::Broker || act.target == 0));
    }

    #[test]
    fn a_frozen_worker_is_frozen_for_longer_than_its_lease() {
        for period in plan(3, Duration::from_secs(600), SHAPE, &Fault::ALL) {
            if period.acts.iter().any(|act| act.fault == Fault::WorkerPause) {
                assert!(period.lasts >= Duration::from_millis(3_500));
            }
        }
    }

    #[test]
    fn a_fault_is_named_in_one_way() {
        assert_eq!(Fault::BrokerCutOneWay.name(), "broker-cut-one-way");
        let names: std::collections::BTreeSet<String> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
