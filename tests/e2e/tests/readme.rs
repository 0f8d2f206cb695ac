//! The documents' commands, run as a reader would: every `nats` and `nova` line of the code blocks marked `run`.
//!
//! A block's fence says "sh run". Each line must be known to [`EXPECT`], which says what it has to print. The stand-in in
//! `nats-cli` runs the lines everywhere, and the real `nats` command where there is one; the test says which ran.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nova_broker::Message;
use nova_e2e::{Fleet, PATIENCE, binary};
use nova_testkit::{Process, wait_until};

/// What each line prints, by how it begins; the longest beginning counts.
const EXPECT: &[(&str, &[&str])] = &[
    // README.md
    ("nats req nova.task.echo", &["\"stream\":\"NOVA_TASKS_echo\"", "\"seq\":"]),
    (
        "nats stream get NOVA_OUTCOMES --last-for nova.outcome.echo._.first",
        &["Nova-Outcome: completed;", "{\"hello\":\"world\"}"],
    ),
    ("nats req nova.call.shell", &["Nova-Outcome: completed;", "\"stdout\":\"hi\\n\""]),
    ("nats micro ls", &["nova-echo", "nova-shell", "nova-coordinator"]),
    ("nats kv ls nova-workers", &["echo-1", "shell-1"]),
    ("nats stream info NOVA_TASKS_echo", &["nova.task.echo.high", "NOVA_TASKS_echo"]),
    ("nats consumer ls NOVA_TASKS_echo", &["high", "normal", "low"]),
    // docs/protocol.md
    ("nats pub nova.task.echo", &["Published 7 bytes"]),
    (
        "nats stream get NOVA_OUTCOMES --last-for nova.outcome.echo.shop.order-41",
        &["completed;task=\"shop.order-41\"", "attempt=1", "{\"n\":41}"],
    ),
    (
        "nats stream get NOVA_DEAD --last-for nova.dead.echo.shop.broken",
        &["Nova-Dead: bad_input;", "Nova-Orig-Nats-Msg-Id: shop.broken", "{oops"],
    ),
    (
        "nats stream get NOVA_OUTCOMES --last-for nova.outcome.echo.shop.words",
        &[
            "completed;task=\"shop.words\"",
            "items=3",
            "[{\"result\":{\"n\":1}},{\"result\":{\"n\":2}},{\"result\":\"three\"}]",
        ],
    ),
    ("nats stream subjects NOVA_DEAD", &["nova.dead.echo.shop.broken"]),
    ("nats req nova.call.echo", &["Nova-Outcome: completed;", "{\"a\":1}"]),
    ("nats req nova.call.unknown", &["Nats-Service-Error-Code: 404"]),
    ("nats sub 'nova.done.echo.>'", &["Received on \"nova.done.echo.", "Nova-Outcome: completed;"]),
    ("nats req nova.later.echo", &["\"stream\":\"NOVA_SCHEDULES\""]),
    ("nats stream get NOVA_OUTCOMES --last-for nova.outcome.echo.shop.soon", &["completed;task=\"shop.soon\""]),
    ("nats stream subjects NOVA_SCHEDULES", &["nova.schedule.echo.shop.nightly"]),
    ("nats req nova.control.cancel.echo.shop.tomorrow", &["\"stream\":\"NOVA_CONTROL\""]),
    ("nats stream get NOVA_OUTCOMES --last-for nova.outcome.echo.shop.tomorrow", &["cancelled;task=\"shop.tomorrow\""]),
    // The tour of README.md
    ("nova skill add shout", &["nova provision apply"]),
    ("nova provision apply", &["create stream NOVA_TASKS_shout"]),
    ("nova submit shout", &["\"HELLO!\""]),
    ("nova submit echo '{\"hello\":\"world\"}'", &["{\"hello\":\"world\"}"]),
    ("nova show tour", &["completed", "echo-1"]),
    ("nova submit echo '\"later\"'", &["_.tour-2"]),
    ("nova why tour-2", &["is scheduled"]),
    ("nova cancel tour-2", &["_.tour-2"]),
    ("nova submit shell", &["_.nightly"]),
    ("nova schedule ls", &["_.nightly", "UTC"]),
    ("nova task ls", &["_.tour", "_.nightly", "completed", "scheduled"]),
    ("nova queue ls", &["echo", "shout"]),
    ("nova queue pause", &["paused"]),
    ("nova queue resume", &["resumed"]),
    ("nova worker ls", &["echo-1", "shell-1", "shout-1"]),
    ("nova workflow put greet.yaml", &["greet: stored"]),
    ("nova run start greet", &["hello"]),
    ("nova run show hello", &["each\tmap\tcompleted\t2/2", "waits for approval: Send these?"]),
    ("nova run approve hello ask", &["step ask is approved"]),
    ("nova wait hello", &["{\"sent\":[\"Hello, Ada!\",\"Hello, Grace!\"]}"]),
    ("nova run verify hello", &["holds"]),
    ("nova dead ls", &[]),
    ("nova bench", &["submits\t", "tasks\t", "latency\tp50 "]),
    ("nova provision check", &["as it is wanted"]),
    ("nova check", &["coordinator"]),
];

