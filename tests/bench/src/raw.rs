//! The yardstick: the guarantees of a whole task by hand, on the calls of the broker's port and nothing else.
//!
//! Same messages on the same kind of queue: publish with a dedupe key, outcome under compare-and-set, ack after its
//! receipt, word to the submitter. What Nova adds is left out: three priorities, lease keeping, cancels, retries,
//! deadlines, limits, checks of the input, metrics.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::StreamExt as _;
use nova_broker::{BrokerRef, Delivery, Expect, Message, PublishError, PullItem, PullRequest, Settle};
use nova_runtime::{Clock as _, SystemClock};
use nova_types::{Name, Outcome, OutcomeKind, Priority, Scope, Skill, TaskId, Usage, WorkerId};
use nova_wire::{Headers, assets, name, subject, write_outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bed::connect;

/// How long the broker holds a waiting pull.
const WAIT: Duration = Duration::from_secs(5);

/// Works on a queue until the process ends.
///
/// # Errors
/// When the broker cannot be reached or refuses.
pub async fn work(url: &str, skill: &str, slots: usize) -> anyhow::Result<()> {
    let broker = connect(url, "bench-raw").await?;
    let skill = Skill::new(skill)?;
    let free = Arc::new(Semaphore::new(slots));
    writeln!(std::io::stdout().lock(), "ready")?;
    loop {
        let mut permits = vec![Arc::clone(&free).acquire_owned().await?];
        while let Ok(permit) = Arc::clone(&free).try_acquire_owned() {
            permits.push(permit);
        }
        let request = PullRequest {
            stream: assets::tasks_stream(&skill),
            consumer: assets::consumer(Priority::Normal).to_owned(),
            batch: permits.len(),
            wait: Some(WAIT),
        };
        let mut pull = broker.pull(request).await?;
        while let Some(item) = pull.next().await {
            if let PullItem::Delivery(delivery) = item? {
                tokio::spawn(handle(Arc::clone(&broker), skill.clone(), *delivery, permits.pop()));
            }
        }
    }
}

async fn handle(broker: BrokerRef, skill: Skill, delivery: Delivery, _permit: Option<OwnedSemaphorePermit>) {
    let Some(task) = delivery.headers.get(name::MSG_ID).and_then(|id| id.parse::<TaskId>().ok()) else { return };
    let now = SystemClock::skewed(0).now();
    let outcome = Outcome {
        kind: OutcomeKind::Completed,
        task: task.clone(),
        skill: skill.clone(),
        attempt: 1,
        worker: WorkerId::new("raw").ok(),
        nonce: Some(delivery.sequence.to_string()),
        submitted: Some(delivery.at),
        started: Some(now),
        finished: now,
        code: None,
        usage: Usage::default(),
        items: None,
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(&skill, &task), delivery.body.clone()).with_headers(headers.clone());
    match broker.publish(record, Expect::NOTHING).await {
        Ok(_) | Err(PublishError::Conflict { .. }) => {}
        // Not known to be stored: it comes again when its lease ends.
        Err(_) => return,
    }
    let _ = broker.settle(&delivery.token, Settle::Ack).await;
    let word = Message::new(subject::done(&skill, &task), delivery.body).with_headers(headers);
    let _ = broker.tell(word).await;
}

type Waiters = Arc<Mutex<HashMap<String, oneshot::Sender<Message>>>>;

/// Submits and waits by hand.
pub struct Submitter {
    broker: BrokerRef,
    skill: Skill,
    scope: Scope,
    run: u32,
    next: AtomicU64,
    waiters: Waiters,
}

impl Submitter {
    /// Listens for the ends of its tasks.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn start(broker: &BrokerRef, skill: &str) -> anyhow::Result<Arc<Self>> {
        let scope = Scope::new("rawclient")?;
        let mut words = broker.listen(subject::done_of_scope(&scope), None).await?;
        let waiters = Waiters::default();
        let told = Arc::clone(&waiters);
        tokio::spawn(async move {
            while let Some(word) = words.next().await {
                let waiter = told.lock().unwrap_or_else(PoisonError::into_inner).remove(&word.subject);
                let _ = waiter.map(|waiter| waiter.send(word));
            }
        });
        let (broker, skill) = (Arc::clone(broker), Skill::new(skill)?);
        Ok(Arc::new(Self { broker, skill, scope, run: fastrand::u32(..), next: AtomicU64::new(0), waiters }))
    }

    /// A new id, as long as a UUID: a shorter one would be cheaper to keep.
    fn task(&self) -> TaskId {
        let name = format!("{:08x}-{:027}", self.run, self.next.fetch_add(1, Ordering::Relaxed));
        TaskId::new(self.scope.clone(), Name::new(name).expect("digits and a dash make a name"))
    }

    async fn send(&self, task: &TaskId, body: Bytes) -> anyhow::Result<()> {
        let headers = Headers::new().with(name::MSG_ID, task.to_string());
        let message = Message::new(subject::task(&self.skill, Priority::Normal), body).with_headers(headers);
        self.broker.publish(message, Expect::Any).await?;
        Ok(())
    }

    /// Submits one task.
    ///
    /// # Errors
    /// When there is no receipt.
    pub async fn submit(&self, body: Bytes) -> anyhow::Result<()> {
        self.send(&self.task(), body).await
    }

    /// Submits one task and waits for word of its end.
    ///
    /// # Errors
    /// When there is no receipt or no word.
    pub async fn submit_and_wait(&self, body: Bytes) -> anyhow::Result<Message> {
        let task = self.task();
        let (sender, word) = oneshot::channel();
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner).insert(subject::done(&self.skill, &task), sender);
        self.send(&task, body).await?;
        let word = tokio::time::timeout(crate::bed::PATIENCE, word).await;
        word.with_context(|| format!("no word of task {task}"))?.context("the subscription ended")
    }
}
