//! What a command that speaks to the fleet is given.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::BrokerRef;
use nova_broker::jetstream::JetStream;
use nova_client::{Client, ClientOptions};
use nova_types::Scope;

use crate::connect::{Target, connect, environment, resolve};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::root::Global;

/// How long the last words may take once a command is done.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);

/// A connected client and the process's outputs.
#[derive(Clone)]
pub(crate) struct Cx {
    pub(crate) out: Out,
    pub(crate) client: Client,
    /// The same connection, for what only a real broker has.
    pub(crate) jetstream: JetStream,
    pub(crate) target: Target,
}

impl Cx {
    async fn connect(global: &Global, out: Out) -> Result<Self, Failure> {
        let target = resolve(&global.connection, &environment)?;
        let jetstream = connect(&target, &out).await?;
        let scope = target.scope.clone().unwrap_or_else(Client::random_scope);
        Ok(Self::over(jetstream, scope, target, out))
    }

    /// What a command is given over a connection.
    pub(crate) fn over(jetstream: JetStream, scope: Scope, target: Target, out: Out) -> Self {
        let broker: BrokerRef = Arc::new(jetstream.clone());
        Self { out, client: Client::new(broker, scope), jetstream, target }
    }

    /// A client that searches queues to their end, for orders that mean every task.
    pub(crate) fn exhaustive(&self) -> Client {
        let options = ClientOptions { search_depth: u64::MAX, ..ClientOptions::default() };
        Client::with_options(self.client.broker().clone(), self.client.scope().clone(), options)
    }

    /// The scope a plain id is in.
    pub(crate) fn plain_scope(&self) -> Scope {
        self.target.scope.clone().unwrap_or_else(Scope::plain)
    }
}

/// The asynchronous machinery, started only by commands that need it.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // A client's work is one connection; two threads keep encoding out of its way.
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|source| Failure::io("start the runtime", source))
}

/// Connects, runs a command and ends it at Ctrl-C.
pub(crate) fn online<F>(global: &Global, out: Out, run: impl FnOnce(Cx) -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                Err(Failure::new(Exit::INTERRUPTED, "interrupted", "interrupted; tasks that were submitted go on"))
            }
            done = connected(global, out, run) => done,
        }
    });
    // A read of stdin that nobody waits for any more must not hold the process.
    runtime.shutdown_background();
    done
}

async fn connected<F>(global: &Global, out: Out, run: impl FnOnce(Cx) -> F) -> Result<Exit, Failure>
where
    F: Future<Output = Result<Exit, Failure>>,
{
    let cx = Cx::connect(global, out).await?;
    let broker = cx.client.broker().clone();
    // The futures of whole commands are large: off the stack.
    let done = Box::pin(run(cx)).await;
    // Acks and notices are sent without an answer; they must leave before the process does.
    let _ = tokio::time::timeout(FLUSH_WITHIN, broker.flush()).await;
    done
}
