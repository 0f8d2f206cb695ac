//! A provisioned broker with coordinators on it, and the smallest worker that speaks the contract.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::memory::MemoryBroker;
use nova_broker::{BrokerRef, Delivery, Expect, Message, PullItem, PullRequest, Settle, Stored, jetstream};
use nova_coordinator::{Coordinator, CoordinatorConfig, CoordinatorError, Parts};
use nova_provision::{ApplyOptions, Catalogue, Options, Profile, apply, desired};
use nova_runtime::{Clock, Shutdown, SystemClock};
use nova_testkit::{NatsServer, wait_until};
use nova_types::{Outcome, OutcomeKind, Priority, Skill, TaskId, UnixMillis, Usage, WorkerId};
use nova_wire::{Headers, Task, assets, name, parse_outcome, subject, write_outcome};
use tokio::task::JoinHandle;

/// How long any state may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(40);

/// Small queues: the lease is short, so that what is lost comes again soon.
const CATALOGUE: &str = r#"
echo = { lease = "1s", max_bytes = "1MiB" }
shell = { lease = "1s" }
keyed = { lease = "1s", keyed = true, partitions = 2 }
"#;

pub struct Fleet {
    pub broker: BrokerRef,
    place: Place,
    coordinators: Vec<(Shutdown, JoinHandle<Result<(), CoordinatorError>>)>,
}

/// The memory broker keeps a time of its own.
struct MemoryClock(MemoryBroker);

impl Clock for MemoryClock {
    fn now(&self) -> UnixMillis {
        self.0.now()
    }
}

enum Place {
    Real(NatsServer),
    Memory(MemoryBroker),
}

impl Fleet {
    pub async fn real() -> Self {
        let server = NatsServer::start();
        let broker = connect(&server, "tests").await;
        Self::provisioned(broker, Place::Real(server)).await
    }

    pub async fn memory() -> Self {
        let memory = MemoryBroker::new();
        Self::provisioned(Arc::new(memory.clone()), Place::Memory(memory)).await
    }

    async fn provisioned(broker: BrokerRef, place: Place) -> Self {
        let fleet = Self { broker, place, coordinators: Vec::new() };
        fleet.provision().await;
        fleet
    }

    /// Makes what is missing.
    pub async fn provision(&self) {
        let catalogue = Catalogue::parse("tests", CATALOGUE).expect("a catalogue");
        let options = Options { profile: Profile::Fast, now: SystemClock::default().now() };
        let report = apply(&*self.broker, &desired(&catalogue, options), ApplyOptions::default(), |_| {}).await;
        assert!(report.expect("provisioned").is_complete());
    }

    pub fn server(&mut self) -> &mut NatsServer {
        match &mut self.place {
            Place::Real(server) => server,
            Place::Memory(_) => panic!("this fleet has no server"),
        }
    }

    /// A connection of its own.
    pub async fn connect(&self, name: &str) -> BrokerRef {
        match &self.place {
            Place::Real(server) => connect(server, name).await,
            Place::Memory(memory) => Arc::new(memory.connect()),
        }
    }

    /// Starts a coordinator with periods as short as they go.
    pub async fn start(&mut self, name: &str) -> Parts {
        let config = CoordinatorConfig {
            cancel_grace_ms: 300,
            sweep_secs: 1,
            trim_secs: 1,
            watch_secs: 1,
            leader_secs: 3,
            call_timeout_secs: 20,
            ..CoordinatorConfig::default()
        };
        self.start_with(name, config).await
    }

