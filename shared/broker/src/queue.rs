//! Pulling from durable consumers, and settling what was pulled.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use nova_types::UnixMillis;
use nova_wire::Headers;

use crate::BrokerError;

/// One request for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The stream.
    pub stream: String,
    /// Its durable consumer.
    pub consumer: String,
    /// The most messages it may bring; never more than there are free slots.
    pub batch: usize,
    /// How long the broker keeps the request waiting; `None` asks for what is there now.
    ///
    /// With `None` and the consumer's limit of leases reached, the broker answers nothing: set that limit out of reach.
    pub wait: Option<Duration>,
}

/// Names a delivery to the broker; cheap to clone. It proves nothing: a stale one is accepted, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckToken(pub(crate) Subject);

impl AckToken {
    /// A token from its text, such as one a test made up.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Subject::from(text.into()))
    }
}

/// A message under lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its subject.
    pub subject: String,
    /// Its stream sequence.
    pub sequence: u64,
    /// How often it was delivered, from 1; a hint only, the broker forgets it when it is killed.
    pub deliveries: u64,
    /// Its number among all that its consumer ever delivered, from 1. A gap tells of one that went elsewhere or was lost on the
    /// way; when the broker is killed it goes back.
    pub order: u64,
    /// How many messages wait behind it; a hint, under load the broker is off by one at times.
    pub pending: u64,
    /// When the broker stored it.
    pub at: UnixMillis,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// For settling it.
    pub token: AckToken,
}

/// What a pull yields.
#[derive(Debug)]
pub enum PullItem {
    /// A message under lease.
    Delivery(Box<Delivery>),
    /// The broker still holds the request.
    Heartbeat,
}

/// The deliveries of one request, ending when the broker has answered it whole.
///
/// Dropping it hands back, unused, whatever still arrives.
pub type Pull = BoxStream<'static, Result<PullItem, BrokerError>>;

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is done with.
    Ack,
    /// It comes again, after a pause.
    Nak {
        /// The pause; zero means at once.
        delay: Duration,
    },
    /// Its lease begins anew.
    Extend,
}
