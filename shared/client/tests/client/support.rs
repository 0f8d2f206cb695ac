//! A fleet for one test: a broker with Nova's assets, a client, and a worker that does as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::memory::MemoryBroker;
use nova_broker::{
    Blobs, BrokerRef, ConsumerSpec, Delivery, Discard, Expect, Message, PublishError, PullItem, PullRequest, Settle,
    Start, StreamSpec, jetstream,
};
use nova_client::{Client, ClientOptions, Submit};
use nova_testkit::NatsServer;
use nova_types::{Code, ItemCount, Outcome, OutcomeKind, Priority, Scope, Skill, TaskId, UnixMillis, Usage, WorkerId};
use nova_wire::{DeadLetter, ErrorBody, Headers, Payload, Task, assets, limits, name, subject, write_outcome};

/// Every wait in these tests ends by then.
pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Fleet {
    pub broker: BrokerRef,
    pub memory: Option<MemoryBroker>,
    pub client: Client,
    _server: Option<NatsServer>,
}

pub fn echo() -> Skill {
    Skill::new("echo").expect("a skill")
}

pub fn id(text: &str) -> TaskId {
    text.parse().expect("an id")
}

pub fn task<T: serde::Serialize>(name: &str, input: &T) -> Submit {
    Submit::json(echo(), input).expect("encodes").with_id(id(&format!("cli.{name}")))
}

fn stream(name: &str, subjects: &[&str]) -> StreamSpec {
    StreamSpec {
        name: name.to_owned(),
        description: String::new(),
        subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
        discard: Discard::Old,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        duplicate_window: Duration::from_secs(10),
        replicas: 1,
        allow_ttl: true,
        allow_schedules: false,
        allow_rollup: true,
        allow_batches: false,
        delete_marker_ttl: Duration::ZERO,
        first_sequence: None,
        transform: None,
        metadata: BTreeMap::new(),
    }
}

impl Fleet {
    pub async fn in_memory() -> Self {
        let memory = MemoryBroker::new();
        let fleet = Self::over(Arc::new(memory.clone()), Some(memory), None);
        fleet.provision().await;
        fleet
    }

    pub async fn on_nats() -> Self {
        let server = NatsServer::start();
        let broker = jetstream::connect(jetstream::Options::new(server.url(), "test")).await.expect("it listens");
        let fleet = Self::over(Arc::new(broker), None, Some(server));
        fleet.provision().await;
        fleet
    }

    fn over(broker: BrokerRef, memory: Option<MemoryBroker>, server: Option<NatsServer>) -> Self {
        let client = Client::new(broker.clone(), Scope::new("cli").expect("a scope"));
        Self { broker, memory, client, _server: server }
    }

    /// A client of the same fleet with other options.
    pub fn client_with(&self, change: impl FnOnce(&mut ClientOptions)) -> Client {
        let mut options = ClientOptions::default();
        change(&mut options);
        Client::with_options(self.broker.clone(), Scope::new("cli").expect("a scope"), options)
    }

    async fn provision(&self) {
        let kv = |bucket: &str| (assets::bucket_stream(bucket), subject::bucket_key(bucket, ">"));
        let (workers, config) = (kv(assets::WORKERS_BUCKET), kv(assets::CONFIG_BUCKET));
        let workflows = kv(assets::WORKFLOWS_BUCKET);
        let keys = kv(assets::KEYS_BUCKET);
        let blobs = assets::object_stream(assets::BLOBS_BUCKET);
        let space = nova_wire::BlobMeta::space();
        for spec in [
            stream(assets::OUTCOMES, &[subject::OUTCOME_SPACE]),
            stream(assets::ATTEMPTS, &[subject::ATTEMPT_SPACE]),
            StreamSpec {
                allow_schedules: true,
                ..stream(assets::SCHEDULES, &[subject::SCHEDULE_SPACE, subject::DUE_SPACE])
            },
            stream(assets::CONTROL, &[subject::CANCEL_SPACE]),
            stream(assets::DEAD, &[subject::DEAD_SPACE]),
            stream(assets::EVENTS, &[subject::EVENT_SPACE]),
            StreamSpec { max_messages_per_subject: 1, ..stream(&workers.0, &[&workers.1]) },
            StreamSpec { max_messages_per_subject: 1, ..stream(&config.0, &[&config.1]) },
            StreamSpec { max_messages_per_subject: 1, ..stream(&keys.0, &[&keys.1]) },
            StreamSpec { max_messages_per_subject: 1, ..stream(&workflows.0, &[&workflows.1]) },
            stream(assets::RUNS, &subject::RUN_SPACES),
            stream(&blobs, &[&space[0], &space[1]]),
        ] {
            self.broker.put_stream(spec).await.expect("a fresh broker takes it");
        }
        self.add_skill(&echo(), -1).await;
    }

    pub async fn add_skill(&self, skill: &Skill, max_messages: i64) {
        let name = assets::tasks_stream(skill);
        let subjects = Priority::ALL.map(|priority| subject::task(skill, priority));
        let subjects = subjects.each_ref().map(String::as_str);
        let spec = StreamSpec { discard: Discard::New, max_messages, ..stream(&name, &subjects) };
        self.broker.put_stream(spec).await.expect("a fresh broker takes it");
        for priority in Priority::ALL {
            let spec = ConsumerSpec {
                stream: name.clone(),
                name: assets::consumer(priority).to_owned(),
                description: String::new(),
                filter: subject::task(skill, priority),
                ack_wait: Duration::from_secs(10),
                max_ack_pending: 20_000,
                max_waiting: 512,
                start: Start::First,
                metadata: BTreeMap::new(),
            };
            self.broker.put_consumer(spec).await.expect("a fresh stream takes it");
        }
    }

