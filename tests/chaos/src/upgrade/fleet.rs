//! The fleet that is upgraded: processes of either release on one broker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nova_broker::BrokerRef;
use nova_provision::Profile;
use nova_testkit::{NatsCluster, NatsServer, Process};
use tempfile::TempDir;

use super::route::{COORDINATORS, Side, WORKERS};
use crate::field::{self, Role};
use crate::worker::{HISTORY, KEYED, ONLY, SKILL};

/// The skills the released side knows: those of a chaos run, without what came later.
const RELEASED_SKILLS: &str = r#"
chaos = { about = "Does as it is told", lease = "2s", timeout = "2m", max_attempts = 3, backoff = "50ms..500ms", max_bytes = "512MiB" }
"#;
/// The built-in skills, which the command provisions as well, with less room than they reserve: nothing goes there.
const BUILT_IN: [&str; 4] = ["echo", "shell", "http", "code-review"];
/// How long one that was asked to end may take: longer than its grace.
const DRAIN: Duration = Duration::from_secs(40);
/// How many attempts a worker runs at once.
const SLOTS: &str = "24";
/// The scope of the released submitter.
pub const SUBMITTER: &str = "old";

/// One place in the fleet, whoever fills it.
pub struct Place {
    /// The name, the same on either side.
    pub name: String,
    role: Role,
    side: Side,
    process: Process,
}

/// The fleet; all of it ends with this.
pub struct Fleet {
    /// Workers, then coordinators, then the released submitter.
    places: Vec<Place>,
    /// The servers.
    pub servers: Vec<NatsServer>,
    /// A connection of the present release.
    pub control: BrokerRef,
    profile: Profile,
    released: PathBuf,
    logs: Vec<(String, String)>,
    // Behind what uses it: dropped last.
    home: TempDir,
}

impl Fleet {
    /// A fleet of the released side alone, at work, on a broker that side provisioned.
    ///
    /// # Errors
    /// When something cannot be had.
    pub async fn start(profile: Profile, released: PathBuf) -> anyhow::Result<Self> {
        let home = TempDir::with_prefix("nova-upgrade-").context("could not create a directory")?;
        std::fs::create_dir(home.path().join("history"))?;
        let servers = match profile {
            Profile::Replicated => NatsCluster::try_start(profile.replicas())?.servers,
            Profile::Durable => vec![NatsServer::builder().profile(nova_testkit::Profile::Durable).try_start()?],
            Profile::Fast => vec![NatsServer::builder().try_start()?],
        };
        let control = field::connect(&urls(&servers), "upgrade-control").await?;
        let mut fleet = Self { places: Vec::new(), servers, control, profile, released, logs: Vec::new(), home };
        fleet.provision(Side::Released, RELEASED_SKILLS).await?;
        for n in 0..WORKERS {
            fleet.fill(Role::Worker, n, Side::Released)?;
        }
        for n in 0..COORDINATORS {
            fleet.fill(Role::Coordinator, n, Side::Released)?;
        }
        fleet.fill(Role::Submitter, 0, Side::Released)?;
        Ok(fleet)
    }

