//! The field of a run: servers, the processes on them, and a fault proxy on every connection between any two.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use nova_broker::BrokerRef;
use nova_broker::Start;
use nova_broker::jetstream::{self, Options};
use nova_client::{Client, ClientOptions};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_testkit::{Edge, NatsCluster, NatsServer};
use nova_types::{Priority, Skill};
use nova_wire::assets;
use nova_workflow::{Plan, Workflow};
use tempfile::TempDir;

use crate::load;
use crate::plan::Shape;
use crate::power::Disk;
use crate::sabotage::Sabotage;
use crate::worker::{KEYED, SKILL};

pub mod member;

pub use member::{Member, Role};

/// How long any state may take to come about where nothing is broken.
const PATIENCE: Duration = Duration::from_secs(180);

/// The queues of a run: a short lease and short pauses, so that minutes hold many deaths.
pub(crate) const CATALOGUE: &str = r#"
chaos = { about = "Does as it is told", lease = "2s", timeout = "2m", max_attempts = 3, backoff = "50ms..500ms", max_bytes = "512MiB" }
chaos-keyed = { about = "The same in the order of keys", keyed = true, partitions = 4, lease = "2s", timeout = "2m", max_attempts = 3, backoff = "50ms..500ms", max_bytes = "256MiB" }
"#;

/// The partitions of the keyed one.
const PARTITIONS: u16 = 4;

/// What a run is made on.
#[derive(Debug, Clone, Copy)]
pub struct Terrain {
    /// How the broker keeps what it acknowledges.
    pub profile: Profile,
    /// Whether servers have disks of their own.
    pub has_power: bool,
    /// Which rule the workers break.
    pub broken: Option<Sabotage>,
    /// How many workers.
    pub workers: usize,
    /// How many coordinators.
    pub coordinators: usize,
    /// How many submitters.
    pub submitters: usize,
}

/// The field; all of it ends with this.
pub struct Field {
    /// Workers, then coordinators, then submitters.
    pub members: Vec<Member>,
    /// The servers.
    pub servers: Vec<NatsServer>,
    /// The ways between servers.
    pub edges: Vec<Edge>,
    /// The disks of the servers, where they have their own.
    pub disks: Vec<Disk>,
    /// A connection past all proxies, to whichever server is up.
    pub control: BrokerRef,
    /// What there is to hit.
    pub shape: Shape,
    profile: Profile,
    // Behind what uses it: dropped last.
    home: TempDir,
}

