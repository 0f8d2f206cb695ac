//! Broken on purpose: a worker that gives up one of the rules everything rests on. The checker must notice.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nova_broker::{
    AckToken, Broker, BrokerRef, Connection, ConsumerInfo, ConsumerSpec, Expect, Inspected, Listener, Message,
    PauseState, PublishError, Pull, PullItem, PullRequest, Purge, Ready, Receipt, Scan, ServerInfo, Service, Settle,
    Stored, StreamInfo, StreamSpec,
};
use nova_wire::subject;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Which rule is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sabotage {
    /// Outcomes are written whether there is one or not.
    NoFence,
    /// Tasks are acknowledged when they arrive, before there is an outcome.
    AckFirst,
}

/// A connection that does not keep a rule.
pub struct Saboteur {
    inner: BrokerRef,
    how: Sabotage,
}

impl Saboteur {
    /// Takes a connection.
    #[must_use]
    pub fn new(inner: BrokerRef, how: Sabotage) -> Self {
        Self { inner, how }
    }
}

impl Broker for Saboteur {
    fn publish(&self, message: Message, expect: Expect) -> Ready<'_, Receipt, PublishError> {
        let is_outcome = subject::parse_outcome(&message.subject).is_some();
        let is_unfenced = self.how == Sabotage::NoFence && is_outcome;
        self.inner.publish(message, if is_unfenced { Expect::Any } else { expect })
    }

    fn pull(&self, request: PullRequest) -> Ready<'_, Pull> {
        let (inner, how) = (Arc::clone(&self.inner), self.how);
        async move {
            let pull = inner.pull(request).await?;
            if how != Sabotage::AckFirst {
                return Ok(pull);
            }
            let acked = pull.then(move |item| {
                let inner = Arc::clone(&inner);
                async move {
                    if let Ok(PullItem::Delivery(delivery)) = &item {
                        let _ = inner.settle(&delivery.token, Settle::Ack).await;
                    }
                    item
                }
            });
            Ok(acked.boxed())
        }
        .boxed()
    }

    fn tell(&self, message: Message) -> Ready<'_, ()> {
        self.inner.tell(message)
    }
    fn ask(&self, message: Message, wait: Duration) -> Ready<'_, Message> {
        self.inner.ask(message, wait)
    }
    fn listen(&self, subject: String, group: Option<String>) -> Ready<'_, Listener> {
        self.inner.listen(subject, group)
    }
    fn last(&self, stream: String, subject: String) -> Ready<'_, Option<Stored>> {
        self.inner.last(stream, subject)
    }
    fn get(&self, stream: String, sequence: u64) -> Ready<'_, Option<Stored>> {
        self.inner.get(stream, sequence)
    }
    fn inspect(&self, stream: String, subject: String, from: u64) -> Ready<'_, Option<Inspected>> {
        self.inner.inspect(stream, subject, from)
    }
    fn scan(&self, scan: Scan) -> Ready<'_, Vec<Stored>> {
        self.inner.scan(scan)
    }
    fn settle(&self, token: &AckToken, settle: Settle) -> Ready<'_, ()> {
        self.inner.settle(token, settle)
    }
    fn stream(&self, name: String) -> Ready<'_, Option<StreamInfo>> {
        self.inner.stream(name)
    }
    fn streams(&self, prefix: String) -> Ready<'_, Vec<StreamInfo>> {
        self.inner.streams(prefix)
    }
    fn put_stream(&self, spec: StreamSpec) -> Ready<'_, ()> {
        self.inner.put_stream(spec)
    }
    fn delete_stream(&self, name: String) -> Ready<'_, ()> {
        self.inner.delete_stream(name)
    }
    fn consumer(&self, stream: String, name: String) -> Ready<'_, Option<ConsumerInfo>> {
        self.inner.consumer(stream, name)
    }
    fn consumers(&self, stream: String) -> Ready<'_, Vec<ConsumerInfo>> {
        self.inner.consumers(stream)
    }
    fn put_consumer(&self, spec: ConsumerSpec) -> Ready<'_, ()> {
        self.inner.put_consumer(spec)
    }
    fn delete_consumer(&self, stream: String, name: String) -> Ready<'_, ()> {
        self.inner.delete_consumer(stream, name)
    }
    fn pause_consumer(&self, stream: String, name: String, pause: PauseState) -> Ready<'_, ()> {
        self.inner.pause_consumer(stream, name, pause)
    }
    fn purge(&self, stream: String, what: Purge) -> Ready<'_, u64> {
        self.inner.purge(stream, what)
    }
    fn connection(&self) -> watch::Receiver<Connection> {
        self.inner.connection()
    }
    fn server(&self) -> ServerInfo {
        self.inner.server()
    }
    fn serve(&self, service: Service) -> Ready<'_, Listener> {
        self.inner.serve(service)
    }
    fn flush(&self) -> Ready<'_, ()> {
        self.inner.flush()
    }
}
