//! A fleet for tests: a real nats-server, provisioned, with real worker and coordinator processes.

pub mod command;
pub mod users;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::jetstream::{self, Options};
use nova_broker::{BrokerRef, Message, Scan, Stored};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_testkit::{NatsServer, Process, wait_until};
use nova_types::{Outcome, Skill, TaskId, UnixMillis};
use nova_wire::{WorkerRow, assets, name, parse_outcome, subject};

/// How long any state may take to come about. Far above what it takes: a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One server and what was started on it; all of it ends with this.
pub struct Fleet {
    /// The server.
    pub server: NatsServer,
    /// A connection without restrictions.
    pub broker: BrokerRef,
    processes: Vec<Process>,
}

impl Fleet {
    /// Starts a server and makes the built-in assets on it.
    pub async fn start() -> Self {
        Self::on(NatsServer::start()).await
    }

    /// Makes the built-in assets on a server.
    pub async fn on(server: NatsServer) -> Self {
        let broker = connect(&server.url(), "e2e").await;
        provision(&broker).await;
        Self::over(server, broker)
    }

    /// A server as it is, with a connection to it.
    pub fn over(server: NatsServer, broker: BrokerRef) -> Self {
        Self { server, broker, processes: Vec::new() }
    }

    /// Starts a worker of a built-in skill and waits until it is present. Returns where it stands among the processes.
    pub async fn worker(&mut self, skill: &str, id: &str, env: &[(&str, &str)]) -> usize {
        let index = self.spawn(&format!("nova-{skill}"), id, env);
        self.present(id).await;
        index
    }

    /// Starts a coordinator and waits until it answers discovery.
    pub async fn coordinator(&mut self) -> usize {
        let index = self.spawn("nova-coordinator", "", &[]);
        self.processes[index].wait_stderr("coordinator ready", PATIENCE).await;
        index
    }

    /// Starts one of our binaries against the server.
    pub fn spawn(&mut self, program: &str, id: &str, env: &[(&str, &str)]) -> usize {
        let mut command = Command::new(binary(program));
        command.env("NOVA__NATS__URL", self.server.url()).env("NOVA__SERVE__LISTEN", "");
        if !id.is_empty() {
            command.env("NOVA__WORKER__ID", id);
        }
        command.envs(env.iter().copied());
        self.processes.push(Process::spawn(&format!("{program} {id}"), command));
        self.processes.len() - 1
    }

    /// One of the processes.
    pub fn process(&mut self, index: usize) -> &mut Process {
        &mut self.processes[index]
    }

    /// Waits until a worker is present.
    pub async fn present(&self, id: &str) {
        let worker = nova_types::WorkerId::new(id).expect("a valid id");
        let (stream, key) = (assets::bucket_stream(assets::WORKERS_BUCKET), subject::presence(&worker));
        wait_until(format!("worker {id} to be present"), PATIENCE, || async {
            let stored = self.broker.last(stream.clone(), key.clone()).await.ok()??;
            stored.headers.get("KV-Operation").is_none().then_some(())
        })
        .await;
    }