impl Field {
    /// Sets everything up; when this returns all are at work.
    ///
    /// # Errors
    /// When a server, a disk or a process cannot be had.
    pub async fn start(options: Terrain) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("nova-chaos-").context("could not create a directory")?;
        for name in ["history", "marks", "logs"] {
            std::fs::create_dir(home.path().join(name))?;
        }
        let count = options.profile.replicas();
        let disks: Vec<Disk> = if options.has_power {
            (0..count).map(|n| Disk::make(home.path(), &format!("disk{n}"))).collect::<anyhow::Result<_>>()?
        } else {
            Vec::new()
        };
        let stores: Vec<PathBuf> = (0..count)
            .map(|n| {
                disks.get(n).map_or_else(|| home.path().join(format!("store{n}")), |disk| disk.path().join("store"))
            })
            .collect();
        let (servers, edges) = match options.profile {
            Profile::Replicated => {
                let (cluster, edges) = NatsCluster::try_start_apart(&stores).await?;
                (cluster.servers, edges)
            }
            profile => {
                let kept = match profile {
                    Profile::Durable => nova_testkit::Profile::Durable,
                    _ => nova_testkit::Profile::Fast,
                };
                (vec![NatsServer::builder().profile(kept).store(&stores[0]).try_start()?], Vec::new())
            }
        };
        let url: Vec<String> = servers.iter().map(NatsServer::url).collect();
        let control = connect(&url.join(","), "chaos-control").await?;
        provision(&control, options.profile, ApplyOptions::default()).await?;
        let shape = Shape {
            workers: options.workers,
            coordinators: options.coordinators,
            submitters: options.submitters,
            brokers: count,
            consumers: consumers().len(),
            has_power: options.has_power,
        };
        let profile = options.profile;
        let mut field = Self { members: Vec::new(), servers, edges, disks, control, shape, profile, home };
        for (role, count) in [
            (Role::Worker, shape.workers),
            (Role::Coordinator, shape.coordinators),
            (Role::Submitter, shape.submitters),
        ] {
            for n in 0..count {
                let member = Member::new(role, n, &field.servers, field.home.path(), options.broken).await?;
                field.members.push(member);
            }
        }
        for member in &mut field.members {
            member.start(&[])?;
        }
        put_workflow(&field.control).await?;
        Ok(field)
    }

    /// Where the histories are.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    /// Where boundaries that were reached are marked.
    #[must_use]
    pub fn marks(&self) -> PathBuf {
        self.home.path().join("marks")
    }

    /// A client of a submitter, through its proxies.
    ///
    /// # Errors
    /// When no server can be reached.
    pub async fn client(&self, submitter: usize, name: &str) -> anyhow::Result<(Client, BrokerRef)> {
        let member = &self.members[self.shape.workers + self.shape.coordinators + submitter];
        let broker = connect(&member.url(), name).await?;
        let scope = name.parse().context("a submitter's name is a scope")?;
        let options = ClientOptions { blob_limit_bytes: load::BLOB_LIMIT, ..ClientOptions::default() };
        Ok((Client::with_options(Arc::clone(&broker), scope, options), broker))
    }

    /// What a server holds is read from that server alone.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn alone(&self, server: usize) -> anyhow::Result<BrokerRef> {
        connect(&self.servers[server].url(), "chaos-reader").await
    }

    /// The name and place of the server that leads a stream; `None` while nobody does.
    pub async fn leader_of(&self, stream: &str) -> Option<usize> {
        let ask = nova_broker::Message::new(format!("$JS.API.STREAM.INFO.{stream}"), "");
        let answer = self.control.ask(ask, Duration::from_secs(2)).await.ok()?;
        let info: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let name = info["cluster"]["leader"].as_str()?;
        name.strip_prefix("nova-")?.parse::<usize>().ok()?.checked_sub(1)
    }

    /// Mends what somebody did to the broker's assets, as the runbook says: a consumer begins with the first task there is.
    ///
    /// # Errors
    /// When they cannot be mended.
    pub async fn mend(&self) -> anyhow::Result<()> {
        let options = ApplyOptions { start_consumers_at: Some(Start::First), ..ApplyOptions::default() };
        provision(&self.control, self.profile, options).await
    }

    /// How often coordinators said this.
    #[must_use]
    pub fn warnings(&self, text: &str) -> usize {
        let coordinators = self.members.iter().filter(|member| member.role == Role::Coordinator);
        coordinators.map(|member| member.log().lines().filter(|line| line.contains(text)).count()).sum()
    }

    /// How often a server said that a stream or consumer has a new leader.
    #[must_use]
    pub fn leader_changes(&self) -> u64 {
        let said = |server: &NatsServer| {
            let log = server.log();
            log.lines()
                .filter(|line| line.contains("new stream leader") || line.contains("new consumer leader"))
                .count()
        };
        self.servers.iter().map(said).sum::<usize>() as u64
    }

    /// Keeps everything for whoever wants to see what went wrong, and says where.
    ///
    /// # Errors
    /// When the last words of the processes cannot be written.
    pub fn keep(self) -> anyhow::Result<PathBuf> {
        let Self { members, servers, disks, home, .. } = self;
        for member in &members {
            std::fs::write(home.path().join("logs").join(&member.name), member.log())?;
        }
        for (n, server) in servers.iter().enumerate() {
            std::fs::write(home.path().join("logs").join(format!("server{n}")), server.log())?;
        }
        drop((members, servers, disks));
        Ok(home.keep())
    }
}

/// Connects, and never gives up.
pub(crate) async fn connect(url: &str, name: &str) -> anyhow::Result<BrokerRef> {
    let options = Options { keep_trying: true, ..Options::new(url, name) };
    Ok(Arc::new(jetstream::connect(options).await?))
}

/// The consumers of all queues of a run, as stream and name.
#[must_use]
pub fn consumers() -> Vec<(String, String)> {
    let stream = |skill: &str| assets::tasks_stream(&Skill::new(skill).expect("a valid name"));
    let priorities = Priority::ALL.map(|priority| (stream(SKILL), assets::consumer(priority).to_owned()));
    let partitions = (0..PARTITIONS).map(|partition| (stream(KEYED), assets::partition_consumer(partition)));
    priorities.into_iter().chain(partitions).collect()
}

async fn provision(broker: &BrokerRef, profile: Profile, apply: ApplyOptions) -> anyhow::Result<()> {
    let catalogue = Catalogue::parse("chaos", CATALOGUE)?;
    let options = nova_provision::Options { profile, now: nova_runtime::system_clock().now() };
    let wanted = desired(&catalogue, options);
    let began = Instant::now();
    loop {
        match nova_provision::apply(&**broker, &wanted, apply, |_| {}).await {
            Ok(report) if report.is_complete() => return Ok(()),
            // Servers that replicate have to find one another first.
            result => {
                ensure!(began.elapsed() < PATIENCE, "the assets could not be made: {result:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

pub(crate) async fn put_workflow(broker: &BrokerRef) -> anyhow::Result<()> {
    let workflow: Workflow = serde_json::from_value(load::workflow()).context("the definition is sound")?;
    let plan = Plan::new(workflow).map_err(|problems| anyhow::anyhow!("the definition is not sound: {problems:?}"))?;
    let client = Client::new(Arc::clone(broker), "chaos".parse().context("a scope")?);
    client.put_workflow(&plan).await.context("could not put the workflow")?;
    Ok(())
}

/// One of the workspace's programs, built in the same way as this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("the program does not know where it is")?;
    let path = here.parent().unwrap_or(Path::new("")).join(name);
    ensure!(path.exists(), "{} is not built: run `make build`", path.display());
    Ok(path)
}
