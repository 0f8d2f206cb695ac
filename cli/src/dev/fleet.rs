//! Starts and stops a fleet: server, assets, coordinators, workers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nova_broker::jetstream::{self, Options as NatsOptions};
use nova_client::Client;
use nova_provision::{ApplyOptions, Catalogue, Profile, apply, desired};
use nova_types::Skill;
use serde::Serialize;
use tokio::sync::broadcast;

use super::log::Log;
use super::nats::{self, Program};
use super::ready;
use super::store::Store;
use super::unit::{Death, Spec, Unit};
use super::workers::{self, Crew, Wanted};
use crate::clock;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// How long the server may take to end; it only closes its files.
const SERVER_GRACE: Duration = Duration::from_secs(15);
/// Deaths that a slow watcher may fall behind by; they are in the log, too.
const DEATHS: usize = 64;

/// What a fleet is to be.
pub(crate) struct Options {
    /// Where its data lies.
    pub(crate) store: PathBuf,
    /// The port on this machine; 0 for any free one.
    pub(crate) port: u16,
    /// What its server promises.
    pub(crate) profile: Profile,
    /// Its skills.
    pub(crate) catalogue: Catalogue,
    /// How many workers, where that is not one each.
    pub(crate) workers: Vec<Wanted>,
    /// How many coordinators; each of them can do everything.
    pub(crate) coordinators: u32,
    /// Where the processes' lines are shown beside the log.
    pub(crate) echo: Option<Out>,
}

/// One worker, as others may know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct WorkerView {
    /// Its name.
    pub(crate) worker: String,
    /// Its skill.
    pub(crate) skill: Skill,
    /// Its process, while it runs.
    pub(crate) pid: Option<u32>,
}

struct WorkerUnit {
    skill: Skill,
    unit: Unit,
}

/// A running fleet. Stop it: dropping it kills.
pub(crate) struct Fleet {
    store: Store,
    server: Program,
    profile: Profile,
    log: Arc<Log>,
    deaths: broadcast::Sender<Death>,
    nats: Option<Unit>,
    coordinators: Vec<Unit>,
    workers: Vec<WorkerUnit>,
    url: String,
    client: Option<Client>,
}

impl Fleet {
    /// Starts everything and waits until it is ready; `told` hears what it is doing.
    ///
    /// # Errors
    /// Whatever is missing or refuses; what was started is stopped again.
    pub(crate) async fn start(options: Options, told: &(dyn Fn(&str) + Sync)) -> Result<Self, Failure> {
        let server = nats::find()?;
        let folder = own_folder()?;
        let crews = workers::crews(&options.catalogue, &options.workers, &folder)?;
        let coordinator = workers::coordinator_in(&folder)?;
        let store = Store::open(&options.store).await?;
        if options.port != 0 {
            nats::check_port(options.port)?;
        }
        let log = Log::open(store.log(), options.echo.clone());
        let log = log.map_err(|source| Failure::io(format!("write {}", store.log().display()), source))?;
        let mut fleet = Self {
            store,
            server,
            profile: options.profile,
            log: Arc::new(log),
            deaths: broadcast::channel(DEATHS).0,
            nats: None,
            coordinators: Vec::new(),
            workers: Vec::new(),
            url: String::new(),
            client: None,
        };
        match fleet.bring_up(&options, &crews, &coordinator, told).await {
            Ok(()) => Ok(fleet),
            Err(failure) => {
                fleet.stop().await;
                Err(failure)
            }
        }
    }

