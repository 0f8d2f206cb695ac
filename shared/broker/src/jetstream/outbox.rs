//! Sends in strides: what many tasks have to say at the same time goes out in one write.
//!
//! The client library writes as soon as it is handed a message. On few cores that is one write, and one read at the broker,
//! for each message: most of what a small message costs. So messages wait here until all who are ready to run have run.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::client::traits::Publisher as _;
use async_nats::{Client, HeaderMap, Message, Subject};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::group::{Batch, Groups, Step};
use super::mux::{Mux, Patience};
use crate::Connection;

/// How many messages may wait: enough for all slots of a large worker, few enough that a broker that takes nothing is felt.
const WAITING: usize = 4096;
/// How many messages go out together at most: about what the client library writes at once.
const STRIDE: usize = 512;
/// How long the receipt of a batch is waited for: as long as its members wait.
const RECEIPT: Duration = Duration::from_secs(5);

/// The way out of one connection.
pub(super) struct Outbox(mpsc::Sender<Outgoing>);

/// A message on its way out.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) subject: Subject,
    pub(super) reply: Option<Subject>,
    pub(super) headers: Option<HeaderMap>,
    pub(super) body: Bytes,
    /// Whether it must not go out over a connection other than the one that stands now.
    pub(super) is_of_now: bool,
}

impl Outgoing {
    /// A message without headers and reply.
    pub(super) fn new(subject: impl Into<Subject>, body: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), reply: None, headers: None, body: body.into(), is_of_now: false }
    }

    /// The same with a subject for the answer.
    pub(super) fn with_reply(mut self, reply: impl Into<Subject>) -> Self {
        self.reply = Some(reply.into());
        self
    }
}

/// The connection is closed for good; what was to go to that subject never goes out.
#[derive(Debug)]
pub(super) struct Closed(pub(super) Subject);

impl Outbox {
    /// Starts sending until the last sender is gone.
    pub(super) fn start(client: Client, connection: watch::Receiver<Connection>, mux: Arc<Mux>) -> Self {
        let (sender, queue) = mpsc::channel(WAITING);
        let groups = Groups::new(format!("{:016x}", fastrand::u64(..)));
        let pump = Pump { client, connection, mux, groups };
        // A stride is a bounded piece of work with a pause of its own; the runtime's would cut it in two.
        tokio::spawn(tokio::task::unconstrained(pump.run(queue)));
        Self(sender)
    }

    /// Room for one message, which is nearly always there.
    pub(super) fn room(&self) -> Result<mpsc::Permit<'_, Outgoing>, TrySendError<()>> {
        self.0.try_reserve()
    }

    /// Hands a message over, waiting while too many wait.
    ///
    /// # Cancel safety
    /// Safe: a message is handed over or it is not.
    pub(super) async fn send(&self, outgoing: Outgoing) -> Result<(), Closed> {
        self.0.send(outgoing).await.map_err(|unsent| Closed(unsent.0.subject))
    }
}

/// The client library takes nothing any more.
#[derive(Debug)]
struct Gone;

type Answered = BoxFuture<'static, (Batch, Option<Message>)>;

struct Pump {
    client: Client,
    connection: watch::Receiver<Connection>,
    mux: Arc<Mux>,
    groups: Groups,
}

impl Pump {
    /// Works until nobody can hand it anything any more, or the client library is gone: then the next to send is told.
    async fn run(mut self, mut queue: mpsc::Receiver<Outgoing>) {
        let ended = self.work(&mut queue).await;
        tracing::debug!(?ended, "nothing is sent any more");
    }

    async fn work(&mut self, queue: &mut mpsc::Receiver<Outgoing>) -> Result<(), Gone> {
        let mut stride = Vec::with_capacity(STRIDE);
        let mut under_way: FuturesUnordered<Answered> = FuturesUnordered::new();
        loop {
            tokio::select! {
                biased;
                Some((batch, answer)) = under_way.next() => {
                    for (reply, body) in self.groups.settle(batch, answer.as_ref()) {
                        self.mux.answer(reply, body);
                    }
                }
                taken = queue.recv_many(&mut stride, STRIDE) => {
                    if taken == 0 {
                        // What is under way and refused is not sent again: nobody waits for it any more.
                        return Ok(());
                    }
                    // Whoever is ready to run speaks first.
                    tokio::task::yield_now().await;
                    while stride.len() < STRIDE {
                        let Ok(more) = queue.try_recv() else { break };
                        stride.push(more);
                    }
                    for outgoing in stride.drain(..) {
                        if let Some(outgoing) = self.groups.take_in(outgoing) {
                            self.send(outgoing).await?;
                        }
                    }
                }
            }
            for step in self.groups.steps() {
                match step {
                    Step::Singly(all) => {
                        for outgoing in all {
                            self.send(outgoing).await?;
                        }
                    }
                    Step::Together(batch) => {
                        let answered = self.commit(batch).await?;
                        under_way.push(answered);
                    }
                }
            }
        }
    }

    /// Sends a batch; what it returns waits for its receipt.
    async fn commit(&self, batch: Batch) -> Result<Answered, Gone> {
        let epoch = self.connection.borrow().epoch;
        let patience = Patience { until: Instant::now() + RECEIPT, epoch };
        let mut slot = self.mux.commits.claim(1, Some(patience)).await;
        for outgoing in batch.messages(&slot.subject()) {
            self.send(outgoing).await?;
        }
        Ok(async move { (batch, slot.next().await) }.boxed())
    }

    async fn send(&self, outgoing: Outgoing) -> Result<(), Gone> {
        if outgoing.is_of_now && !self.connection.borrow().is_up {
            return Ok(());
        }
        let Outgoing { subject, reply, headers, body: payload, .. } = outgoing;
        let message = async_nats::message::OutboundMessage { subject, reply, headers, payload };
        match self.client.publish_message(message).await {
            Err(error) if error.kind() == PublishErrorKind::Send => Err(Gone),
            // What it refuses was checked by those who wait for an answer.
            Err(error) => {
                tracing::debug!(%error, "a message could not be sent");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