    pub fn worker(&self) -> MiniWorker {
        MiniWorker { broker: self.broker.clone(), skill: echo(), tells: true }
    }
}

/// A worker that takes tasks and records whatever the test says.
#[derive(Clone)]
pub struct MiniWorker {
    pub broker: BrokerRef,
    pub skill: Skill,
    /// Whether it tells waiters of an end.
    pub tells: bool,
}

impl MiniWorker {
    /// Takes up to `most` waiting tasks, high before normal before low, without waiting for more.
    pub async fn take(&self, most: usize) -> Vec<(Task, Delivery)> {
        let mut taken = Vec::new();
        for priority in Priority::ALL {
            if taken.len() == most {
                break;
            }
            let request = PullRequest {
                stream: assets::tasks_stream(&self.skill),
                consumer: assets::consumer(priority).to_owned(),
                batch: most - taken.len(),
                wait: None,
            };
            let mut pull = self.broker.pull(request).await.expect("the consumer exists");
            while let Some(item) = pull.next().await {
                if let PullItem::Delivery(d) = item.expect("the pull goes through") {
                    let task = Task::parse(&d.subject, d.sequence, d.headers.clone(), d.body.clone());
                    taken.push((task.expect("a good task"), *d));
                }
            }
        }
        taken
    }

    /// Takes exactly one task, waiting for it.
    pub async fn take_one(&self) -> (Task, Delivery) {
        let worker = self.clone();
        let take = move || {
            let worker = worker.clone();
            async move { worker.take(1).await.pop() }
        };
        nova_testkit::wait_until("a task to take", DEADLINE, take).await
    }

    /// Records the outcome, acks, and tells; as a real worker does.
    pub async fn end(&self, task: &Task, delivery: &Delivery, kind: OutcomeKind, body: Payload) -> Outcome {
        self.record(task, delivery, kind, body, None).await
    }

    /// The same of a bundle whose items have ended.
    pub async fn end_counted(&self, task: &Task, delivery: &Delivery, body: Payload, items: ItemCount) -> Outcome {
        self.record(task, delivery, OutcomeKind::Completed, body, Some(items)).await
    }

    async fn record(
        &self,
        task: &Task,
        delivery: &Delivery,
        kind: OutcomeKind,
        body: Payload,
        items: Option<ItemCount>,
    ) -> Outcome {
        let outcome = Outcome {
            kind,
            task: task.id.clone(),
            skill: task.skill.clone(),
            attempt: 1,
            worker: Some(WorkerId::new("mini").expect("an id")),
            nonce: Some("n".into()),
            submitted: Some(delivery.at),
            started: Some(delivery.at),
            finished: delivery.at,
            code: (kind != OutcomeKind::Completed).then(|| Code::new("exit")),
            usage: Usage::default(),
            items,
        };
        let mut headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
        if body.content_type != nova_wire::ContentType::Json {
            headers.push(name::CONTENT_TYPE, body.content_type.as_str());
        }
        let mut bytes = body.bytes;
        if bytes.len() > limits::INLINE_BYTES {
            let blob = Blobs::new(self.broker.clone()).put("out-1", &bytes).await.expect("stored");
            headers.push(name::BLOB, blob.to_header());
            bytes = bytes::Bytes::new();
        }
        let message = Message::new(subject::outcome(&task.skill, &task.id), bytes).with_headers(headers);
        match self.broker.publish(message.clone(), Expect::NOTHING).await {
            Ok(_) | Err(PublishError::Conflict { .. }) => {}
            Err(error) => panic!("no outcome: {error}"),
        }
        self.broker.settle(&delivery.token, Settle::Ack).await.expect("sent");
        if self.tells {
            let told = Message { subject: subject::done(&task.skill, &task.id), ..message };
            self.broker.tell(told).await.expect("sent");
        }
        outcome
    }

    /// Completes a task with its own input as the result.
    pub async fn echo(&self, task: &Task, delivery: &Delivery) {
        let mut body = task.payload.clone();
        if let Some(blob) = &task.blob {
            body.bytes = Blobs::new(self.broker.clone()).get(blob).await.expect("the blob is there");
        }
        self.end(task, delivery, OutcomeKind::Completed, body).await;
    }

    /// Gives a task up: outcome, dead letter, ack.
    pub async fn give_up(&self, task: &Task, delivery: &Delivery, code: &str) {
        let letter = DeadLetter {
            code: Code::new(code),
            task: task.id.clone(),
            skill: task.skill.clone(),
            attempts: 5,
            stream: assets::tasks_stream(&task.skill),
            sequence: delivery.sequence,
            history: "[]".into(),
            headers: delivery.headers.clone(),
            body: delivery.body.clone(),
        };
        let body = serde_json::to_vec(&ErrorBody::new(code, "it broke")).expect("encodes");
        let message =
            Message::new(subject::dead(&task.skill, &task.id), letter.body.clone()).with_headers(letter.to_headers());
        self.broker.publish(message, Expect::Any).await.expect("stored");
        self.end(task, delivery, OutcomeKind::Dead, Payload::json(body)).await;
    }

    /// Completes what comes until it is dropped.
    pub fn run(self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move {
            loop {
                let taken = self.take(256).await;
                if taken.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                futures_util::future::join_all(taken.iter().map(|(task, delivery)| self.echo(task, delivery))).await;
            }
        })
    }
}

pub fn far_future() -> UnixMillis {
    UnixMillis(4_000_000_000_000)
}

/// Makes one test of each scenario for each adapter.
macro_rules! on_both {
    ($($scenario:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::support::Fleet::in_memory().await).await;
            })+
        }
        mod on_nats {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::support::Fleet::on_nats().await).await;
            })+
        }
    };
}
pub(crate) use on_both;
