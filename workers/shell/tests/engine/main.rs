//! Real commands under the engine, at every level of enforcement this machine has.
#![allow(clippy::print_stderr, reason = "a test says which levels it ran at")]

use std::future::pending;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nova_shell::config::{Config, Enforcement, Settings};
use nova_shell::job::{Patience, Report};
use nova_shell::limits::{Breach, Limits};
use nova_shell::request::{Request, admit};
use nova_shell::run::{Engine, RunError};
use nova_shell::tree;

mod ends;
mod enforced;
mod isolation;
mod lost;

/// Nothing here takes this long unless it hangs.
const HANG: Duration = Duration::from_secs(30);

fn engine(enforcement: Enforcement) -> Option<Engine> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_nova-shell"));
    Engine::new(enforcement, None).ok().map(|engine| engine.with_supervisor(program))
}

/// An engine per level: sampling always, cgroup where this process may make groups.
fn levels() -> Vec<(&'static str, Engine)> {
    let mut all = vec![("sampling", engine(Enforcement::Sampling).expect("sampling works everywhere"))];
    match engine(Enforcement::Cgroup) {
        Some(engine) => all.push(("cgroup", engine)),
        None => eprintln!("this machine lets us make no cgroups: ran with sampling only"),
    }
    for (level, engine) in &all {
        eprintln!("level {level}: {:?}", engine.places());
    }
    all
}

fn settings() -> Settings {
    Config { allow_all: true, ..Config::default() }.check().expect("a good configuration")
}

/// Limits in which a small command fits easily; each test lowers the one it is about.
fn roomy() -> Limits {
    Limits { wall: Duration::from_secs(20), cpu: Duration::from_secs(20), ..Limits::default() }
}

fn request(argv: &[&str]) -> Request {
    Request { argv: argv.iter().map(|a| (*a).to_owned()).collect(), ..Request::default() }
}

async fn try_run(engine: &Engine, request: Request, limits: Limits) -> Result<Report, RunError> {
    let (spec, _) = admit(&settings(), request).expect("everything is allowed");
    let run = engine.run(spec, limits, Patience::default(), pending());
    tokio::time::timeout(HANG, run).await.expect("the attempt does not hang")
}

async fn run(engine: &Engine, request: Request, limits: Limits) -> Report {
    try_run(engine, request, limits).await.expect("a report")
}

async fn sh(engine: &Engine, script: &str, limits: Limits) -> Report {
    run(engine, request(&["sh", "-c", script]), limits).await
}

async fn python(engine: &Engine, script: &str, limits: Limits) -> Report {
    run(engine, request(&["python3", "-c", script]), limits).await
}

/// A number that no other command line on this machine holds.
fn mark() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("{}{number:04}", 10_000_000 + std::process::id())
}

/// The living processes whose command line holds the mark as an argument of its own.
fn marked(mark: &str) -> Vec<i32> {
    let holds = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|argument| argument == mark.as_bytes())
    };
    tree::scan().into_iter().filter(|p| !p.zombie && holds(p.pid)).map(|p| p.pid).collect()
}

async fn until(what: &str, mut state: impl FnMut() -> bool) {
    let deadline = Instant::now() + HANG;
    while !state() {
        assert!(Instant::now() < deadline, "never saw: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

fn assert_breach(report: &Report, breach: Breach, level: &str) {
    assert_eq!(report.breach, Some(breach), "{level}: {report:?}, {:?}", text(&report.stderr));
    assert!(!report.survivors, "{level}: {report:?}");
}
