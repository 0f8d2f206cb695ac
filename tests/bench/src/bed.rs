//! What a case is measured on: a server of its own, provisioned, with children that end with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nova_broker::jetstream::{self, Options};
use nova_broker::{BrokerRef, ConsumerInfo, Purge};
use nova_client::{Client, Submit};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_runtime::{Clock as _, SystemClock};
use nova_testkit::{NatsCluster, NatsServer, Process, wait_until};
use nova_types::{Priority, Skill, WorkerId};
use nova_wire::{assets, subject};

use crate::part::{Asked, Part};
use crate::side::Parts;
use crate::skill::Order;
use crate::yardstick::Yardstick;

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

/// The name of one of many skills that do nothing.
pub fn numbered(n: usize) -> String {
    format!("{NOOP}-{n}")
}

/// How much a queue may hold where there are many, or where a profile's own size is more than a test server gives.
pub const SMALL_QUEUE: &str = "16MiB";

/// How long any state may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server and a client of it.
pub struct Bed {
    /// The server.
    pub server: NatsServer,
    /// Those that replicate for it.
    others: Vec<NatsServer>,
    url: String,
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
        let catalogue = Catalogue::built_in().with(Catalogue::parse("bench", CATALOGUE)?);
        Self::with(Profile::Fast, &catalogue).await
    }

    /// The same with these skills alone, which do nothing.
    ///
    /// # Errors
    /// When the server cannot be started or refuses an asset.
    pub async fn with_skills(skills: &[String], queue_size: &str) -> anyhow::Result<Self> {
        let lines = skills.iter().map(|skill| queue(skill, queue_size));
        Self::with(Profile::Fast, &Catalogue::parse("bench", &lines.collect::<String>())?).await
    }

    /// The same under a profile, with two skills that do nothing and the queue of those written by hand: [`NOOP`], the first
    /// of [`numbered`] and [`RAW`].
    ///
    /// # Errors
    /// When a server cannot be started or refuses an asset.
    pub async fn of(profile: Profile) -> anyhow::Result<Self> {
        let lines = [NOOP, &numbered(0), RAW].map(|skill| queue(skill, SMALL_QUEUE));
        Self::with(profile, &Catalogue::parse("bench", &lines.concat())?).await
    }

    /// Starts what a profile runs on, and makes all assets.
    ///
    /// # Errors
    /// When a server cannot be started or refuses an asset.
    pub async fn with(profile: Profile, catalogue: &Catalogue) -> anyhow::Result<Self> {
        let mut servers = match profile {
            Profile::Fast => vec![NatsServer::builder().try_start()?],
            Profile::Durable => vec![NatsServer::builder().profile(nova_testkit::Profile::Durable).try_start()?],
            Profile::Replicated => NatsCluster::try_start(profile.replicas())?.servers,
        };
        let url = servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",");
        let broker = connect(&url, "bench").await?;
        provision(&broker, profile, catalogue).await?;
        let client = Client::new(Arc::clone(&broker), Client::random_scope());
        Ok(Self { server: servers.remove(0), others: servers, url, broker, client })
    }

    /// What counts as broker and as Nova: all servers, and these workers with this process.
    pub fn parts<'a>(&self, workers: impl IntoIterator<Item = &'a Process>) -> Parts {
        [self.servers(), workers.into_iter().map(Process::pid).chain([std::process::id()]).collect()]
    }

    /// The same where the other side is written by hand.
    pub fn parts_by_hand(&self, yardstick: &Yardstick) -> Parts {
        [self.servers(), yardstick.pids()]
    }

    fn servers(&self) -> Vec<u32> {
        std::iter::once(&self.server).chain(&self.others).map(NatsServer::pid).collect()
    }

    /// Starts Nova's worker as a process of its own and waits until it is present.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn worker(&self, skill: &str, id: &str, slots: usize, hold: Duration) -> anyhow::Result<Process> {
        let command = Part::Worker.command(&Asked { url: &self.url, id, skill, slots, hold })?;
        let process = Process::spawn(id, command);
        self.present(id).await?;
        Ok(process)
    }

    /// Starts one worker of several skills that do nothing, and waits until it is present.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn serving(&self, skills: &[String], id: &str, slots: usize) -> anyhow::Result<Process> {
        self.worker(&skills.join(","), id, slots, Duration::ZERO).await
    }

    /// Starts many workers, each a process of its own, and waits until all are present.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub async fn fleet(&self, skill: &str, count: usize, slots: usize) -> anyhow::Result<Vec<Process>> {
        let names: Vec<String> = (0..count).map(|n| format!("{skill}-{n}")).collect();
        let mut fleet = Vec::new();
        for id in &names {
            let asked = Asked { url: &self.url, id, skill, slots, hold: Duration::ZERO };
            fleet.push(Process::spawn(id, Part::Worker.command(&asked)?));
        }
        for id in &names {
            self.present(id).await?;
        }
        Ok(fleet)
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

/// A catalogue's line of a queue of this size.
fn queue(skill: &str, size: &str) -> String {
    format!("{skill} = {{ about = \"Does nothing\", lease = \"10s\", max_bytes = \"{size}\" }}\n")
}

/// Makes all assets.
async fn provision(broker: &BrokerRef, profile: Profile, catalogue: &Catalogue) -> anyhow::Result<()> {
    let options = nova_provision::Options { profile, now: SystemClock::from_env().now() };
    let wanted = desired(catalogue, options);
    let began = Instant::now();
    loop {
        match nova_provision::apply(&**broker, &wanted, ApplyOptions::default(), |_| {}).await {
            Ok(report) if report.is_complete() => return Ok(()),
            // Servers that replicate have to find one another first.
            _ if profile == Profile::Replicated && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(_) => anyhow::bail!("a new server did not take all assets"),
            Err(error) => return Err(error.into()),
        }
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
