//! A worker on a broker in memory, under virtual time: leases and pauses pass at once, and every run is the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::memory::{Faults, MemoryBroker};
use nova_broker::{BrokerRef, Expect, Message, Scan, Stored};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_runtime::{Clock, Metrics, Shutdown};
use nova_types::{Outcome, Skill, TaskId, UnixMillis, WorkerId};
use nova_wire::{AttemptRecord, ErrorBody, Headers, Payload, assets, name, parse_outcome, subject};
use nova_worker::{Worker, WorkerError, WorkerOptions};
use tokio::task::JoinHandle;

/// The broker and what runs on it.
pub struct Bed {
    pub memory: MemoryBroker,
    pub broker: BrokerRef,
}

/// One running worker.
pub struct Running {
    pub shutdown: Shutdown,
    pub worker: JoinHandle<Result<(), WorkerError>>,
}

/// The broker's clock, or one that is ahead of it.
struct BrokerClock(MemoryBroker, Duration);

impl Clock for BrokerClock {
    fn now(&self) -> UnixMillis {
        self.0.now().plus(self.1)
    }
}

impl Bed {
    /// A broker with a queue for each line of a catalogue.
    pub async fn new(catalogue: &str) -> Self {
        let memory = MemoryBroker::new();
        let broker: BrokerRef = Arc::new(memory.clone());
        let catalogue = Catalogue::parse("test", catalogue).expect("a catalogue");
        let options = nova_provision::Options { profile: Profile::Fast, now: memory.now() };
        let wanted = desired(&catalogue, options);
        let report = nova_provision::apply(&*broker, &wanted, ApplyOptions::default(), |_| {}).await;
        assert!(report.expect("assets can be made").is_complete());
        Self { memory, broker }
    }

    /// Starts a worker over a connection of its own.
    pub fn start(&self, id: &str, slots: usize, worker: Worker) -> Running {
        self.start_ahead(id, slots, worker, Duration::ZERO)
    }

    /// Starts a worker whose clock is ahead of the broker's.
    pub fn start_ahead(&self, id: &str, slots: usize, worker: Worker, ahead: Duration) -> Running {
        let shutdown = Shutdown::manual();
        let options = WorkerOptions {
            id: WorkerId::new(id).expect("an id"),
            slots,
            threads: 0,
            cancel_grace: Duration::from_secs(1),
            outcomes_kept: Duration::from_secs(24 * 3600),
            labels: BTreeMap::new(),
            http: None,
            clock: Arc::new(BrokerClock(self.memory.clone(), ahead)),
            metrics: Metrics::new(),
            shutdown: shutdown.clone(),
        };
        let worker = tokio::spawn(worker.run(Arc::clone(&self.broker), options));
        Running { shutdown, worker }
    }

    /// Starts a worker over a connection that can be cut, after which it is as good as dead to all others.
    pub fn start_apart(&self, id: &str, slots: usize, worker: Worker) -> (Running, Faults) {
        let apart = self.memory.connect();
        let faults = apart.faults();
        let bed = Self { memory: self.memory.clone(), broker: Arc::new(apart) };
        (bed.start(id, slots, worker), faults)
    }

    /// Submits a task under the id `_.<id>`.
    pub async fn submit(&self, task: &str, id: &str, headers: &[(&str, &str)], body: &str) {
        let mut all = Headers::new().with(name::MSG_ID, id);
        for (key, value) in headers {
            all.push((*key).to_owned(), *value);
        }
        let message = Message::new(format!("nova.task.{task}"), body.to_owned()).with_headers(all);
        self.broker.publish(message, Expect::Any).await.expect("the queue takes it");
    }

    /// Cancels a task.
    pub async fn cancel(&self, skill: &str, id: &str) {
        let message = Message::new(format!("nova.control.cancel.{skill}._.{id}"), "");
        self.broker.publish(message, Expect::Any).await.expect("the cancel is taken");
    }

    /// Waits for a task's outcome; virtual time makes the wait short.
    pub async fn outcome(&self, skill: &str, id: &str) -> (Outcome, Stored) {
        let subject = format!("nova.outcome.{skill}._.{id}");
        for _ in 0..100_000 {
            if let Some(stored) = self.broker.last(assets::OUTCOMES.into(), subject.clone()).await.expect("readable") {
                let header = stored.headers.get(name::OUTCOME).expect("a header").to_owned();
                return (parse_outcome(&header).expect("an outcome"), stored);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no outcome of {skill} {id}");
    }

    /// The error body of an outcome.
    pub fn error(stored: &Stored) -> ErrorBody {
        Payload::json(stored.body.clone()).decode().expect("an error body")
    }

    /// Waits until a queue holds nothing undelivered or unacked.
    pub async fn drained(&self, skill: &str) {
        let stream = assets::tasks_stream(&Skill::new(skill).expect("a skill"));
        for _ in 0..100_000 {
            let mut left = 0;
            for info in self.broker.consumers(stream.clone()).await.expect("readable") {
                left += info.pending + info.ack_pending;
            }
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("queue {skill} is not drained");
    }

    /// How many messages stand on a subject.
    pub async fn count(&self, stream: &str, subject: &str) -> usize {
        self.broker.scan(Scan::all(stream, subject, 10_000)).await.expect("readable").len()
    }

    /// What is known of a task's attempts.
    pub async fn attempts(&self, skill: &str, id: &str) -> AttemptRecord {
        let id: TaskId = id.parse().expect("an id");
        let subject = subject::attempt(&Skill::new(skill).expect("a skill"), &id);
        let stored = self.broker.last(assets::ATTEMPTS.into(), subject).await.expect("readable");
        stored.map_or_else(AttemptRecord::default, |s| serde_json::from_slice(&s.body).expect("a record"))
    }
}

impl Running {
    /// Drains the worker and waits for its end.
    pub async fn stop(self) {
        self.shutdown.drain();
        self.worker.await.expect("no panic").expect("a clean end");
    }
}
