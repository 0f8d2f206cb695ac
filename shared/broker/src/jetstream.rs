//! The JetStream adapter: the ports over one NATS connection.
//!
//! Publishes, pulls and acks are pipelined over one fixed reply inbox of our own (see `mux`): the stock client's inbox
//! per publish halves the speed. Administration is plain JSON, so that settings Nova does not know are seen, not dropped.

mod admin;
mod config;
mod connect;
mod convert;
mod group;
mod inboxes;
mod mux;
mod outbox;
mod publish;
mod pull;
mod read;
mod snapshot;

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subject;
use futures_util::StreamExt as _;
use tokio::sync::watch;

use self::outbox::{Closed, Outbox, Outgoing};
pub use connect::{Credentials, OLDEST_SERVER, OnComplaint, Options, connect};
pub use snapshot::{OLDEST_SNAPSHOTS, Pieces, Restoring, SnapshotHead, Snapshots};

use crate::{
    AckToken, Broker, BrokerError, Connection, ConsumerInfo, ConsumerSpec, Expect, Inspected, Listener, Message,
    PauseState, PublishError, Pull, PullRequest, Purge, Ready, Receipt, Scan, ServerInfo, Service, Settle, Stored,
    StreamInfo, StreamSpec,
};

/// How long an answer of the broker is waited for: above a leader's re-election (up to 9 s), so that one outlasts it.
const ANSWER: Duration = Duration::from_secs(10);

/// A connection to NATS as a [`Broker`]; cheap to clone.
#[derive(Clone)]
pub struct JetStream {
    client: async_nats::Client,
    mux: Arc<mux::Mux>,
    outbox: Arc<Outbox>,
    inboxes: inboxes::Inboxes,
    connection: watch::Receiver<Connection>,
    url: Arc<str>,
}

impl JetStream {
    /// Waits until the connection stands, and returns a guard for what is sent over it.
    async fn link(&self, wait: Duration) -> Option<Link> {
        let mut watch = self.connection.clone();
        let now = *watch.borrow_and_update();
        if now.is_up {
            return Some(Link { watch, epoch: now.epoch });
        }
        let up = tokio::time::timeout(wait, watch.wait_for(|c| c.is_up)).await;
        let epoch = up.ok()?.ok()?.epoch;
        Some(Link { watch, epoch })
    }

    /// Waits until the connection stands, and tells which one it is.
    async fn epoch(&self, wait: Duration) -> Option<u64> {
        let now = *self.connection.borrow();
        if now.is_up {
            return Some(now.epoch);
        }
        let link = Box::pin(self.link(wait)).await;
        link.map(|link| link.epoch)
    }

    /// Sends a message with a reply inbox of the mux and waits for the one answer.
    async fn request(&self, what: &str, message: Message, wait: Duration) -> Result<async_nats::Message, BrokerError> {
        let disconnected = || BrokerError::Disconnected { what: what.to_owned() };
        let mut link = self.link(wait).await.ok_or_else(disconnected)?;
        let mut slot = self.mux.requests.claim(1, None).await;
        self.send(message, Some(slot.subject())).await.map_err(|_| disconnected())?;
        tokio::select! {
            answer = tokio::time::timeout(wait, slot.next()) => match answer {
                Ok(Some(answer)) => Ok(answer),
                _ => Err(BrokerError::Timeout { what: what.to_owned(), after_ms: millis(wait) }),
            },
            // An answer to what was asked over a lost connection never comes.
            () = link.lost() => Err(disconnected()),
        }
    }

    /// Hands a message to the way out.
    async fn send(&self, message: Message, reply: Option<Subject>) -> Result<(), Closed> {
        let headers = convert::to_nats_lossy(&message.headers);
        self.outbox.send(Outgoing { headers, reply, ..Outgoing::new(message.subject, message.body) }).await
    }
}

/// The connection something was sent over.
struct Link {
    watch: watch::Receiver<Connection>,
    epoch: u64,
}

impl Link {
    /// Resolves when that connection is gone.
    async fn lost(&mut self) {
        let epoch = self.epoch;
        if self.watch.wait_for(|c| !c.is_up || c.epoch != epoch).await.is_err() {
            std::future::pending().await
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What could not be said over a connection that is closed for good.
fn closed(Closed(subject): Closed) -> BrokerError {
    BrokerError::Disconnected { what: subject.to_string() }
}

/// Whether an answer says that nobody serves the subject.
fn is_no_responders(answer: &async_nats::Message) -> bool {
    answer.status.is_some_and(|status| status.as_u16() == 503) && answer.payload.is_empty()
}

impl Broker for JetStream {
    fn publish(&self, message: Message, expect: Expect) -> Ready<'_, Receipt, PublishError> {
        Box::pin(self.publish_one(message, expect))
    }

    fn tell(&self, message: Message) -> Ready<'_, ()> {
        Box::pin(async move {
            let reply = message.reply.clone().map(Subject::from);
            self.send(message, reply).await.map_err(closed)
        })
    }

    fn ask(&self, message: Message, wait: Duration) -> Ready<'_, Message> {
        Box::pin(async move {
            let what = message.subject.clone();
            let answer = self.request(&what, message, wait).await?;
            if is_no_responders(&answer) {
                return Err(BrokerError::NotFound { what: format!("a service on {what}") });
            }
            Ok(convert::to_message(answer))
        })
    }