/// One command of a document.
#[derive(Debug, Clone)]
struct Line {
    place: String,
    command: String,
    is_background: bool,
}

/// The commands of one program in a document's blocks marked `run`, block by block.
fn shown(document: &str, program: &str) -> Vec<Vec<Line>> {
    let text = read(document);
    let mut blocks: Vec<Vec<Line>> = Vec::new();
    let mut is_open = false;
    for (index, line) in text.lines().enumerate() {
        if let Some(info) = line.trim_start().strip_prefix("```") {
            is_open = !is_open && info.split_whitespace().any(|word| word == "run");
            blocks.push(Vec::new());
        } else if is_open && line.split_whitespace().next() == Some(program) {
            // The shell reads the comment behind it as well; only the `&` is ours to carry out.
            let command = line.split("  #").next().unwrap_or_default().trim();
            let place = format!("{document}:{}", index + 1);
            let is_background = command.ends_with(" &");
            let command = command.trim_end_matches(" &").to_owned();
            blocks.last_mut().expect("a block is open").push(Line { place, command, is_background });
        }
    }
    blocks.retain(|block| !block.is_empty());
    assert!(!blocks.is_empty(), "{document} shows no {program} command to run");
    blocks
}

fn read(document: &str) -> String {
    let path = root().join(document);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A reader's terminal: a home of its own, the programs on its path, the fleet's address in its environment.
struct Terminal {
    home: tempfile::TempDir,
    url: String,
}

impl Terminal {
    fn open(url: String, nats: &Nats) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let programs = home.path().join("bin");
        std::fs::create_dir(&programs).expect("a folder");
        let program = programs.join("nats");
        match nats {
            Nats::Real(path) => std::os::unix::fs::symlink(path, program).expect("a link"),
            Nats::StandIn => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("nats-cli/nats.py");
                let text = format!("#!/bin/sh\nexec python3 '{}' \"$@\"\n", script.display());
                std::fs::write(&program, text).expect("written");
                let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&program, may_run).expect("our own file");
            }
        }
        Self { home, url }
    }

    fn start(&self, line: &Line) -> Process {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command.arg("-c").arg(&line.command).current_dir(self.home.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("NATS_") || name.starts_with("NOVA_") {
                command.env_remove(name);
            }
        }
        command
            .env("PATH", format!("{}:{path}", self.home.path().join("bin").display()))
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path().join(".config"))
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("NATS_URL", &self.url);
        Process::spawn(&format!("{} `{}`", line.place, line.command), command)
    }

    /// Runs a line to its end and returns whether it went well, and all it printed.
    async fn run(&self, line: &Line) -> (bool, String) {
        let mut process = self.start(line);
        let status = process.wait_exit(PATIENCE).await;
        (status.success(), said(&process))
    }

    /// Runs a document's lines in order and checks what each prints.
    async fn follow(&self, document: &str, program: &str) {
        for block in shown(document, program) {
            self.follow_block(&block).await;
        }
    }

    async fn follow_block(&self, block: &[Line]) {
        let mut background: Vec<(Line, Process)> = Vec::new();
        for line in block {
            if line.is_background {
                background.push((line.clone(), self.start(line)));
            } else {
                self.check(line).await;
            }
        }
        for (line, mut process) in background {
            // It may have begun to listen too late: what follows it is done again until it has heard.
            let (last, until) = (block.last().expect("a block has lines"), Instant::now() + PATIENCE);
            while process.try_exit().is_none() {
                assert!(Instant::now() < until, "{}: `{}` hears nothing", line.place, line.command);
                self.run(last).await;
            }
            process.wait_exit(PATIENCE).await;
            check_said(&line, &said(&process));
        }
    }

    /// Runs one line. One that only looks is run again until it sees what it should: outcomes take their time.
    async fn check(&self, line: &Line) {
        let does =
            ["nats req", "nats pub", "nova submit", "nova provision apply", "nova run start", "nova run approve"]
                .iter()
                .any(|verb| line.command.starts_with(verb));
        let until = Instant::now() + PATIENCE;
        loop {
            let (went_well, said) = self.run(line).await;
            if does || Instant::now() > until {
                assert!(went_well, "{}: `{}` failed:\n{said}", line.place, line.command);
                return check_said(line, &said);
            }
            if went_well && missing(line, &said).is_none() {
                return;
            }
        }
    }
}