    /// Where the histories are.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.home.path().join("history")
    }

    /// Makes the assets of the same skills as the present release wants them.
    ///
    /// # Errors
    /// When its command does not say that all is as wanted.
    pub async fn provision_anew(&self) -> anyhow::Result<()> {
        self.provision(Side::Present, RELEASED_SKILLS).await
    }

    /// Adds the skill that only the present release knows, and a worker of it.
    ///
    /// # Errors
    /// When its command does not say that all is as wanted.
    pub async fn add_skill(&mut self) -> anyhow::Result<()> {
        self.provision(Side::Present, field::CATALOGUE).await?;
        self.fill(Role::Worker, WORKERS, Side::Present)
    }

    /// Makes the assets as an operator does, with that side's own command.
    async fn provision(&self, side: Side, catalogue: &str) -> anyhow::Result<()> {
        let skills = self.home.path().join("skills.toml");
        let small = BUILT_IN.map(|name| format!("{name} = {{ about = \"Not used here\", max_bytes = \"16MiB\" }}\n"));
        std::fs::write(&skills, small.concat() + catalogue)?;
        let mut command = Command::new(self.program(side, "nova")?);
        command.args(["provision", "apply", "--profile", self.profile.as_str(), "--skills"]).arg(&skills);
        command.env("NATS_URL", urls(&self.servers));
        let said = self.end_of(command).await?;
        ensure!(said.status.success(), "provision apply of the {} side: {said:?}", side.as_str());
        Ok(())
    }

    /// Ends a member by SIGTERM, and starts one of this side in its place.
    ///
    /// # Errors
    /// When it does not end, or the other cannot be started.
    pub async fn replace(&mut self, role: Role, n: usize, side: Side) -> anyhow::Result<()> {
        self.end(role, n).await?;
        self.fill(role, n, side)
    }

    /// Ends the released submitter.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop_submitting(&mut self) -> anyhow::Result<()> {
        self.end(Role::Submitter, 0).await
    }

    /// Everyone who should be there and is not, with its last words.
    pub fn fallen(&mut self) -> Vec<(String, String)> {
        let fallen = self.places.iter_mut().filter_map(|place| {
            let status = place.process.try_exit()?;
            let lines = place.process.stderr();
            let last = lines[lines.len().saturating_sub(3)..].join(" / ");
            Some((format!("{} ({})", place.name, place.side.as_str()), format!("{status}: {last}")))
        });
        fallen.collect()
    }

    /// What the released side reads of these tasks, one line each.
    ///
    /// # Errors
    /// When its reader fails.
    pub async fn read_by_released(&self, tasks: &str) -> anyhow::Result<String> {
        let path = self.home.path().join("tasks");
        std::fs::write(&path, tasks)?;
        let mut command = Command::new(self.program(Side::Released, "nova-released")?);
        command.arg("read").arg(path).envs(self.variables("reader"));
        let said = self.end_of(command).await?;
        ensure!(said.status.success(), "the released reader: {said:?}");
        String::from_utf8(said.stdout).context("the released reader says text")
    }

    /// Keeps everything for whoever wants to see what went wrong, and says where.
    ///
    /// # Errors
    /// When the last words of the processes cannot be written.
    pub fn keep(mut self) -> anyhow::Result<PathBuf> {
        while let Some(place) = self.places.pop() {
            self.logs.push((place.name, place.process.stderr().join("\n")));
        }
        for (n, server) in self.servers.iter().enumerate() {
            self.logs.push((format!("server{n}"), server.log()));
        }
        for (n, (name, log)) in self.logs.iter().enumerate() {
            std::fs::write(self.home.path().join(format!("{n}-{name}.log")), log)?;
        }
        Ok(self.home.keep())
    }

    fn fill(&mut self, role: Role, n: usize, side: Side) -> anyhow::Result<()> {
        let name = name(role, n);
        let mut command = match (role, side) {
            (Role::Worker, Side::Present) => Command::new(self.program(side, "nova-chaos")?),
            (Role::Coordinator, _) => Command::new(self.program(side, "nova-coordinator")?),
            (Role::Worker | Role::Submitter, _) => Command::new(self.program(Side::Released, "nova-released")?),
        };
        match role {
            Role::Worker => {
                let only = if n < WORKERS { SKILL } else { KEYED };
                command.env("NOVA__WORKER__ID", &name).env("NOVA__WORKER__SLOTS", SLOTS).env(ONLY, only)
            }
            Role::Coordinator => command.env("NOVA__COORDINATOR__ID", &name),
            Role::Submitter => command.arg("submit"),
        };
        command.envs(self.variables(&name)).env("RUST_BACKTRACE", "0");
        if role != Role::Submitter {
            command.env("NOVA__SERVE__LISTEN", "");
        }
        let process = Process::spawn(&name, command);
        self.places.push(Place { name, role, side, process });
        Ok(())
    }

    async fn end(&mut self, role: Role, n: usize) -> anyhow::Result<()> {
        let name = name(role, n);
        let at = self.places.iter().position(|place| place.name == name).context("no such place")?;
        let mut place = self.places.remove(at);
        debug_assert!(place.role == role, "a name says the role");
        place.process.term();
        let ended = async {
            while place.process.try_exit().is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(DRAIN, ended).await;
        self.logs.push((format!("{name}-{}", place.side.as_str()), place.process.stderr().join("\n")));
        ensure!(ended.is_ok(), "{name} ({}) did not end within {DRAIN:?}", place.side.as_str());
        Ok(())
    }

    fn variables(&self, scope: &str) -> Vec<(&'static str, String)> {
        let history = self.history().to_string_lossy().into_owned();
        vec![("NOVA__NATS__URL", urls(&self.servers)), (HISTORY, history), ("NOVA_CHAOS_SCOPE", scope.to_owned())]
    }

    fn program(&self, side: Side, name: &str) -> anyhow::Result<PathBuf> {
        match side {
            Side::Present => field::program(name),
            Side::Released => Ok(self.released.join(name)),
        }
    }

    /// Runs a command to its end, on a thread that others do not need.
    async fn end_of(&self, mut command: Command) -> anyhow::Result<std::process::Output> {
        let program = Path::new(command.get_program()).display().to_string();
        let output = tokio::task::spawn_blocking(move || command.output()).await?;
        output.with_context(|| format!("could not run {program}"))
    }
}

fn urls(servers: &[NatsServer]) -> String {
    servers.iter().map(NatsServer::url).collect::<Vec<_>>().join(",")
}

fn name(role: Role, n: usize) -> String {
    match role {
        Role::Worker => format!("w{n}"),
        Role::Coordinator => format!("c{n}"),
        Role::Submitter => SUBMITTER.to_owned(),
    }
}
