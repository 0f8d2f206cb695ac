//! The port on the memory broker: each request is one look at the state, and only waiting is async.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use nova_wire::name;
use tokio::sync::{mpsc, watch};

use super::clock::Moment;
use super::pulls::End;
use super::state::{MAX_PAYLOAD, State, is_too_large, missing};
use super::{MemoryBroker, pull, token};
use crate::{
    AckToken, Broker, BrokerError, Connection, ConsumerInfo, ConsumerSpec, Expect, Listener, Message, PauseState,
    PublishError, Pull, PullRequest, Purge, Ready, Receipt, Scan, ServerInfo, Service, Settle, Stored, StreamInfo,
    StreamSpec,
};

/// How long a receipt is waited for, in milliseconds; the same as over a real connection.
const RECEIPT_MS: u64 = 5000;
/// The group that all who offer a service listen in.
const SERVICE_GROUP: &str = "q";

impl MemoryBroker {
    fn check_up(&self, what: &str) -> Result<(), BrokerError> {
        if self.link.is_up() { Ok(()) } else { Err(BrokerError::Disconnected { what: what.to_owned() }) }
    }

    /// A request that changes nothing others wait for; like all here, carried out when first polled.
    async fn read<T>(
        &self,
        what: &str,
        read: impl FnOnce(&mut State, Moment) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.check_up(what)?;
        self.shared.look(read)
    }

    /// A request that changes a stream.
    async fn write<T>(
        &self,
        stream: &str,
        write: impl FnOnce(&mut State, Moment) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        self.check_up(stream)?;
        self.shared.change(stream, write)
    }

    /// Hands a message to the listeners; says whether there were any.
    fn send(&self, message: &Message) -> bool {
        self.shared.look(|state, _| state.listeners.send(message, |link| self.shared.is_up(link)))
    }

    /// Sends and stores a message; `None` when no receipt can come.
    fn submit(&self, message: &Message) -> Option<Result<Receipt, PublishError>> {
        if !self.link.is_up() || self.link.loses(|losses| &mut losses.publishes) {
            return None;
        }
        // Listeners hear it before the stream has judged it, and whether it is taken or not.
        let is_heard = self.send(message);
        let done = self.store(message);
        // With a listener there, the broker does not say that nobody will answer.
        let is_silent = is_heard && matches!(done, Err(PublishError::NoStream { .. }));
        (!is_silent && !self.link.loses(|losses| &mut losses.receipts)).then_some(done)
    }

    fn store(&self, message: &Message) -> Result<Receipt, PublishError> {
        let stream = self.shared.look(|state, _| state.owner(&message.subject).map(str::to_owned));
        self.shared.change(stream.as_deref().unwrap_or_default(), |state, now| state.publish(message, now))
    }

    async fn request(&self, mut message: Message, wait: Duration) -> Result<Message, BrokerError> {
        self.check_up(&message.subject)?;
        let inbox = self.link.inbox();
        let mut answers = self.subscribe(&inbox, None);
        message.reply = Some(inbox);
        let (is_heard, stored) = (self.send(&message), self.store(&message));
        let what = message.subject;
        if let Ok(receipt) = stored {
            let body = serde_json::json!({ "stream": receipt.stream, "seq": receipt.sequence });
            return Ok(Message::new("", body.to_string()));
        }
        if !is_heard {
            return Err(missing(what));
        }
        let after_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let answer = tokio::time::timeout(wait, answers.next()).await;
        answer.ok().flatten().ok_or(BrokerError::Timeout { what, after_ms })
    }

    fn subscribe(&self, subject: &str, group: Option<String>) -> Listener {
        let (id, receiver) = self.shared.look(|state, _| state.listeners.open(self.link.id, subject, group));
        let reader = Reader { broker: self.clone(), id, receiver };
        stream::unfold(reader, async |mut reader| Some((reader.receiver.recv().await?, reader))).boxed()
    }
}

/// Owns one subscription in the state.
struct Reader {
    broker: MemoryBroker,
    id: u64,
    receiver: mpsc::Receiver<Message>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.broker.shared.look(|state, _| state.listeners.close(self.id));
    }
}

impl Broker for MemoryBroker {
    fn publish(&self, mut message: Message, expect: Expect) -> Ready<'_, Receipt, PublishError> {
        if let Expect::Last(sequence) = expect {
            message.headers.set(name::EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
        }
        async move {
            if is_too_large(&message) {
                let bytes = message.body.len();
                return Err(PublishError::TooLarge { subject: message.subject, bytes });
            }
            if let Some(done) = self.submit(&message) {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(RECEIPT_MS)).await;
            Err(PublishError::Unknown { subject: message.subject, after_ms: RECEIPT_MS })
        }
        .boxed()
    }

