//! The ceiling: receipts on a fixed inbox, reply tokens used again, one loop that waits for whatever comes first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use async_nats::{Client, Message, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _};
use nova_types::{Priority, Scope, Skill, TaskId};
use nova_wire::{assets, name, subject};

use crate::words::{self, Asked, Result};

/// How long the broker holds a pull.
const WAIT_NS: u64 = 5_000_000_000;
/// Reply tokens: so many subjects stay in the server's cache.
const TOKENS: usize = 256;

/// Reply tokens with what each stands for.
struct Ring<T> {
    prefix: String,
    idle: Vec<usize>,
    table: Vec<Option<T>>,
}

impl<T> Ring<T> {
    fn new(prefix: String) -> Self {
        Self {
            prefix,
            idle: (0..TOKENS).rev().collect(),
            table: std::iter::repeat_with(|| None).take(TOKENS).collect(),
        }
    }

    fn is_full(&self) -> bool {
        self.idle.is_empty()
    }

    fn claim(&mut self, what: T) -> String {
        let index = self.idle.pop().expect("asked only while not full");
        self.table[index] = Some(what);
        format!("{}.{index}", self.prefix)
    }

    /// What a receipt is for; an error where it refuses.
    fn redeem(&mut self, receipt: &Message) -> Result<Option<T>> {
        let index = receipt.subject.rsplit('.').next().and_then(|text| text.parse::<usize>().ok());
        let Some(index) = index.filter(|index| *index < TOKENS) else { return Ok(None) };
        self.idle.push(index);
        if receipt.payload.windows(7).any(|bytes| bytes == b"\"error\"") {
            return Err(String::from_utf8_lossy(&receipt.payload).into());
        }
        Ok(self.table[index].take())
    }
}

/// What is done once an outcome is stored.
struct Stored {
    ack: async_nats::Subject,
    done: String,
    told: async_nats::HeaderMap,
    body: Bytes,
}

/// Works on a queue until the process ends.
pub async fn work(client: &Client, skill: &str, slots: usize) -> Result<()> {
    let skill = Skill::new(skill)?;
    let inbox = client.new_inbox();
    let mut receipts = client.subscribe(format!("{inbox}.r.*")).await?;
    let pulls = format!("{inbox}p");
    let mut deliveries = client.subscribe(pulls.clone()).await?;
    client.flush().await?;
    let stream = assets::tasks_stream(&skill);
    let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", assets::consumer(Priority::Normal));
    let mut ring: Ring<Stored> = Ring::new(format!("{inbox}.r"));
    let (mut asked, mut running, mut nonce) = (0, 0, 0);
    words::ready()?;
    loop {
        // Asked for again when half is there.
        if asked + running <= slots / 2 {
            let batch = slots - asked - running;
            let ask = format!("{{\"batch\":{batch},\"expires\":{WAIT_NS}}}");
            client.publish_with_reply(next.clone(), pulls.clone(), ask.into()).await?;
            asked += batch;
        }
        tokio::select! {
            biased;
            receipt = receipts.next() => {
                if let Some(stored) = ring.redeem(&receipt.ok_or("the connection ended")?)? {
                    running -= 1;
                    client.publish(stored.ack, Bytes::from_static(b"+ACK")).await?;
                    client.publish_with_headers(stored.done, stored.told, stored.body).await?;
                }
            }
            delivery = deliveries.next(), if !ring.is_full() => {
                let delivery = delivery.ok_or("the connection ended")?;
                if delivery.status.is_some() {
                    asked = 0;
                    continue;
                }
                asked -= usize::from(asked > 0);
                running += 1;
                nonce += 1;
                start(client, &skill, delivery, nonce, &mut ring).await?;
            }
        }
    }
}

async fn start(client: &Client, skill: &Skill, delivery: Message, nonce: u64, ring: &mut Ring<Stored>) -> Result<()> {
    let id = delivery.headers.as_ref().and_then(|headers| headers.get(name::MSG_ID)).ok_or("a task without an id")?;
    let task: TaskId = id.as_str().parse()?;
    let (headers, told) = words::outcome_headers(skill, id.as_str(), nonce);
    let ack = delivery.reply.ok_or("a delivery without an ack subject")?;
    let stored = Stored { ack, done: subject::done(skill, &task), told, body: delivery.payload.clone() };
    let reply = ring.claim(stored);
    let outcome = subject::outcome(skill, &task);
    Ok(client.publish_with_reply_and_headers(outcome, reply, headers, delivery.payload).await?)
}

/// Submits and waits.
pub struct Submitter {
    client: Client,
    skill: Skill,
    run: u32,
    number: u64,
    receipts: Subscriber,
    words: Subscriber,
    ring: Ring<()>,
    waiting: HashMap<String, Instant>,
    times: Vec<Duration>,
}

impl Submitter {
    pub async fn start(client: Client, skill: &str) -> Result<Self> {
        let inbox = client.new_inbox();
        let receipts = client.subscribe(format!("{inbox}.r.*")).await?;
        let words = client.subscribe(subject::done_of_scope(&Scope::new("yardstick")?)).await?;
        client.flush().await?;
        let (ring, skill) = (Ring::new(format!("{inbox}.r")), Skill::new(skill)?);
        let (waiting, times) = (HashMap::new(), Vec::new());
        Ok(Self { client, skill, run: fastrand::u32(..), number: 0, receipts, words, ring, waiting, times })
    }

    /// Submits tasks, so many at once, until each has its receipt and its end is told; how long each took.
    pub async fn submit(&mut self, asked: Asked) -> Result<Vec<Duration>> {
        let Asked { waits, tasks, in_flight } = asked;
        let to = subject::task(&self.skill, Priority::Normal);
        let body = words::body();
        let mut left = tasks;
        self.times = Vec::with_capacity(tasks);
        while left > 0 || self.ring.idle.len() < TOKENS || waits && self.times.len() < tasks {
            while left > 0 && !self.ring.is_full() && self.waiting.len() < in_flight {
                left -= 1;
                self.number += 1;
                let id = words::task(self.run, self.number);
                let headers = words::submit_headers(&id.to_string());
                if waits {
                    self.waiting.insert(subject::done(&self.skill, &id), Instant::now());
                }
                let reply = self.ring.claim(());
                self.client.publish_with_reply_and_headers(to.clone(), reply, headers, body.clone()).await?;
            }
            tokio::select! {
                receipt = self.receipts.next() => {
                    self.ring.redeem(&receipt.ok_or("the connection ended")?)?;
                }
                word = self.words.next() => self.told(&word.ok_or("the connection ended")?),
            }
            // What has come meanwhile is taken before more is sent.
            while let Some(Some(receipt)) = self.receipts.next().now_or_never() {
                self.ring.redeem(&receipt)?;
            }
            while let Some(Some(word)) = self.words.next().now_or_never() {
                self.told(&word);
            }
        }
        Ok(std::mem::take(&mut self.times))
    }

    fn told(&mut self, word: &Message) {
        if let Some(began) = self.waiting.remove(word.subject.as_str()) {
            self.times.push(began.elapsed());
        }
    }
}