    async fn bring_up(
        &mut self,
        options: &Options,
        crews: &[Crew],
        coordinator: &Path,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Failure> {
        told("starting nats-server");
        let port = self.start_server(options.port).await?;
        self.url = format!("nats://127.0.0.1:{port}");
        let broker = Arc::new(jetstream::connect(NatsOptions::new(&self.url, "nova-dev")).await?);
        self.provision(&*broker, &options.catalogue, told).await?;
        told("starting workers");
        for number in 1..=options.coordinators {
            let number = (options.coordinators > 1).then_some(number);
            let unit = self.unit(workers::coordinator(coordinator, number, &self.url));
            self.coordinators.push(unit);
        }
        for crew in crews {
            for number in 1..=crew.count {
                let unit = self.unit(workers::worker(crew, number, &self.url));
                self.workers.push(WorkerUnit { skill: crew.skill.clone(), unit });
            }
        }
        let client = Client::new(broker, Client::random_scope());
        let units: Vec<&Unit> = self.workers.iter().map(|worker| &worker.unit).collect();
        ready::all(&client, &self.coordinators, &units, told).await?;
        self.client = Some(client);
        Ok(())
    }

    async fn start_server(&mut self, asked: u16) -> Result<u16, Failure> {
        let (ports, config) = (self.store.ports(), self.store.server_config());
        let failed = |source| Failure::io(format!("write {}", config.display()), source);
        // What an earlier server said of its port must not be taken for the new one's word.
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir_all(&ports).map_err(failed)?;
        let write = |port| std::fs::write(&config, nats::configuration(&self.store, self.profile, port));
        write((asked != 0).then_some(asked)).map_err(failed)?;
        let unit = self.unit(Spec {
            name: "nats-server".to_owned(),
            program: self.server.path.clone(),
            args: vec!["-c".into(), config.clone().into()],
            env: Vec::new(),
            hidden: Vec::new(),
            keep: Some(self.store.shared_lock().map_err(|source| Failure::io("share the store's lock", source))?),
            grace: SERVER_GRACE,
        });
        let unit = self.nats.insert(unit);
        let port = ready::server(unit, &ports, asked).await?;
        // A server that is started again has to be found where it was.
        write(Some(port)).map_err(failed)?;
        Ok(port)
    }

    async fn provision(
        &self,
        broker: &dyn nova_broker::Broker,
        catalogue: &Catalogue,
        told: &(dyn Fn(&str) + Sync),
    ) -> Result<(), Failure> {
        let wanted = desired(catalogue, nova_provision::Options { profile: self.profile, now: clock::now() });
        let report = apply(broker, &wanted, ApplyOptions::default(), |progress| {
            told(&format!("setting up streams {}/{}", progress.step, progress.of));
        })
        .await?;
        if report.is_complete() {
            return Ok(());
        }
        let held = report.held.iter().filter(|held| !held.is_foreign);
        let held: Vec<String> = held.map(|held| format!("\n    {}: {}", held.asset, held.why)).collect();
        let message = format!("the store {} is set up otherwise:{}", self.store.root().display(), held.concat());
        Err(Failure::new(Exit::REFUSED, "drift", message).help("begin with an empty store: --store DIR"))
    }

    fn unit(&self, spec: Spec) -> Unit {
        Unit::start(spec, Arc::clone(&self.log), self.deaths.clone())
    }

    /// Stops the workers, then the coordinators, then the server: each is asked once and then waited for.
    pub(crate) async fn stop(&mut self) {
        self.workers.iter().for_each(|worker| worker.unit.ask_to_stop());
        for worker in &mut self.workers {
            worker.unit.ended().await;
        }
        self.coordinators.iter().for_each(Unit::ask_to_stop);
        for unit in self.coordinators.iter_mut().chain(&mut self.nats) {
            unit.ask_to_stop();
            unit.ended().await;
        }
    }

    /// Ends every process now.
    pub(crate) fn kill(&self) {
        self.units().for_each(Unit::kill);
    }

    fn units(&self) -> impl Iterator<Item = &Unit> {
        self.workers.iter().map(|worker| &worker.unit).chain(&self.coordinators).chain(&self.nats)
    }

    /// Its NATS address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where its data lies.
    pub(crate) fn store(&self) -> &Path {
        self.store.root()
    }

    /// Where its processes' lines are.
    pub(crate) fn log(&self) -> &Path {
        self.log.path()
    }

    /// The version of its server.
    pub(crate) fn server_version(&self) -> &str {
        &self.server.version
    }

    /// What its server promises.
    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// A connected client.
    ///
    /// # Panics
    /// Never: a fleet that was started has one.
    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().expect("a fleet that is ready has a client")
    }

    /// Its processes and their ids, in the order of their start.
    pub(crate) fn processes(&self) -> Vec<(String, Option<u32>)> {
        let first = self.nats.iter().chain(&self.coordinators);
        let all = first.chain(self.workers.iter().map(|worker| &worker.unit));
        all.map(|unit| (unit.name().to_owned(), unit.state().pid)).collect()
    }

    /// Its workers.
    pub(crate) fn workers(&self) -> Vec<WorkerView> {
        let view = |worker: &WorkerUnit| WorkerView {
            worker: worker.unit.name().to_owned(),
            skill: worker.skill.clone(),
            pid: worker.unit.state().pid,
        };
        self.workers.iter().map(view).collect()
    }

    /// Its coordinators and their processes, while they run.
    pub(crate) fn coordinators(&self) -> Vec<(String, Option<u32>)> {
        self.coordinators.iter().map(|unit| (unit.name().to_owned(), unit.state().pid)).collect()
    }

    /// Hears of processes that die from now on.
    pub(crate) fn deaths(&self) -> broadcast::Receiver<Death> {
        self.deaths.subscribe()
    }
}

fn own_folder() -> Result<PathBuf, Failure> {
    let exe = std::env::current_exe().and_then(|exe| exe.canonicalize());
    let exe = exe.map_err(|source| Failure::io("find this program's own folder", source))?;
    Ok(exe.parent().map(Path::to_path_buf).unwrap_or_default())
}