fn said(process: &Process) -> String {
    [process.stdout(), process.stderr()].concat().join("\n")
}

/// The first thing that a line should have printed and did not.
fn missing(line: &Line, said: &str) -> Option<&'static str> {
    let known = EXPECT.iter().filter(|(start, _)| line.command.starts_with(start));
    let (_, words) = known.max_by_key(|(start, _)| start.len()).unwrap_or_else(|| {
        panic!("{}: `{}` is not known to EXPECT; say there what it has to print", line.place, line.command)
    });
    words.iter().copied().find(|word| !said.contains(word))
}

#[track_caller]
fn check_said(line: &Line, said: &str) {
    if let Some(word) = missing(line, said) {
        panic!("{}: `{}` did not print `{word}` but:\n{said}", line.place, line.command);
    }
}

/// Which `nats` command runs the documents' lines.
#[derive(Debug)]
enum Nats {
    /// The one that is installed, by `deploy/setup/nats-cli.sh` or otherwise.
    Real(PathBuf),
    /// Ours, which knows the documents' commands only.
    StandIn,
}

impl Nats {
    /// The real one where it is installed, and the stand-in always: it must not drift from what the documents show.
    fn all() -> Vec<Self> {
        let all: Vec<Self> = Self::installed().map(Self::Real).into_iter().chain([Self::StandIn]).collect();
        // Past the test's capture: whoever reads the run's output shall know.
        let _ = writeln!(std::io::stderr(), "the documents' nats commands are run by {all:?}");
        all
    }

    /// A program of that name and another make is passed over.
    fn installed() -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([root().join(".venv/bin")]);
        folders.map(|folder| folder.join("nats")).find_map(|program| {
            let help = Command::new(&program).arg("--help").output().ok()?;
            let text = [help.stdout, help.stderr].concat();
            String::from_utf8_lossy(&text).contains("NATS Utility").then(|| program.canonicalize().ok()).flatten()
        })
    }
}

/// A fleet as the documents assume it: `echo`, `shell` with every command allowed, a coordinator.
async fn fleet() -> Fleet {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "echo-1", &[]).await;
    fleet.worker("shell", "shell-1", &[("NOVA__SHELL__ALLOW_ALL", "true")]).await;
    fleet.spawn("nova-coordinator", "", &[]);
    wait_until("a coordinator to answer discovery", PATIENCE, || async {
        let ping = Message::new("$SRV.PING.nova-coordinator", "");
        fleet.broker.ask(ping, Duration::from_secs(1)).await.ok()
    })
    .await;
    fleet
}

#[tokio::test]
async fn the_readmes_nats_commands_work() {
    for nats in Nats::all() {
        let fleet = fleet().await;
        Terminal::open(fleet.server.url(), &nats).follow("README.md", "nats").await;
    }
}

#[tokio::test]
async fn the_protocols_nats_commands_work() {
    for nats in Nats::all() {
        let fleet = fleet().await;
        Terminal::open(fleet.server.url(), &nats).follow("docs/protocol.md", "nats").await;
    }
}

#[tokio::test]
async fn the_readmes_nova_commands_work() {
    let mut fleet = fleet().await;
    let terminal = Terminal::open(fleet.server.url(), &Nats::StandIn);
    std::os::unix::fs::symlink(binary("nova"), terminal.home.path().join("bin/nova")).expect("a link");
    let readme = read("README.md");
    let (_, rest) = readme.split_once("\n```yaml\n").expect("README.md shows a workflow");
    let (workflow, _) = rest.split_once("```\n").expect("a block ends");
    std::fs::write(terminal.home.path().join("greet.yaml"), workflow).expect("written");
    let mut blocks = shown("README.md", "nova").into_iter();
    // The first block makes the queue of the worker that the README builds; then that worker starts.
    terminal.follow_block(&blocks.next().expect("a block")).await;
    fleet.spawn("examples/shout", "shout-1", &[]);
    fleet.present("shout-1").await;
    for block in blocks {
        terminal.follow_block(&block).await;
    }
}

#[test]
fn the_readmes_first_worker_is_the_example_that_is_built() {
    let example = read("shared/worker/examples/shout.rs");
    let readme = read("README.md");
    let mut blocks = readme.split("\n```rust\n").skip(1).filter_map(|rest| rest.split_once("```\n"));
    assert!(
        blocks.any(|(block, _)| block == example),
        "README.md does not show shared/worker/examples/shout.rs as it is"
    );
    assert!(example.lines().count() < 30, "a first worker has under 30 lines");
}
