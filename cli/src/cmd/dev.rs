//! `nova dev`: a whole fleet on this machine, for as long as the command runs.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use nova_provision::Profile;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::catalogue::SkillsArg;
use crate::connect::environment;
use crate::cx::runtime;
use crate::dev::announce::announce;
use crate::dev::fleet::{Fleet, Options, WorkerView};
use crate::dev::signals::{Asked, Signals};
use crate::dev::store::default_root;
use crate::dev::unit::Death;
use crate::dev::workers::Wanted;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::progress::Progress;

/// Run a whole fleet on this machine: broker, coordinator and the built-in workers
///
/// It listens on 127.0.0.1 only and needs no credentials: whoever is on this machine may use it, shell commands included.
/// Its data outlives it; its processes do not.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  nova dev
  nova dev --workers code-review=3,echo=0
  nova dev --port 0 --store ./data --json")]
pub(crate) struct Args {
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 4222)]
    port: u16,
    /// Where the data lies [default: nova/dev in your data folder]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// How many workers of a skill; one of each unless told
    #[arg(long, value_name = "SKILL=N", value_delimiter = ',')]
    workers: Vec<Wanted>,
    #[command(flatten)]
    skills: SkillsArg,
    /// What the broker promises
    #[arg(long, value_enum, default_value_t = DevProfile::Fast)]
    profile: DevProfile,
    /// Show what the processes say, too
    #[arg(long, short)]
    verbose: bool,
}

/// The profiles of a single server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DevProfile {
    /// Survives kill -9; a power cut may lose the last minutes
    Fast,
    /// Every write is synced to the disk: loses nothing, slower
    Durable,
}

impl From<DevProfile> for Profile {
    fn from(profile: DevProfile) -> Self {
        match profile {
            DevProfile::Fast => Self::Fast,
            DevProfile::Durable => Self::Durable,
        }
    }
}

/// The one line of `--json`.
#[derive(Serialize)]
struct Ready<'a> {
    nats: &'a str,
    store: String,
    pid: u32,
    workers: Vec<WorkerView>,
    profile: Profile,
    server: &'a str,
    log: String,
}

/// Runs the command.
///
/// # Errors
/// When something is missing, taken or refused; the failure says what to do.
pub(crate) fn run(out: Out, args: Args) -> Result<Exit, Failure> {
    let store = args.store.map_or_else(|| default_root(&environment), Ok)?;
    let log = store.join("dev.log");
    let options = Options {
        store,
        port: args.port,
        profile: args.profile.into(),
        catalogue: args.skills.all()?,
        workers: args.workers,
        coordinators: 1,
        echo: args.verbose.then(|| out.clone()),
    };
    runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let progress = Progress::spinner(&out, "starting");
        let told = |what: &str| progress.note(what);
        let started = tokio::select! {
            started = Fleet::start(options, &told) => started,
            asked = signals.next() => return Ok(given_up(asked)),
        };
        drop(progress);
        let mut fleet = started.map_err(|failure| {
            let is_told_there = ["server_failed", "process_failed", "not_ready"].contains(&failure.code.as_str());
            if is_told_there { failure.help(format!("what the processes said: {}", log.display())) } else { failure }
        })?;
        let deaths = fleet.deaths();
        let announced = announce(fleet.url());
        if let Err(error) = &announced {
            out.say(format!("warning: other commands need --server {}: {error}", fleet.url()));
        }
        // A reader that has gone away wanted the fleet, not the text.
        let _ = show(&out, &fleet);
        watch(&out, &fleet, deaths, &mut signals).await;
        drop(announced);
        stop(&out, &mut fleet, &mut signals).await
    })
}

fn given_up(asked: Asked) -> Exit {
    match asked {
        Asked::Interrupt => Exit::INTERRUPTED,
        Asked::Terminate => Exit::FAILURE,
    }
}

/// Tells of deaths until a signal comes.
async fn watch(out: &Out, fleet: &Fleet, mut deaths: broadcast::Receiver<Death>, signals: &mut Signals) {
    loop {
        tokio::select! {
            death = deaths.recv() => match death {
                Ok(death) => out.say(told(&death)),
                Err(broadcast::error::RecvError::Lagged(missed)) => out.say(format!("{missed} more deaths: see {}", fleet.log().display())),
                Err(broadcast::error::RecvError::Closed) => return,
            },
            _ = signals.next() => return,
        }
    }
}

/// A death in words.
pub(crate) fn told(death: &Death) -> String {
    let pid = death.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    format!("{}{pid} {}; started again in {} ms", death.name, death.how, death.again_in.as_millis())
}

async fn stop(out: &Out, fleet: &mut Fleet, signals: &mut Signals) -> Result<Exit, Failure> {
    out.say("stopping: running attempts may finish (again to end at once)");
    let is_hurried = tokio::select! {
        () = fleet.stop() => false,
        _ = signals.next() => true,
    };
    if is_hurried {
        fleet.kill();
        fleet.stop().await;
        return Ok(Exit::INTERRUPTED);
    }
    Ok(Exit::OK)
}

fn show(out: &Out, fleet: &Fleet) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(&Ready {
            nats: fleet.url(),
            store: fleet.store().display().to_string(),
            pid: std::process::id(),
            workers: fleet.workers(),
            profile: fleet.profile(),
            server: fleet.server_version(),
            log: fleet.log().display().to_string(),
        });
    }
    out.raw(table(fleet).as_bytes())
}

fn table(fleet: &Fleet) -> String {
    let promise = match fleet.profile() {
        Profile::Fast => "survives kill -9; a power cut may lose the last minutes",
        Profile::Durable | Profile::Replicated => "every write is synced to the disk; loses nothing",
    };
    let mut text = format!("Nova is up: {}\n\n", fleet.url());
    let mut say = |line: String| writeln!(text, "{line}").expect("writing to a String cannot fail");
    for (name, pid) in fleet.processes() {
        let about = if name == "nats-server" { fleet.server_version() } else { "" };
        let line = format!("  {name:<16} process {:<8} {about}", pid.map(|pid| pid.to_string()).unwrap_or_default());
        say(line.trim_end().to_owned());
    }
    say(format!("\n  data     {}", fleet.store().display()));
    say(format!("  log      {}", fleet.log().display()));
    say(format!("  profile  {}: {promise}", fleet.profile()));
    say("\nTry, in another terminal:".to_owned());
    say("  nova submit echo '{\"hello\": \"world\"}' --wait".to_owned());
    say("  nova review .".to_owned());
    say("  nova worker ls".to_owned());
    say("\nCtrl-C stops it; the data stays.".to_owned());
    text
}
