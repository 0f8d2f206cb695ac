//! The broker's port over a wire.

mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use nova_broker::memory::MemoryBroker;
use nova_broker::{
    AckToken, Broker, BrokerError, Connection, ConsumerInfo, ConsumerSpec, Expect, Listener, Message, PauseState,
    PublishError, Pull, PullItem, PullRequest, Purge, Ready, Receipt, Scan, ServerInfo, Service, Settle, Stored,
    StreamInfo, StreamSpec,
};

use super::{Fare, Wire};
use crate::scenario::Sabotage;

/// How long a receipt is waited for; the same as over a real connection.
const RECEIPT_MS: u64 = 5000;

impl Wire {
    /// A call whose answer is all there is to it.
    async fn pass<'a, T, E>(&'a self, ask: impl FnOnce(&'a MemoryBroker) -> Ready<'a, T, E>) -> Result<T, E> {
        let call = self.depart().await;
        let answer = ask(&self.inner).await;
        self.arrive(call).await;
        answer
    }

    async fn send(&self, message: Message, expect: Expect) -> Result<Receipt, PublishError> {
        let call = self.depart().await;
        let subject = message.subject.clone();
        let fare = self.fare();
        let done = if fare == Fare::Lost { None } else { Some(self.store(message, expect).await) };
        self.arrive(call).await;
        match done {
            Some(done) if fare == Fare::Well => done,
            _ => {
                tokio::time::sleep(Duration::from_millis(RECEIPT_MS)).await;
                Err(PublishError::Unknown { subject, after_ms: RECEIPT_MS })
            }
        }
    }

    async fn store(&self, message: Message, expect: Expect) -> Result<Receipt, PublishError> {
        if let Some(made_up) = self.swallowed(&message) {
            return Ok(made_up);
        }
        let expect = self.weakened(&message, expect);
        let stored = message.clone();
        let done = self.inner.publish(message, expect).await;
        if done.is_ok() {
            self.note_stored(&stored);
        }
        done
    }

    async fn taken(self: Arc<Self>, request: PullRequest) -> Result<Pull, BrokerError> {
        let call = self.depart().await;
        let pull = self.inner.pull(request).await;
        self.arrive(call).await;
        let wire = self;
        Ok(pull?
            .then(move |item| {
                let wire = Arc::clone(&wire);
                async move {
                    wire.travel().await;
                    if let (Ok(PullItem::Delivery(delivery)), Some(Sabotage::AckAtDelivery)) = (&item, wire.sabotage) {
                        wire.judge_ack(&delivery.token).await;
                        let _ = wire.inner.settle(&delivery.token, Settle::Ack).await;
                    }
                    item
                }
            })
            .boxed())
    }

    async fn put(&self, token: AckToken, settle: Settle) -> Result<(), BrokerError> {
        let call = self.depart().await;
        if !self.loses_settle() {
            if settle == Settle::Ack {
                self.judge_ack(&token).await;
            }
            self.inner.settle(&token, settle).await?;
        }
        self.arrive(call).await;
        Ok(())
    }
}

/// The port, as a process holds it.
pub struct Port(pub Arc<Wire>);

impl Broker for Port {
    fn publish(&self, message: Message, expect: Expect) -> Ready<'_, Receipt, PublishError> {
        self.0.send(message, expect).boxed()
    }

    fn tell(&self, message: Message) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.tell(message)).boxed()
    }

    fn ask(&self, message: Message, wait: Duration) -> Ready<'_, Message> {
        self.0.pass(move |inner| inner.ask(message, wait)).boxed()
    }

    fn listen(&self, subject: String, group: Option<String>) -> Ready<'_, Listener> {
        self.0.pass(|inner| inner.listen(subject, group)).boxed()
    }

    fn last(&self, stream: String, subject: String) -> Ready<'_, Option<Stored>> {
        self.0.pass(|inner| inner.last(stream, subject)).boxed()
    }

    fn get(&self, stream: String, sequence: u64) -> Ready<'_, Option<Stored>> {
        self.0.pass(move |inner| inner.get(stream, sequence)).boxed()
    }

    fn scan(&self, scan: Scan) -> Ready<'_, Vec<Stored>> {
        self.0.pass(|inner| inner.scan(scan)).boxed()
    }

    fn pull(&self, request: PullRequest) -> Ready<'_, Pull> {
        Arc::clone(&self.0).taken(request).boxed()
    }

    fn settle(&self, token: &AckToken, settle: Settle) -> Ready<'_, ()> {
        self.0.put(token.clone(), settle).boxed()
    }

    fn stream(&self, name: String) -> Ready<'_, Option<StreamInfo>> {
        self.0.pass(|inner| inner.stream(name)).boxed()
    }

    fn streams(&self, prefix: String) -> Ready<'_, Vec<StreamInfo>> {
        self.0.pass(|inner| inner.streams(prefix)).boxed()
    }

    fn put_stream(&self, spec: StreamSpec) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.put_stream(spec)).boxed()
    }

    fn delete_stream(&self, name: String) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.delete_stream(name)).boxed()
    }

    fn consumer(&self, stream: String, name: String) -> Ready<'_, Option<ConsumerInfo>> {
        self.0.pass(|inner| inner.consumer(stream, name)).boxed()
    }

    fn consumers(&self, stream: String) -> Ready<'_, Vec<ConsumerInfo>> {
        self.0.pass(|inner| inner.consumers(stream)).boxed()
    }

    fn put_consumer(&self, spec: ConsumerSpec) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.put_consumer(spec)).boxed()
    }

    fn delete_consumer(&self, stream: String, name: String) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.delete_consumer(stream, name)).boxed()
    }

    fn pause_consumer(&self, stream: String, name: String, pause: PauseState) -> Ready<'_, ()> {
        self.0.pass(move |inner| inner.pause_consumer(stream, name, pause)).boxed()
    }

    fn purge(&self, stream: String, what: Purge) -> Ready<'_, u64> {
        self.0.pass(|inner| inner.purge(stream, what)).boxed()
    }

    fn connection(&self) -> tokio::sync::watch::Receiver<Connection> {
        self.0.inner.connection()
    }

    fn server(&self) -> ServerInfo {
        self.0.inner.server()
    }

    fn serve(&self, service: Service) -> Ready<'_, Listener> {
        self.0.pass(|inner| inner.serve(service)).boxed()
    }

    fn flush(&self) -> Ready<'_, ()> {
        self.0.pass(|inner| inner.flush()).boxed()
    }
}
