//! Snapshots: a stream as the server packs it, and a stream made again of such a pack.
//!
//! No part of the port: a pack is the server's own, and only a server can make anything of it. Nova moves the bytes and
//! never looks into them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connect::is_new_enough;
use super::inboxes::Inbox;
use super::outbox::Outgoing;
use super::read::SLOW_ANSWER;
use super::{ANSWER, JetStream, Link, config, is_no_responders, millis};
use crate::{Broker as _, BrokerError, Message, StreamInfo};

/// The oldest server whose snapshots are of one moment. Before, a stream was packed block by block while it went on, and
/// the positions of its consumers last: they could stand behind its end, and new messages be passed over after a restore.
pub const OLDEST_SNAPSHOTS: &str = "2.15.0";

/// How long the next piece may take: the server reads it from its disk.
const SILENCE: Duration = Duration::from_secs(30);
/// How long the server may take to make a stream of what it was sent, after the last piece.
const MAKING: Duration = Duration::from_secs(300);

/// What a snapshot says of its stream: it goes back to the broker as it came, but for what a restore changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The stream's configuration, in the broker's own JSON, with settings Nova does not know.
    pub config: Value,
    /// What it held at the moment of the snapshot.
    pub state: Value,
}

impl SnapshotHead {
    /// The same as Nova sees it.
    #[must_use]
    pub fn info(&self) -> StreamInfo {
        config::stream_info(&json!({ "config": self.config, "state": self.state }))
    }

    /// The same with another value for a key of its configuration.
    #[must_use]
    pub fn with_config(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config[key] = value.into();
        self
    }
}

/// The pieces of a snapshot, in their order; an error ends it, and what came before is worth nothing then.
pub type Pieces = BoxStream<'static, Result<Bytes, BrokerError>>;

/// Takes and restores snapshots over one connection.
#[derive(Clone)]
pub struct Snapshots(JetStream);

impl JetStream {
    /// The way to snapshots.
    ///
    /// # Errors
    /// [`BrokerError::OldServer`] when the server's snapshots are not of one moment.
    pub fn snapshots(&self) -> Result<Snapshots, BrokerError> {
        let server = self.server();
        if is_new_enough(&server.version, OLDEST_SNAPSHOTS) {
            return Ok(Snapshots(self.clone()));
        }
        Err(BrokerError::OldServer { url: server.url, found: server.version, needed: OLDEST_SNAPSHOTS })
    }
}

impl Snapshots {
    /// Begins a snapshot of a stream with its consumers, as they are at this moment.
    ///
    /// The server waits for whoever reads the pieces; dropping them ends it.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is no such stream; safe to call again.
    pub async fn take(&self, stream: &str) -> Result<(SnapshotHead, Pieces), BrokerError> {
        let jetstream = &self.0;
        let what = format!("a snapshot of stream {stream}");
        let gone = || BrokerError::Disconnected { what: what.clone() };
        let link = jetstream.link(ANSWER).await.ok_or_else(gone)?;
        let inbox = jetstream.inboxes.take(&jetstream.client).await.map_err(|_| gone())?;
        let ask = json!({ "deliver_subject": inbox.subject });
        let head = jetstream.api_within(&what, format!("$JS.API.STREAM.SNAPSHOT.{stream}"), ask, SLOW_ANSWER).await?;
        let head: SnapshotHead = jetstream.understand(&what, head)?;
        let taking = Taking { jetstream: jetstream.clone(), inbox: Some(inbox), what, link };
        let pieces = futures_util::stream::unfold(taking, |mut taking| async move {
            let piece = taking.next().await?;
            Some((piece, taking))
        });
        Ok((head, pieces.boxed()))
    }

    /// Begins to make a stream of a snapshot.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] when there is such a stream already, or no room for it.
    pub async fn restore(&self, head: &SnapshotHead) -> Result<Restoring, BrokerError> {
        #[derive(Deserialize)]
        struct Answer {
            deliver_subject: String,
        }
        let name = head.info().spec.name;
        let what = format!("a restore of stream {name}");
        let ask = json!({ "config": head.config, "state": head.state });
        let answer = self.0.api_within(&what, format!("$JS.API.STREAM.RESTORE.{name}"), ask, SLOW_ANSWER).await?;
        let answer: Answer = self.0.understand(&what, answer)?;
        Ok(Restoring { jetstream: self.0.clone(), what, to: answer.deliver_subject })
    }
}

/// A snapshot under way.
struct Taking {
    jetstream: JetStream,
    /// `None` once the last piece has come.
    inbox: Option<Inbox>,
    what: String,
    link: Link,
}

impl Taking {
    async fn next(&mut self) -> Option<Result<Bytes, BrokerError>> {
        let came = self.piece().await;
        let is_last = !matches!(&came, Ok(Some(_)));
        if is_last {
            self.inbox = None;
        }
        came.transpose()
    }

    /// The next piece, `None` at the end.
    async fn piece(&mut self) -> Result<Option<Bytes>, BrokerError> {
        let what = self.what.clone();
        let Some(inbox) = &mut self.inbox else { return Ok(None) };
        let came = tokio::select! {
            biased;
            came = tokio::time::timeout(SILENCE, inbox.messages.next()) => came,
            () = self.link.lost() => Ok(None),
        };
        let Ok(came) = came else { return Err(BrokerError::Timeout { what, after_ms: millis(SILENCE) }) };
        let Some(piece) = came else { return Err(BrokerError::Disconnected { what }) };
        if let Some(reply) = piece.reply {
            // The server sends so much ahead and no more: this asks for the next one.
            self.jetstream.outbox.send(Outgoing::new(reply, Bytes::new())).await.map_err(super::closed)?;
        }
        if !piece.payload.is_empty() {
            return Ok(Some(piece.payload));
        }
        match piece.status.map(|status| status.as_u16()) {
            None | Some(204) => Ok(None),
            Some(code) => {
                let description = piece.description.unwrap_or_default();
                Err(BrokerError::Refused { what, code: code.into(), description })
            }
        }
    }
}

/// A restore under way; dropped before its end, the server gives it up after some seconds of silence.
pub struct Restoring {
    jetstream: JetStream,
    what: String,
    to: String,
}

impl Restoring {
    /// Sends the next piece of the snapshot and waits until the server has taken it. It need not be cut as it came, but
    /// must fit into a message.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] when the server can make nothing of what it was sent so far. Nothing can be sent again.
    pub async fn send(&mut self, piece: Bytes) -> Result<(), BrokerError> {
        let message = Message::new(self.to.clone(), piece);
        let answer = self.jetstream.request(&self.what, message, SLOW_ANSWER).await?;
        if is_no_responders(&answer) {
            let description = "the server has given it up; its log says why".to_owned();
            return Err(BrokerError::Refused { what: self.what.clone(), code: 503, description });
        }
        if answer.payload.is_empty() {
            return Ok(());
        }
        self.jetstream.understand_answer(&self.what, &answer).map(|_| ())
    }

    /// Says that all was sent, and waits until the stream is there with its consumers.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] when what was sent is not a whole snapshot; what is left of the stream is to be deleted.
    pub async fn finish(self) -> Result<StreamInfo, BrokerError> {
        let made = self.jetstream.api_within(&self.what, self.to.clone(), Value::Null, MAKING).await?;
        Ok(config::stream_info(&made))
    }
}
