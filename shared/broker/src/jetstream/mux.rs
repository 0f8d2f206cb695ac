//! One fixed reply inbox for receipts and answers: rings of reusable tokens under one subscription.
//!
//! A token stands for one outstanding request. The server caches the route of a subject it has seen, so few tokens used
//! again and again are far cheaper than a new inbox per request. A token whose request was given up is retired: its next
//! user has another text, so that a late answer meets nobody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_nats::{Message, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::Connection;

/// Tokens per ring. Up to 256 reply subjects stay in the server's cache; with 1,000 publishing is 7 % slower.
const RING: usize = 256;

/// How late an answer that never comes may be noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Rings by the letter in the token.
const PUBLISH: char = 'p';
const REQUEST: char = 'r';
const COMMIT: char = 'c';

/// The inbox and its rings.
pub(crate) struct Mux {
    prefix: String,
    lookout: Arc<Lookout>,
    pub(crate) publishes: Ring,
    pub(crate) requests: Ring,
    /// Of batches: apart, for the way out waits for one, and requests wait for the way out.
    pub(crate) commits: Ring,
}

/// Who ends what is waited for in vain; at rest while nothing is waited for.
#[derive(Default)]
struct Lookout {
    is_resting: AtomicBool,
    call: Notify,
}

impl Lookout {
    fn wake(&self) {
        if self.is_resting.swap(false, Ordering::AcqRel) {
            self.call.notify_one();
        }
    }
}

/// A set of tokens, each free or with someone who waits for its answers.
#[derive(Clone)]
pub(crate) struct Ring(Arc<Tokens>);

struct Tokens {
    lookout: Arc<Lookout>,
    /// What its reply subjects begin with, the letter included.
    stem: String,
    free: Semaphore,
    slots: Mutex<Slots>,
}

struct Slots {
    idle: Vec<usize>,
    table: Vec<Entry>,
}

struct Entry {
    generation: u32,
    reply: Subject,
    waiter: Option<Waiter>,
    patience: Option<Patience>,
}

/// How long an answer is waited for, and over which connection it must come.
///
/// Looked after for all tokens together: a timer and a watch for each publish would cost more than the publish.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) until: Instant,
    pub(crate) epoch: u64,
}

/// Where answers go. Nearly all requests have one: a channel for many would cost them a block of 32 messages each.
enum Waiter {
    One(oneshot::Sender<Message>),
    Many(mpsc::Sender<Message>),
}

/// Where answers come from.
enum Answers {
    One(oneshot::Receiver<Message>),
    Many(mpsc::Receiver<Message>),
}

/// One claimed token; dropping it frees the token, retired unless its request was answered.
pub(crate) struct Slot {
    ring: Ring,
    index: usize,
    reply: Subject,
    answers: Answers,
    is_answered: AtomicBool,
}

impl Mux {
    /// Subscribes to `<prefix>.>` and starts handing answers out until the connection is closed.
    pub(crate) async fn start(
        client: &async_nats::Client,
        connection: watch::Receiver<Connection>,
        prefix: String,
    ) -> Result<Arc<Self>, async_nats::SubscribeError> {
        let lookout: Arc<Lookout> = Arc::default();
        let ring = |letter| Ring::new(&prefix, letter, &lookout);
        let [publishes, requests, commits] = [PUBLISH, REQUEST, COMMIT].map(ring);
        let mux = Arc::new(Self { lookout: Arc::clone(&lookout), prefix, publishes, requests, commits });
        let mut inbox = client.subscribe(format!("{}.>", mux.prefix)).await?;
        let shared = Arc::downgrade(&mux);
        tokio::spawn(async move {
            while let Some(message) = inbox.next().await {
                let Some(mux) = shared.upgrade() else { break };
                mux.hand_out(message);
            }
        });
        tokio::spawn(give_up(Arc::downgrade(&mux), lookout, connection));
        Ok(mux)
    }

    /// Gives whoever waits on a reply subject an answer that was made here.
    pub(crate) fn answer(&self, reply: Subject, payload: Bytes) {
        let length = reply.len() + payload.len();
        let (headers, status, description) = (None, None, None);
        self.hand_out(Message { subject: reply, reply: None, payload, headers, status, description, length });
    }

    /// Gives a message to whoever waits for it; one that nobody waits for is dropped.
    fn hand_out(&self, message: Message) {
        let Some((letter, index, generation)) = self.parse(&message.subject) else { return };
        let ring = match letter {
            PUBLISH => &self.publishes,
            REQUEST => &self.requests,
            COMMIT => &self.commits,
            _ => return,
        };
        let mut slots = ring.lock();
        let Some(entry) = slots.table.get_mut(index).filter(|entry| entry.generation == generation) else { return };
        // What is more than was asked for is not ours to keep.
        match entry.waiter.take() {
            Some(Waiter::One(waiter)) => drop(waiter.send(message)),
            Some(Waiter::Many(waiter)) => {
                let _ = waiter.try_send(message);
                entry.waiter = Some(Waiter::Many(waiter));
            }
            None => {}
        }
    }

    fn parse(&self, subject: &str) -> Option<(char, usize, u32)> {
        let token = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let letter = token.chars().next()?;
        let (index, generation) = token.get(1..)?.split_once('_').unwrap_or((&token[1..], "0"));
        Some((letter, index.parse().ok()?, generation.parse().ok()?))
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        self.lookout.call.notify_one();
    }
}