    /// A metric of a worker that serves them, 0 when it does not show yet.
    pub async fn metric(&self, id: &str, line: &str) -> f64 {
        let worker = nova_types::WorkerId::new(id).expect("a valid id");
        let (stream, key) = (assets::bucket_stream(assets::WORKERS_BUCKET), subject::presence(&worker));
        let stored = self.broker.last(stream, key).await.expect("readable").expect("the worker is present");
        let row: WorkerRow = serde_json::from_slice(&stored.body).expect("a presence row");
        let text = scrape(&row.http.expect("the worker serves metrics")).await;
        let value = text.lines().find_map(|shown| shown.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// Publishes a task as any NATS client would and returns the broker's receipt as text.
    pub async fn request(&self, subject: &str, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> String {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let message = Message::new(subject, body).with_headers(headers);
        let answer = self.broker.ask(message, Duration::from_secs(10)).await.expect("the broker answers");
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Waits for a task's outcome record.
    pub async fn outcome(&self, skill: &str, id: &str) -> (Outcome, Stored) {
        let skill = Skill::new(skill).expect("a valid skill");
        let id: TaskId = id.parse().expect("a valid id");
        let subject = subject::outcome(&skill, &id);
        let stored = wait_until(format!("the outcome of {id}"), PATIENCE, || async {
            self.broker.last(assets::OUTCOMES.to_owned(), subject.clone()).await.ok()?
        })
        .await;
        let header = stored.headers.get(name::OUTCOME).expect("an outcome has its header");
        (parse_outcome(header).expect("a well-formed outcome"), stored)
    }

    /// Waits until as many outcomes of a skill are stored, and returns all that are.
    pub async fn outcomes(&self, skill: &str, count: usize, patience: Duration) -> Vec<Stored> {
        let filter = subject::outcomes_of(&Skill::new(skill).expect("a valid skill"));
        wait_until(format!("{count} outcomes of {skill}"), patience, || async {
            let info = self.broker.stream(assets::OUTCOMES.to_owned()).await.ok()??;
            (info.messages >= count as u64).then_some(())
        })
        .await;
        self.broker.scan(Scan::all(assets::OUTCOMES, filter, count * 2)).await.expect("outcomes can be read")
    }

    /// How many messages of a subject a stream holds.
    pub async fn count(&self, stream: &str, subject: &str) -> usize {
        self.broker.scan(Scan::all(stream, subject, 100_000)).await.expect("a stream can be read").len()
    }

    /// Waits until a skill's queue has nothing left: no message undelivered or unacked.
    pub async fn drained(&self, skill: &str) {
        let stream = assets::tasks_stream(&Skill::new(skill).expect("a valid skill"));
        wait_until(format!("queue {skill} to be empty"), PATIENCE, || async {
            // The three priorities, and the partitions of a keyed skill.
            let consumers = self.broker.consumers(stream.clone()).await.ok()?;
            let is_whole = consumers.len() >= nova_types::Priority::ALL.len();
            (is_whole && consumers.iter().all(|info| info.pending + info.ack_pending == 0)).then_some(())
        })
        .await;
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for process in &self.processes {
            let lines = process.stderr();
            #[expect(clippy::print_stderr, reason = "a failed test shows what its processes said")]
            for line in &lines[lines.len().saturating_sub(30)..] {
                eprintln!("{}| {line}", process.pid());
            }
        }
    }
}

/// Asks a process for its metrics.
async fn scrape(address: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("metrics are served");
    let ask = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(ask.as_bytes()).await.expect("the request is taken");
    let mut text = String::new();
    socket.read_to_string(&mut text).await.expect("the answer ends");
    text
}

/// Connects without credentials.
pub async fn connect(url: &str, name: &str) -> BrokerRef {
    Arc::new(jetstream::connect(Options::new(url, name)).await.expect("the test's own server is up"))
}

/// Makes the built-in assets.
pub async fn provision(broker: &BrokerRef) {
    // A fixed moment: first sequences are made of it, and tests like to see the same ones.
    let options = nova_provision::Options { profile: Profile::Fast, now: UnixMillis(1_795_370_000_000) };
    let wanted = desired(&Catalogue::built_in(), options);
    let report = nova_provision::apply(&**broker, &wanted, ApplyOptions::default(), |_| {}).await;
    assert!(report.expect("assets can be made").is_complete(), "a new server takes all assets");
}

/// One of the workspace's binaries, built before the tests run.
pub fn binary(name: &str) -> PathBuf {
    let mut directory = std::env::current_exe().expect("a test knows where it is");
    // target/<profile>/deps/<test> stands beside target/<profile>/<binary>.
    directory.pop();
    if directory.ends_with("deps") {
        directory.pop();
    }
    let path = directory.join(name);
    assert!(path.exists(), "{} is not built: run `make build` (or `make test`, which does)", path.display());
    path
}
