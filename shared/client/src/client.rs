//! The client itself: a broker, a scope, and what all its clones share.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::{Blobs, BrokerError, BrokerRef, jetstream};
use nova_types::{Scope, UnixMillis};
use nova_wire::limits;
use tokio::sync::{Mutex, Semaphore};

use crate::names::Names;
use crate::wait::Hub;

/// How a client behaves; the defaults suit a program on the same network as its broker.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How many requests of one bulk call are under way at once. Default 256: beyond it the broker is no faster.
    pub in_flight: usize,
    /// How often a submit is sent before a missing receipt is reported. Default 3.
    pub receipt_tries: u32,
    /// How long a waiter trusts the live notice before it first looks for the record itself. Default 5 s; doubles up to 30 s.
    pub check_every: Duration,
    /// Bodies above this size go through the object store, in bytes. Default 256 KiB.
    pub inline_bytes: usize,
    /// The largest payload, in bytes. Default 64 MiB.
    pub blob_limit_bytes: u64,
    /// How many messages of a queue are searched for one task. Default 20,000: below a second on one server.
    pub search_depth: u64,
    /// How long outcomes are kept on this broker. Default one day, as provision sets it.
    pub outcomes_kept: Duration,
    /// Where the time comes from. Default: the system's clock.
    pub clock: fn() -> UnixMillis,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            in_flight: 256,
            receipt_tries: 3,
            check_every: Duration::from_secs(5),
            inline_bytes: limits::INLINE_BYTES,
            blob_limit_bytes: limits::BLOB_BYTES,
            search_depth: 20_000,
            outcomes_kept: Duration::from_secs(24 * 3600),
            clock: system_clock,
        }
    }
}

/// How many records one client reads at once: enough to fill a link, few enough to leave the broker to others.
const READS_AT_ONCE: usize = 64;

/// A client of the fleet; clones share its subscriptions.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) broker: BrokerRef,
    pub(crate) scope: Scope,
    pub(crate) options: ClientOptions,
    pub(crate) blobs: Blobs,
    /// One subscription for each scope that is waited for; almost always only the client's own.
    pub(crate) hubs: Mutex<HashMap<Scope, Arc<Hub>>>,
    pub(crate) reads: Semaphore,
    pub(crate) names: Names,
}

/// A client that could not be connected.
#[derive(Debug, thiserror::Error)]
#[error("could not connect a client")]
pub struct ConnectError {
    /// Why.
    #[source]
    pub source: BrokerError,
}

impl ConnectError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "connect"
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }
}

impl Client {
    /// A client whose tasks are named inside `scope`.
    ///
    /// ```
    /// use nova_broker::memory::MemoryBroker;
    /// use nova_client::{Client, Submit};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::new(std::sync::Arc::new(MemoryBroker::new()), Client::random_scope());
    /// let refused = client.submit(Submit::json("echo".parse()?, &1)?).await.expect_err("nothing is provisioned");
    /// assert_eq!((refused.code(), refused.is_transient()), ("no_queue", false));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn new(broker: BrokerRef, scope: Scope) -> Self {
        Self::with_options(broker, scope, ClientOptions::default())
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(broker: BrokerRef, scope: Scope, options: ClientOptions) -> Self {
        let blobs = Blobs::new(broker.clone()).with_limit(options.blob_limit_bytes);
        let reads = Semaphore::new(READS_AT_ONCE);
        Self {
            inner: Arc::new(Inner {
                broker,
                scope,
                options,
                blobs,
                hubs: Mutex::default(),
                reads,
                names: Names::new(),
            }),
        }
    }

    /// Connects to a NATS server, for programs that need no credentials; the scope is a random one.
    ///
    /// For others connect a [`jetstream`] broker with its own options and hand it to [`new`](Self::new).
    ///
    /// # Errors
    /// [`ConnectError`]; safe to call again.
    pub async fn connect(url: &str) -> Result<Self, ConnectError> {
        let broker = jetstream::connect(jetstream::Options::new(url, "nova-client")).await;
        let broker = broker.map_err(|source| ConnectError { source })?;
        Ok(Self::new(Arc::new(broker), Self::random_scope()))
    }

    /// The scope of the tasks it names.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.inner.scope
    }

    /// The broker it speaks to.
    #[must_use]
    pub fn broker(&self) -> &BrokerRef {
        &self.inner.broker
    }

    /// A scope that no other client has: `c` and eight random characters.
    #[must_use]
    pub fn random_scope() -> Scope {
        let text: String = std::iter::once('c').chain(std::iter::repeat_with(fastrand::alphanumeric).take(8)).collect();
        Scope::new(text).expect("letters and digits make a scope")
    }

    pub(crate) fn now(&self) -> UnixMillis {
        (self.inner.options.clock)()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("scope", &self.inner.scope).finish_non_exhaustive()
    }
}

#[expect(clippy::disallowed_methods, reason = "the default of the clock that the client is given")]
fn system_clock() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