/// Ends what is waited for in vain, until the inbox is gone.
async fn give_up(mux: Weak<Mux>, lookout: Arc<Lookout>, mut connection: watch::Receiver<Connection>) {
    let is_needed =
        || mux.upgrade().is_none_or(|mux| [&mux.publishes, &mux.commits].iter().any(|ring| ring.is_awaited()));
    loop {
        lookout.is_resting.store(true, Ordering::Release);
        // What came between the word and the look is not waited for.
        if !is_needed() {
            lookout.call.notified().await;
        }
        lookout.is_resting.store(false, Ordering::Release);
        let is_known = tokio::time::timeout(LOOK_EVERY, connection.changed()).await;
        let Some(mux) = mux.upgrade() else { return };
        let now = *connection.borrow_and_update();
        for ring in [&mux.publishes, &mux.commits] {
            ring.give_up(now, Instant::now());
        }
        // Nobody tells of changes any more: the connection is closed.
        if matches!(is_known, Ok(Err(_))) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Entry {
    fn new(stem: &str, index: usize) -> Self {
        Self { generation: 0, reply: format!("{stem}{index}").into(), waiter: None, patience: None }
    }

    /// Gives the token another text.
    fn retire(&mut self, stem: &str, index: usize) {
        self.generation = self.generation.wrapping_add(1);
        self.reply = format!("{stem}{index}_{}", self.generation).into();
    }
}

impl Ring {
    fn new(prefix: &str, letter: char, lookout: &Arc<Lookout>) -> Self {
        let stem = format!("{prefix}.{letter}");
        let table = (0..RING).map(|index| Entry::new(&stem, index)).collect();
        let slots = Mutex::new(Slots { idle: (0..RING).rev().collect(), table });
        let lookout = Arc::clone(lookout);
        Self(Arc::new(Tokens { lookout, stem, free: Semaphore::new(RING), slots }))
    }

    /// Whether an answer is waited for that may have to be given up.
    fn is_awaited(&self) -> bool {
        self.lock().table.iter().any(|entry| entry.patience.is_some())
    }

    /// Ends every wait that is over its time or whose connection is another's by now.
    fn give_up(&self, now: Connection, at: Instant) {
        let mut given_up = Vec::new();
        let mut slots = self.lock();
        for entry in &mut slots.table {
            let is_over = |patience: &Patience| at >= patience.until || !now.is_up || patience.epoch != now.epoch;
            if entry.patience.as_ref().is_some_and(is_over) {
                entry.patience = None;
                given_up.push(entry.waiter.take());
            }
        }
        drop(slots);
        drop(given_up);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a token for `answers` messages, waiting until one is free; with `patience` the wait for them ends by itself.
    pub(crate) async fn claim(&self, answers: usize, patience: Option<Patience>) -> Slot {
        // Given back when the slot is dropped.
        self.0.free.acquire().await.expect("the semaphore is never closed").forget();
        let (waiter, answers) = if answers == 1 {
            let (sender, receiver) = oneshot::channel();
            (Waiter::One(sender), Answers::One(receiver))
        } else {
            let (sender, receiver) = mpsc::channel(answers);
            (Waiter::Many(sender), Answers::Many(receiver))
        };
        let mut slots = self.lock();
        let index = slots.idle.pop().expect("a permit stands for an idle token");
        let entry = &mut slots.table[index];
        entry.waiter = Some(waiter);
        entry.patience = patience;
        let reply = entry.reply.clone();
        drop(slots);
        if patience.is_some() {
            self.0.lookout.wake();
        }
        let is_answered = AtomicBool::new(false);
        Slot { ring: self.clone(), index, reply, answers, is_answered }
    }
}

impl Slot {
    /// The reply subject of this token.
    pub(crate) fn subject(&self) -> Subject {
        self.reply.clone()
    }

    /// The next answer. For a request with one answer this also ends it.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        match &mut self.answers {
            Answers::Many(answers) => answers.recv().await,
            Answers::One(answer) => {
                let answer = answer.await.ok();
                // One that was given up may come yet, and must not meet the token's next user.
                if answer.is_some() {
                    self.end();
                }
                answer
            }
        }
    }

    /// Says that no more answers are to come, so that the token can be used again as it is.
    pub(crate) fn end(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.ring.lock();
        let entry = &mut slots.table[self.index];
        entry.waiter = None;
        entry.patience = None;
        if !self.is_answered.load(Ordering::Relaxed) {
            entry.retire(&self.ring.0.stem, self.index);
        }
        slots.idle.push(self.index);
        drop(slots);
        self.ring.0.free.add_permits(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims the only idle token.
    async fn claim(ring: &Ring) -> Slot {
        ring.lock().idle.truncate(1);
        ring.claim(1, Some(Patience { until: Instant::now(), epoch: 1 })).await
    }

    #[tokio::test]
    async fn a_token_whose_answer_was_given_up_gets_another_text() {
        let ring = Ring::new("_INBOX.x", PUBLISH, &Arc::default());
        let mut slot = claim(&ring).await;
        let given_up = slot.subject();
        ring.give_up(Connection { epoch: 1, is_up: true }, Instant::now());
        assert!(slot.next().await.is_none());
        drop(slot);
        let slot = claim(&ring).await;
        assert_ne!(slot.subject(), given_up, "its answer may come yet, and would pass for the next one's");
    }

    #[tokio::test]
    async fn an_answered_token_keeps_its_text() {
        let ring = Ring::new("_INBOX.x", PUBLISH, &Arc::default());
        let mut slot = claim(&ring).await;
        let answered = slot.subject();
        let message = Message {
            subject: answered.clone(),
            reply: None,
            payload: Bytes::new(),
            headers: None,
            status: None,
            description: None,
            length: 0,
        };
        let Some(Waiter::One(waiter)) = ring.lock().table[slot.index].waiter.take() else { panic!("it waits for one") };
        waiter.send(message).expect("it is waited for");
        assert!(slot.next().await.is_some());
        drop(slot);
        assert_eq!(claim(&ring).await.subject(), answered);
    }
}
