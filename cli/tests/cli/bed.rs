//! One fleet per test: a server, assets made by `nova provision apply`, and a worker that does as its input says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BrokerRef, jetstream};
use nova_runtime::{Metrics, Shutdown};
use nova_testkit::NatsServer;
use nova_worker::{Context, Skill, Verdict, Worker, WorkerId, WorkerOptions};
use serde_json::Value;

/// Every wait in these tests ends by then.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Asserts the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.stderr.contains(words), "{self:?}");
        self
    }

    /// Stdout as JSON objects, one per line.
    #[track_caller]
    pub fn rows(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {self:?}"))).collect()
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub fn row(&self) -> Value {
        let mut rows = self.rows();
        assert_eq!(rows.len(), 1, "{self:?}");
        rows.remove(0)
    }
}

/// The binary with a home of its own and nothing of this process's environment.
pub struct Nova {
    pub home: tempfile::TempDir,
    pub variables: BTreeMap<String, String>,
}

impl Nova {
    pub fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().display().to_string();
        let given = [("HOME", path.clone()), ("XDG_RUNTIME_DIR", path), ("PATH", "/usr/bin:/bin".to_owned())];
        Self { home, variables: given.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nova"));
        command.args(args).env_clear().envs(&self.variables).current_dir(self.home.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, "")
    }

    pub fn run_with(&self, args: &[&str], stdin: &str) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let mut input = child.stdin.take().expect("piped");
        // A command that does not read its stdin may have ended already.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        Ran {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Writes a file in the home folder.
    pub fn file(&self, path: &str, text: &str) -> String {
        let path = self.home.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("made");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

/// Does what its input says: die, hang until cancelled, or give it back.
struct Obedient;

impl Skill for Obedient {
    type Input = Value;
    type Output = Value;

    fn name(&self) -> &str {
        "echo"
    }

    async fn run(&self, input: Value, cx: Context) -> Result<Value, Verdict> {
        if input.get("die").is_some() {
            return Err(Verdict::reject("broken", "it broke"));
        }
        if input.get("hang").is_some() {
            cx.cancelled().await;
            return Err(Verdict::cancel());
        }
        Ok(input)
    }
}

/// A provisioned fleet.
pub struct Fleet {
    pub nova: Nova,
    pub server: NatsServer,
    runtime: tokio::runtime::Runtime,
    workers: Vec<Shutdown>,
}

impl Fleet {
    /// A broker with Nova's assets and no worker.
    pub fn start() -> Self {
        let server = NatsServer::start();
        let mut nova = Nova::new();
        nova.set("NATS_URL", &server.url());
        nova.run(&["provision", "apply"]).exits(0);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Self { nova, server, runtime: runtime.expect("threads"), workers: Vec::new() }
    }

    /// The same with a worker for skill echo.
    pub fn with_worker() -> Self {
        let mut fleet = Self::start();
        fleet.add_worker("w1");
        fleet
    }

    pub fn add_worker(&mut self, id: &str) {
        let shutdown = Shutdown::manual();
        let options = WorkerOptions {
            id: WorkerId::new(id).expect("an id"),
            slots: 4,
            threads: 0,
            cancel_grace: Duration::from_secs(1),
            outcomes_kept: Duration::from_secs(24 * 3600),
            labels: BTreeMap::new(),
            http: None,
            clock: nova_runtime::system_clock(),
            metrics: Metrics::new(),
            shutdown: shutdown.clone(),
        };
        let broker = self.broker();
        self.runtime.spawn(Worker::new().skill(Obedient).run(broker, options));
        self.workers.push(shutdown);
    }

    pub fn broker(&self) -> BrokerRef {
        let options = jetstream::Options::new(self.server.url(), "test");
        Arc::new(self.runtime.block_on(jetstream::connect(options)).expect("it listens"))
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.nova.run(args)
    }

    /// Runs a command until its exit code and output are as they should be.
    pub fn until(&self, what: &str, args: &[&str], mut is_so: impl FnMut(&Ran) -> bool) -> Ran {
        nova_testkit::wait_until_blocking(what, DEADLINE, || Some(self.run(args)).filter(&mut is_so))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for worker in &self.workers {
            worker.drain();
        }
    }
}