    fn tell(&self, message: Message) -> Ready<'_, ()> {
        async move {
            if self.link.is_up() {
                self.send(&message);
                // A stream takes what is merely told, too; that nobody learns whether it did is the caller's choice.
                let _ = self.store(&message);
            }
            Ok(())
        }
        .boxed()
    }

    fn ask(&self, message: Message, wait: Duration) -> Ready<'_, Message> {
        self.request(message, wait).boxed()
    }

    fn listen(&self, subject: String, group: Option<String>) -> Ready<'_, Listener> {
        async move { self.check_up(&subject).map(|()| self.subscribe(&subject, group)) }.boxed()
    }

    fn last(&self, stream: String, subject: String) -> Ready<'_, Option<Stored>> {
        async move { self.read(&stream, |state, now| Ok(state.stream(&stream, now)?.last(&subject))).await }.boxed()
    }

    fn get(&self, stream: String, sequence: u64) -> Ready<'_, Option<Stored>> {
        async move { self.read(&stream, |state, now| Ok(state.stream(&stream, now)?.get(sequence))).await }.boxed()
    }

    fn scan(&self, scan: Scan) -> Ready<'_, Vec<Stored>> {
        async move { self.read(&scan.stream, |state, now| Ok(state.stream(&scan.stream, now)?.scan(&scan))).await }
            .boxed()
    }

    fn pull(&self, request: PullRequest) -> Ready<'_, Pull> {
        async move {
            self.check_up(&request.consumer)?;
            pull::open(self, request)
        }
        .boxed()
    }

    fn settle(&self, token: &AckToken, settle: Settle) -> Ready<'_, ()> {
        let token = token.clone();
        async move {
            if self.link.is_up() && !self.link.loses(|losses| &mut losses.acks) {
                let stream = token::read(&token).map(|place| place.stream).unwrap_or_default();
                self.shared.change(stream, |state, now| state.settle(&token, settle, now));
            }
            Ok(())
        }
        .boxed()
    }

    fn stream(&self, name: String) -> Ready<'_, Option<StreamInfo>> {
        async move { self.read(&name, |state, now| Ok(state.stream(&name, now).ok().map(|stream| stream.info()))).await }
            .boxed()
    }

    fn streams(&self, prefix: String) -> Ready<'_, Vec<StreamInfo>> {
        async move {
            let all = |state: &mut State, now| {
                let names = state.streams.keys().filter(|name| name.starts_with(&prefix));
                let names: Vec<String> = names.cloned().collect();
                names.into_iter().map(|name| Ok(state.stream(&name, now)?.info())).collect()
            };
            self.read("streams", all).await
        }
        .boxed()
    }

    fn put_stream(&self, spec: StreamSpec) -> Ready<'_, ()> {
        let name = spec.name.clone();
        async move { self.write(&name, |state, now| state.put_stream(spec, now)).await }.boxed()
    }

    fn delete_stream(&self, name: String) -> Ready<'_, ()> {
        async move { self.write(&name, |state, _| state.delete_stream(&name)).await }.boxed()
    }

    fn consumer(&self, stream: String, name: String) -> Ready<'_, Option<ConsumerInfo>> {
        async move {
            let info =
                |state: &mut State, now| Ok(state.consumer(&stream, &name, now).ok().map(|found| found.info(now)));
            self.read(&stream, info).await
        }
        .boxed()
    }

    fn consumers(&self, stream: String) -> Ready<'_, Vec<ConsumerInfo>> {
        async move {
            let all = |state: &mut State, now| {
                let consumers = state.stream(&stream, now).ok().map(|stream| &stream.consumers);
                Ok(consumers.into_iter().flatten().map(|(_, consumer)| consumer.info(now)).collect())
            };
            self.read(&stream, all).await
        }
        .boxed()
    }

    fn put_consumer(&self, spec: ConsumerSpec) -> Ready<'_, ()> {
        let stream = spec.stream.clone();
        async move { self.write(&stream, |state, now| state.put_consumer(spec, now)).await }.boxed()
    }

    fn delete_consumer(&self, stream: String, name: String) -> Ready<'_, ()> {
        async move { self.write(&stream, |state, _| state.delete_consumer(&stream, &name)).await }.boxed()
    }

    fn pause_consumer(&self, stream: String, name: String, pause: PauseState) -> Ready<'_, ()> {
        async move {
            let set = |state: &mut State, now: Moment| {
                state.consumer(&stream, &name, now)?.pause(pause, now);
                state.advance(&stream, now);
                Ok(())
            };
            self.write(&stream, set).await
        }
        .boxed()
    }

    fn purge(&self, stream: String, what: Purge) -> Ready<'_, u64> {
        async move { self.write(&stream, |state, now| Ok(state.stream(&stream, now)?.purge(&what))).await }.boxed()
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.link.watch()
    }

    fn server(&self) -> ServerInfo {
        let (name, url) = ("memory".to_owned(), format!("memory://{}", self.link.id));
        ServerInfo { name, version: env!("CARGO_PKG_VERSION").to_owned(), max_payload: MAX_PAYLOAD, url }
    }

    fn serve(&self, service: Service) -> Ready<'_, Listener> {
        let open = |subject: &String| self.subscribe(subject, Some(SERVICE_GROUP.to_owned()));
        async move {
            self.check_up(&service.name)?;
            // A service without endpoints is silent, but does not end.
            let nothing = stream::pending().boxed();
            let listeners = service.endpoints.iter().map(|(_, subject)| open(subject));
            Ok(stream::select_all(listeners.chain([nothing])).boxed())
        }
        .boxed()
    }

    fn flush(&self) -> Ready<'_, ()> {
        async move {
            self.shared.change_all(|state, _| {
                state.listeners.close_all(self.link.id);
                state.pulls.cut(self.link.id, &End::Whole);
            });
            Ok(())
        }
        .boxed()
    }
}
