//! What a case is measured on: a server of its own, provisioned, with children that end with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nova_broker::jetstream::{self, Options};
use nova_broker::{BrokerRef, ConsumerInfo, Purge};
use nova_client::{Client, Submit};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_runtime::{Clock as _, SystemClock};
use nova_testkit::{NatsServer, Process, wait_until};
use nova_types::{Priority, Skill, WorkerId};
use nova_wire::{assets, subject};

use crate::part::{Asked, Part};
use crate::skill::Order;

/// The skill of tasks that take as long as they say.
pub const HELD: &str = "bench-held";
/// The same with a short lease.
pub const BRIEF: &str = "bench-brief";
/// The skill that does nothing.
pub const NOOP: &str = "bench-noop";
/// The same with a rate that is never reached.
pub const LIMITED: &str = "bench-limited";
/// The same with keys.
pub const KEYED: &str = "bench-keyed";
/// The queues of the workers written by hand.
pub const RAW: &str = "bench-raw";
/// The same by the client library's calls.
pub const STOCK: &str = "bench-stock";

/// The lease of [`BRIEF`].
pub const BRIEF_LEASE: Duration = Duration::from_secs(2);

/// The queues the cases need beside the built-in ones.
const CATALOGUE: &str = r#"
bench-held = { about = "Takes as long as the task says", lease = "10s" }
bench-brief = { about = "The same with a short lease", lease = "2s" }
bench-noop = { about = "Does nothing", lease = "10s" }
bench-limited = { about = "Does nothing, a million times a second at most", rate = "1000000/s" }
bench-keyed = { about = "Does nothing, in the order of keys", lease = "10s", keyed = true }
bench-raw = { about = "The queue of the worker written by hand", lease = "10s" }
bench-stock = { about = "The queue of the worker by the library's calls", lease = "10s" }
"#;

/// How long any state may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server and a client of it.
pub struct Bed {
    /// The server.
    pub server: NatsServer,
    /// A connection of this process.
    pub broker: BrokerRef,
    /// A client over it.
    pub client: Client,
}

impl Bed {
    /// Starts a server under the profile `fast` and makes all assets.
    ///
    /// # Errors
    /// When the server cannot be started or refuses an asset.
    pub async fn start() -> anyhow::Result<Self> {
        let server = NatsServer::builder().try_start()?;
        let broker = connect(&server.url(), "bench").await?;
        let catalogue = Catalogue::built_in().with(Catalogue::parse("bench", CATALOGUE)?);
        let options = nova_provision::Options { profile: Profile::Fast, now: SystemClock::from_env().now() };
        let wanted = desired(&catalogue, options);
        let report = nova_provision::apply(&*broker, &wanted, ApplyOptions::default(), |_| {}).await?;
        ensure!(report.is_complete(), "a new server did not take all assets");
        let client = Client::new(Arc::clone(&broker), Client::random_scope());
        Ok(Self { server, broker, client })
    }

    /// Starts Nova's worker as a process of its own and waits until it is present.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn worker(&self, skill: &str, id: &str, slots: usize, hold: Duration) -> anyhow::Result<Process> {
        let url = self.server.url();
        let command = Part::Worker.command(&Asked { url: &url, id, skill, slots, hold })?;
        let process = Process::spawn(id, command);
        self.present(id).await?;
        Ok(process)
    }

    /// Waits until a worker is present.
    ///
    /// # Errors
    /// When the name is malformed.
    pub async fn present(&self, id: &str) -> anyhow::Result<()> {
        let worker = WorkerId::new(id)?;
        let (stream, key) = (assets::bucket_stream(assets::WORKERS_BUCKET), subject::presence(&worker));
        wait_until(format!("worker {id} to be present"), PATIENCE, || async {
            let stored = self.broker.last(stream.clone(), key.clone()).await.ok()??;
            stored.headers.get("KV-Operation").is_none().then_some(())
        })
        .await;
        Ok(())
    }

    /// One priority of a queue as it is.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn lane(&self, skill: &str, priority: Priority) -> anyhow::Result<ConsumerInfo> {
        let stream = assets::tasks_stream(&Skill::new(skill)?);
        let found = self.broker.consumer(stream, assets::consumer(priority).to_owned()).await?;
        found.with_context(|| format!("queue {skill} is not provisioned"))
    }

    /// How many messages a stream holds.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn held(&self, stream: &str) -> anyhow::Result<u64> {
        let found = self.broker.stream(stream.to_owned()).await?;
        Ok(found.with_context(|| format!("stream {stream} is not provisioned"))?.messages)
    }

    /// Throws away all that a queue holds.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn empty(&self, skill: &str) -> anyhow::Result<()> {
        let stream = assets::tasks_stream(&Skill::new(skill)?);
        let info = self.broker.stream(stream.clone()).await?.with_context(|| format!("no stream {stream}"))?;
        // Not one further: the stream would go on from there.
        self.broker.purge(stream, Purge::Below(info.last_sequence + 1)).await?;
        Ok(())
    }
}

/// Connects without credentials.
///
/// # Errors
/// When the server cannot be reached.
pub async fn connect(url: &str, name: &str) -> anyhow::Result<BrokerRef> {
    Ok(Arc::new(jetstream::connect(Options::new(url, name)).await?))
}

/// A task that takes as long as the order says.
pub fn held(skill: &str, priority: Priority, order: Order) -> Submit {
    let skill = Skill::new(skill).expect("the skills here are well formed");
    Submit::json(skill, &order).expect("an order has a JSON form").with_priority(priority)
}

/// One of the workspace's programs, built in the same way as this one.
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe().context("the program does not know where it is")?.with_file_name(name);
    ensure!(path.exists(), "{} is not built: `make bench` builds it", path.display());
    Ok(path)
}
