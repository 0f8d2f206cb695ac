//! The same guarantees by the calls that the client library offers for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::PullConsumer};
use async_nats::{Client, Message};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_types::{Priority, Scope, Skill, TaskId};
use nova_wire::{assets, name, subject};
use tokio::sync::oneshot;

use crate::words::{self, Asked, Result};

/// Works on a queue until the process ends, with so many tasks pulled and so many under way.
pub async fn work(client: Client, skill: &str, pulled: usize, at_once: usize) -> Result<()> {
    let skill = Skill::new(skill)?;
    let context = jetstream::new(client.clone());
    let stream = assets::tasks_stream(&skill);
    let consumer: PullConsumer = context
        .get_consumer_from_stream(assets::consumer(Priority::Normal), stream)
        .await
        .map_err(|e| e.to_string())?;
    let tasks = consumer.stream().max_messages_per_batch(pulled).messages().await?;
    words::ready()?;
    let handled = tasks
        .map(|task| {
            let (context, client, skill) = (context.clone(), client.clone(), skill.clone());
            async move { handle(&context, &client, &skill, task.map_err(|error| error.to_string())?).await }
        })
        .buffer_unordered(at_once);
    handled.try_for_each(|()| std::future::ready(Ok(()))).await
}

async fn handle(context: &jetstream::Context, client: &Client, skill: &Skill, task: jetstream::Message) -> Result<()> {
    let id = task.headers.as_ref().and_then(|headers| headers.get(name::MSG_ID)).ok_or("a task without an id")?;
    let id: TaskId = id.as_str().parse()?;
    let nonce = task.info().map_err(|error| error.to_string())?.stream_sequence;
    let (headers, told) = words::outcome_headers(skill, &id.to_string(), nonce);
    let receipt = context.publish_with_headers(subject::outcome(skill, &id), headers, task.payload.clone()).await?;
    receipt.await?;
    task.ack().await.map_err(|error| error.to_string())?;
    client.publish_with_headers(subject::done(skill, &id), told, task.payload.clone()).await?;
    Ok(())
}

type Waiters = Arc<Mutex<HashMap<String, oneshot::Sender<Message>>>>;

/// Submits and waits.
pub struct Submitter {
    context: jetstream::Context,
    skill: Skill,
    run: u32,
    number: std::cell::Cell<u64>,
    waiters: Waiters,
}

impl Submitter {
    pub async fn start(client: Client, skill: &str) -> Result<Self> {
        let mut words = client.subscribe(subject::done_of_scope(&Scope::new("yardstick")?)).await?;
        client.flush().await?;
        let waiters = Waiters::default();
        let told = Arc::clone(&waiters);
        tokio::spawn(async move {
            while let Some(word) = words.next().await {
                let waiter = told.lock().unwrap_or_else(PoisonError::into_inner).remove(word.subject.as_str());
                let _ = waiter.map(|waiter| waiter.send(word));
            }
        });
        let (run, number) = (fastrand::u32(..), std::cell::Cell::new(0));
        Ok(Self { context: jetstream::new(client), skill: Skill::new(skill)?, run, number, waiters })
    }

    /// Submits tasks, so many at once, until each has its receipt and its end is told; how long each took.
    pub async fn submit(&self, asked: Asked) -> Result<Vec<Duration>> {
        let all = stream::iter(0..asked.tasks).map(|_| self.one(asked.waits)).buffer_unordered(asked.in_flight);
        all.try_collect().await
    }

    async fn one(&self, waits: bool) -> Result<Duration> {
        self.number.set(self.number.get() + 1);
        let id = words::task(self.run, self.number.get());
        let began = Instant::now();
        let (sender, told) = oneshot::channel();
        if waits {
            self.waiters.lock().unwrap_or_else(PoisonError::into_inner).insert(subject::done(&self.skill, &id), sender);
        }
        let headers = words::submit_headers(&id.to_string());
        let to = subject::task(&self.skill, Priority::Normal);
        self.context.publish_with_headers(to, headers, words::body()).await?.await?;
        if waits {
            told.await?;
        }
        Ok(began.elapsed())
    }
}