    fn listen(&self, subject: String, group: Option<String>) -> Ready<'_, Listener> {
        Box::pin(async move {
            let what = format!("a subscription to {subject}");
            let gone = |_| BrokerError::Disconnected { what: what.clone() };
            let subscriber = match group {
                None => self.client.subscribe(subject).await.map_err(gone)?,
                Some(group) => self.client.queue_subscribe(subject, group).await.map_err(gone)?,
            };
            // The server handles a connection's commands in order: once it answers, the subscription holds.
            self.round_trip(&what).await?;
            Ok(subscriber.map(convert::to_message).boxed())
        })
    }

    fn last(&self, stream: String, subject: String) -> Ready<'_, Option<Stored>> {
        Box::pin(self.read_last(stream, subject))
    }

    fn get(&self, stream: String, sequence: u64) -> Ready<'_, Option<Stored>> {
        Box::pin(self.read_sequence(stream, sequence))
    }

    fn inspect(&self, stream: String, subject: String, from: u64) -> Ready<'_, Option<Inspected>> {
        Box::pin(self.read_next(stream, subject, from))
    }

    fn scan(&self, scan: Scan) -> Ready<'_, Vec<Stored>> {
        Box::pin(self.read_many(scan))
    }

    fn pull(&self, request: PullRequest) -> Ready<'_, Pull> {
        Box::pin(self.start_pull(request))
    }

    fn settle(&self, token: &AckToken, settle: Settle) -> Ready<'_, ()> {
        let subject = token.0.clone();
        Box::pin(async move {
            // Sent over the next connection, when the message may be under another's lease, the broker would take it for
            // that one. An ack is right at any time, for then all is written.
            let is_of_now = settle != Settle::Ack;
            if is_of_now && !self.connection.borrow().is_up {
                return Err(BrokerError::Disconnected { what: subject.to_string() });
            }
            let outgoing = Outgoing { is_of_now, ..Outgoing::new(subject, pull::settle_body(settle)) };
            self.outbox.send(outgoing).await.map_err(closed)
        })
    }

    fn stream(&self, name: String) -> Ready<'_, Option<StreamInfo>> {
        Box::pin(self.stream_info(name))
    }

    fn streams(&self, prefix: String) -> Ready<'_, Vec<StreamInfo>> {
        Box::pin(self.stream_list(prefix))
    }

    fn put_stream(&self, spec: StreamSpec) -> Ready<'_, ()> {
        Box::pin(self.write_stream(spec))
    }

    fn delete_stream(&self, name: String) -> Ready<'_, ()> {
        Box::pin(self.remove(format!("$JS.API.STREAM.DELETE.{name}"), format!("stream {name}")))
    }

    fn consumer(&self, stream: String, name: String) -> Ready<'_, Option<ConsumerInfo>> {
        Box::pin(self.consumer_info(stream, name))
    }

    fn consumers(&self, stream: String) -> Ready<'_, Vec<ConsumerInfo>> {
        Box::pin(self.consumer_list(stream))
    }

    fn put_consumer(&self, spec: ConsumerSpec) -> Ready<'_, ()> {
        Box::pin(self.write_consumer(spec))
    }

    fn delete_consumer(&self, stream: String, name: String) -> Ready<'_, ()> {
        let what = format!("consumer {name} of stream {stream}");
        Box::pin(self.remove(format!("$JS.API.CONSUMER.DELETE.{stream}.{name}"), what))
    }

    fn pause_consumer(&self, stream: String, name: String, pause: PauseState) -> Ready<'_, ()> {
        Box::pin(self.write_pause(stream, name, pause))
    }

    fn purge(&self, stream: String, what: Purge) -> Ready<'_, u64> {
        Box::pin(self.delete_messages(stream, what))
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    fn server(&self) -> ServerInfo {
        let info = self.client.server_info();
        ServerInfo {
            name: info.server_name,
            version: info.version,
            max_payload: info.max_payload,
            url: self.url.to_string(),
        }
    }

    fn serve(&self, service: Service) -> Ready<'_, Listener> {
        Box::pin(self.offer(service))
    }

    fn flush(&self) -> Ready<'_, ()> {
        Box::pin(async move { self.round_trip("a flush").await })
    }
}

impl JetStream {
    /// Waits until the server has handled everything sent before.
    async fn round_trip(&self, what: &str) -> Result<(), BrokerError> {
        let mut slot = self.mux.requests.claim(1, None).await;
        let gone = |_| BrokerError::Disconnected { what: what.to_owned() };
        self.outbox.send(Outgoing::new(slot.subject(), bytes::Bytes::new())).await.map_err(gone)?;
        match tokio::time::timeout(ANSWER, slot.next()).await {
            Ok(Some(_)) => Ok(()),
            _ => Err(BrokerError::Timeout { what: what.to_owned(), after_ms: millis(ANSWER) }),
        }
    }

    async fn offer(&self, service: Service) -> Result<Listener, BrokerError> {
        use async_nats::service::ServiceExt as _;
        let what = format!("service {}", service.name);
        let refused = |error: async_nats::Error| BrokerError::Garbled { what: what.clone(), source: error };
        let running = self
            .client
            .service_builder()
            .description(&service.description)
            .metadata(service.metadata.into_iter().collect())
            .start(&service.name, &service.version)
            .await
            .map_err(refused)?;
        let mut all = futures_util::stream::SelectAll::new();
        for (name, subject) in &service.endpoints {
            let endpoint = running.endpoint_builder().name(name).add(subject).await.map_err(refused)?;
            all.push(endpoint.map(|request| convert::to_message(request.message)));
        }
        // As of a subscription: who was told that it is served may ask at once.
        self.round_trip(&what).await?;
        // A service without endpoints never yields; the stream holds it until it is dropped.
        let held = all.chain(futures_util::stream::pending()).map(move |message| {
            let _ = &running;
            message
        });
        Ok(held.boxed())
    }
}