    pub async fn start_with(&mut self, name: &str, config: CoordinatorConfig) -> Parts {
        let mut parts = Parts::new(self.connect(name).await, WorkerId::new(name).expect("a name"));
        if let Place::Memory(memory) = &self.place {
            parts.clock = Arc::new(MemoryClock(memory.clone()));
        }
        let (shutdown, coordinator) = (Shutdown::manual(), Coordinator::new(parts.clone(), config));
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { coordinator.run(&stop).await });
        self.coordinators.push((shutdown, running));
        parts
    }

    /// Waits until the last coordinator ends by itself.
    pub async fn ended(&mut self) -> Result<(), CoordinatorError> {
        let (_, running) = self.coordinators.pop().expect("one was started");
        tokio::time::timeout(DEADLINE, running).await.expect("it ends").expect("it did not panic")
    }

    /// Stops all coordinators and waits until they are gone.
    pub async fn stop(&mut self) {
        for (shutdown, running) in self.coordinators.drain(..) {
            shutdown.drain();
            tokio::time::timeout(DEADLINE, running)
                .await
                .expect("it stops")
                .expect("it did not panic")
                .expect("it ran");
        }
    }

    pub async fn submit(&self, id: &str, priority: Priority, body: &'static str) -> u64 {
        let headers = Headers::new().with(name::MSG_ID, id);
        let message = Message::new(subject::task(&echo(), priority), body).with_headers(headers);
        self.broker.publish(message, Expect::Any).await.expect("stored").sequence
    }

    /// Waits for the outcome of a task.
    pub async fn outcome(&self, id: &str) -> (Outcome, Stored) {
        wait_until(format!("the outcome of {id}"), DEADLINE, async || self.outcome_now(id).await).await
    }

    pub async fn outcome_now(&self, id: &str) -> Option<(Outcome, Stored)> {
        let id: TaskId = id.parse().expect("an id");
        let stored = self.broker.last(assets::OUTCOMES.to_owned(), subject::outcome(&echo(), &id)).await.ok()??;
        Some((parse_outcome(stored.headers.get(name::OUTCOME)?).expect("an outcome"), stored))
    }

    /// Every message of the echo queue as the broker holds it.
    pub async fn queue(&self) -> Vec<Stored> {
        let mut all = Vec::new();
        let mut from = 1;
        let stream = assets::tasks_stream(&echo());
        while let Some(found) = self.broker.inspect(stream.clone(), ">".to_owned(), from).await.expect("readable") {
            from = found.stored.sequence + 1;
            all.push(found.stored);
        }
        all
    }

    /// Starts a worker of the echo skill, which completes every task with its own input.
    pub async fn worker(&self, name: &str) -> JoinHandle<()> {
        let broker = self.connect(name).await;
        tokio::spawn(async move {
            loop {
                for priority in Priority::ALL {
                    for delivery in pull(&broker, priority, 8).await {
                        complete(&broker, delivery).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    }
}

async fn connect(server: &NatsServer, name: &str) -> BrokerRef {
    let options = jetstream::Options::new(server.url(), name);
    Arc::new(jetstream::connect(options).await.expect("connected"))
}

pub fn echo() -> Skill {
    Skill::new("echo").expect("a skill")
}

/// Takes what is there now.
pub async fn pull(broker: &BrokerRef, priority: Priority, batch: usize) -> Vec<Delivery> {
    let request = PullRequest {
        stream: assets::tasks_stream(&echo()),
        consumer: assets::consumer(priority).to_owned(),
        batch,
        wait: None,
    };
    let Ok(mut pull) = broker.pull(request).await else { return Vec::new() };
    let mut all = Vec::new();
    while let Some(Ok(item)) = pull.next().await {
        if let PullItem::Delivery(delivery) = item {
            all.push(*delivery);
        }
    }
    all
}

/// Records the outcome, acks, tells.
pub async fn complete(broker: &BrokerRef, delivery: Delivery) {
    let headers = delivery.headers.clone();
    let Ok(task) = Task::parse(&delivery.subject, delivery.sequence, headers, delivery.body.clone()) else { return };
    let outcome = Outcome {
        kind: OutcomeKind::Completed,
        task: task.id.clone(),
        skill: task.skill.clone(),
        attempt: 1,
        worker: Some(WorkerId::new("fake").expect("a name")),
        nonce: None,
        submitted: Some(delivery.at),
        started: Some(delivery.at),
        finished: delivery.at,
        code: None,
        usage: Usage::default(),
        items: None,
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(&task.skill, &task.id), delivery.body).with_headers(headers);
    if broker.publish(record.clone(), Expect::NOTHING).await.is_ok() {
        let _ = broker.settle(&delivery.token, Settle::Ack).await;
        let _ = broker.tell(Message { subject: subject::done(&task.skill, &task.id), ..record }).await;
    } else {
        let _ = broker.settle(&delivery.token, Settle::Ack).await;
    }
}

/// Asks a coordinator, as soon as one listens.
pub async fn ask(broker: &BrokerRef, message: Message) -> Message {
    let answered = async {
        loop {
            if let Ok(answer) = broker.ask(message.clone(), DEADLINE).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.expect("a coordinator answers")
}

pub fn error_code(answer: &Message) -> Option<&str> {
    answer.headers.get("Nats-Service-Error-Code")
}

/// Whether a metric shows this line.
pub fn shows(parts: &Parts, line: &str) -> bool {
    parts.metrics.render().lines().any(|shown| shown == line)
}
