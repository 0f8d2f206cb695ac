//! The port itself: what Nova asks of a broker.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::{
    AckToken, BrokerError, ConsumerInfo, ConsumerSpec, Expect, Inspected, Listener, Message, PauseState, PublishError,
    Pull, PullRequest, Purge, Receipt, Scan, ServerInfo, Service, Settle, Stored, StreamInfo, StreamSpec,
};

/// A broker that many parts share.
pub type BrokerRef = Arc<dyn Broker>;

/// What an asynchronous request comes to.
pub type Ready<'a, T, E = BrokerError> = BoxFuture<'a, Result<T, E>>;

/// The connection's state; `epoch` grows with every new connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Counts the connections made, from 1.
    pub epoch: u64,
    /// Whether it stands.
    pub is_up: bool,
}

/// What Nova asks of a broker.
///
/// Object-safe on purpose: whole crates compile once, against `dyn Broker`; a boxed future costs nothing beside a
/// message. Unless said otherwise a dropped future leaves it open whether the request was carried out.
pub trait Broker: Send + Sync + 'static {
    /// Appends a message to the stream that owns its subject, and waits for the receipt.
    ///
    /// Many may be under way at once; that is the way to be fast.
    ///
    /// # Errors
    /// [`PublishError`]; only [`Unknown`](PublishError::Unknown) leaves it open whether the message is stored.
    fn publish(&self, message: Message, expect: Expect) -> Ready<'_, Receipt, PublishError>;

    /// Sends a message to whoever listens now; nothing is stored and nobody answers.
    fn tell(&self, message: Message) -> Ready<'_, ()>;

    /// Asks whoever serves the subject, and waits for one answer.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when nobody serves it, [`BrokerError::Timeout`].
    fn ask(&self, message: Message, wait: std::time::Duration) -> Ready<'_, Message>;

    /// Subscribes to a subject, wildcards allowed; of those in one `group` each message reaches one.
    ///
    /// The subscription holds before this returns.
    fn listen(&self, subject: String, group: Option<String>) -> Ready<'_, Listener>;

    /// The last message of one subject.
    fn last(&self, stream: String, subject: String) -> Ready<'_, Option<Stored>>;

    /// The message with a sequence.
    fn get(&self, stream: String, sequence: u64) -> Ready<'_, Option<Stored>>;

    /// The first message of a subject, wildcards allowed, with this sequence or a later one, however malformed its headers.
    ///
    /// Slower than [`scan`](Self::scan), but the only safe way to walk over what anybody may have written. An adapter in
    /// which no message can be malformed need not do anything special.
    fn inspect(&self, stream: String, subject: String, from: u64) -> Ready<'_, Option<Inspected>> {
        Box::pin(async move {
            let found = self.scan(Scan::all(stream, subject, 1).from(from)).await?;
            Ok(found.into_iter().next().map(|stored| Inspected { stored, unreadable: None }))
        })
    }

    /// Several messages, oldest first.
    fn scan(&self, scan: Scan) -> Ready<'_, Vec<Stored>>;

    /// Asks a consumer for messages.
    ///
    /// # Errors
    /// [`BrokerError::NotFound`] when there is no such consumer, here or as the stream's only item. Whatever the broker
    /// refuses later is in the stream, too; a pull beyond the consumer's `max_waiting` may just meet silence.
    fn pull(&self, request: PullRequest) -> Ready<'_, Pull>;

    /// Settles a delivery, without an answer: the broker may lose it, and the message then comes again.
    fn settle(&self, token: &AckToken, settle: Settle) -> Ready<'_, ()>;

    /// A stream as it is, `None` when there is none.
    fn stream(&self, name: String) -> Ready<'_, Option<StreamInfo>>;

    /// All streams whose name begins with `prefix`.
    fn streams(&self, prefix: String) -> Ready<'_, Vec<StreamInfo>>;

    /// Creates or changes a stream.
    fn put_stream(&self, spec: StreamSpec) -> Ready<'_, ()>;

    /// Deletes a stream with all it holds.
    fn delete_stream(&self, name: String) -> Ready<'_, ()>;

    /// A consumer as it is, `None` when there is none.
    fn consumer(&self, stream: String, name: String) -> Ready<'_, Option<ConsumerInfo>>;

    /// All consumers of a stream, Nova's or not; none when there is no such stream.
    fn consumers(&self, stream: String) -> Ready<'_, Vec<ConsumerInfo>>;

    /// Creates or changes a consumer.
    fn put_consumer(&self, spec: ConsumerSpec) -> Ready<'_, ()>;

    /// Deletes a consumer and its position.
    fn delete_consumer(&self, stream: String, name: String) -> Ready<'_, ()>;

    /// Pauses a consumer until a moment, or resumes it.
    fn pause_consumer(&self, stream: String, name: String, pause: PauseState) -> Ready<'_, ()>;

    /// Deletes messages; says how many.
    fn purge(&self, stream: String, what: Purge) -> Ready<'_, u64>;

    /// The connection's state, to watch.
    fn connection(&self) -> watch::Receiver<Connection>;

    /// The server at the other end.
    fn server(&self) -> ServerInfo;

    /// Offers a service: NATS' own discovery shows it (`nats micro ls`) and each request reaches one of those that
    /// offer it. The requests come in the listener, to be answered with [`tell`](Self::tell); dropping it withdraws the
    /// service. One without endpoints is only shown. A broker without discovery just subscribes.
    fn serve(&self, service: Service) -> Ready<'_, Listener>;

    /// Sends what is buffered and ends the connection's subscriptions.
    fn flush(&self) -> Ready<'_, ()>;
}
