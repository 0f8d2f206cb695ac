//! The same task by hand on the client library, as processes of their own: see the example `yardstick` of nova-broker.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nova_testkit::Process;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::bed::{Bed, PATIENCE};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The fastest that can be written.
    Raw,
    /// What the client library offers.
    Stock,
    /// The same calls, each task after the end of the one before.
    OneByOne,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Stock => "stock",
            Self::OneByOne => "one-by-one",
        }
    }
}

/// A worker by hand and a submitter by hand.
pub struct Yardstick {
    worker: Option<Process>,
    submitter: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// What the submitter tells of its tasks: times of single ones.
#[derive(Debug, Clone, Copy)]
pub struct Told {
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred the slowest, in milliseconds.
    pub p99_ms: f64,
}

impl Yardstick {
    /// Starts both on a queue.
    ///
    /// # Errors
    /// When the example is not built (`make bench` builds it).
    pub async fn start(bed: &Bed, kind: Kind, skill: &str, slots: usize) -> anyhow::Result<Self> {
        let mut command = std::process::Command::new(program()?);
        command.args([kind.word(), "work", &bed.server.url(), skill, &slots.to_string()]);
        let worker = Process::spawn(kind.word(), command);
        worker.wait_stdout("ready", PATIENCE).await;
        Ok(Self { worker: Some(worker), ..Self::submitter(bed, kind, skill)? })
    }

    /// Starts only the submitter.
    ///
    /// # Errors
    /// When the example is not built (`make bench` builds it).
    pub fn submitter(bed: &Bed, kind: Kind, skill: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program()?);
        command.args([kind.word(), "submit", &bed.server.url(), skill]).kill_on_drop(true);
        let mut submitter = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = submitter.stdin.take().context("the submitter takes no orders")?;
        let answers = BufReader::new(submitter.stdout.take().context("the submitter tells nothing")?).lines();
        Ok(Self { worker: None, submitter, orders, answers })
    }

    /// The worker's process.
    pub fn worker_pid(&self) -> u32 {
        self.worker.as_ref().map_or(0, Process::pid)
    }

    /// The submitter's process.
    pub fn submitter_pid(&self) -> u32 {
        self.submitter.id().unwrap_or(0)
    }

    /// Both processes, as far as they run.
    pub fn pids(&self) -> Vec<u32> {
        self.worker.as_ref().map(Process::pid).into_iter().chain(self.submitter.id()).collect()
    }

    /// Submits tasks, so many at once, and waits for their ends.
    ///
    /// # Errors
    /// When it ends early or takes too long.
    pub async fn wait(&mut self, tasks: usize, in_flight: usize) -> anyhow::Result<Told> {
        self.order("wait", tasks, in_flight).await
    }

    /// Submits tasks, so many at once, and waits for their receipts.
    ///
    /// # Errors
    /// When it ends early or takes too long.
    pub async fn send(&mut self, tasks: usize, in_flight: usize) -> anyhow::Result<()> {
        self.order("send", tasks, in_flight).await.map(drop)
    }

    async fn order(&mut self, what: &str, tasks: usize, in_flight: usize) -> anyhow::Result<Told> {
        self.orders.write_all(format!("{what} {tasks} {in_flight}\n").as_bytes()).await?;
        let line = tokio::time::timeout(PATIENCE + Duration::from_secs(60), self.answers.next_line()).await;
        let line = line.context("the yardstick does not answer")??.context("the yardstick ended")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["done", count, p50, p99] = words[..] else { bail!("the yardstick says `{line}`") };
        ensure!(count.parse::<usize>()? == tasks || what == "send", "the yardstick did {count} of {tasks}");
        let ms = |text: &str| text.parse::<f64>().map(|us| us / 1e3);
        Ok(Told { p50_ms: ms(p50)?, p99_ms: ms(p99)? })
    }
}

/// The example's program, beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the program does not know where it is")?;
    let path = own.with_file_name("examples").join("yardstick");
    ensure!(path.is_file(), "{} is not built: run `make bench`", path.display());
    Ok(path)
}
