//! Runs chaos: seeded faults on a real fleet, a verdict as the exit status, the figures on the last line.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use nova_chaos::plan::{Fault, Period, Shape};
use nova_chaos::run::{Asked, Report, run};
use nova_chaos::sabotage::Sabotage;
use nova_chaos::{power, report, upgrade, worker};
use nova_provision::Profile;

/// Breaks a real fleet on this machine, and judges what became of every task
#[derive(Parser)]
#[command(name = "nova-chaos")]
struct Args {
    /// Decides load and faults; the first one of several
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How long faults are injected for each seed, in seconds
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// How the broker keeps what it acknowledges; several take turns, seed by seed
    #[arg(long, value_delimiter = ',', default_value = "fast")]
    profile: Vec<String>,
    /// Only these faults
    #[arg(long, value_delimiter = ',')]
    fault: Vec<String>,
    /// Also cuts the power of the servers' disks and fills them; takes root and loop devices
    #[arg(long)]
    power: bool,
    /// How long all may take to end once the last fault is healed, in seconds
    #[arg(long, default_value_t = 15)]
    ends_within: u64,
    /// How much longer than promised the work may take to go on after a fault, in seconds
    #[arg(long, default_value_t = 0)]
    slack: u64,
    /// Breaks a rule in the workers on purpose: the verdict must be a failure
    #[arg(long)]
    broken: Option<Sabotage>,
    /// Instead of faults: upgrades a fleet of the last release while it works; odd seeds in the documented order
    #[arg(long, conflicts_with_all = ["fault", "power", "broken", "write_doc"])]
    upgrade: bool,
    /// Keeps a message of each kind that the released side wrote, as test data
    #[arg(long, value_name = "FILE", requires = "upgrade")]
    capture: Option<PathBuf>,
    /// Also writes the reports of all seeds as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also writes the tables into this page
    #[arg(long, value_name = "FILE")]
    write_doc: Option<PathBuf>,
}

fn main() -> ExitCode {
    if let Some(code) = worker::run_if_asked() {
        return code;
    }
    let args = Args::parse();
    // The proxies run beside whoever waits for a server.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build();
    let done = runtime.context("no runtime").and_then(|runtime| runtime.block_on(chaos(args)));
    done.unwrap_or_else(|error| {
        tell(&format!("nova-chaos: {error:#}"));
        ExitCode::from(2)
    })
}

async fn chaos(args: Args) -> anyhow::Result<ExitCode> {
    if args.power
        && let Some(why) = power::is_impossible()
    {
        anyhow::bail!("there can be no disks here to cut the power of: {why}");
    }
    let faults = faults(&args.fault, args.power)?;
    let profiles: Vec<Profile> = args.profile.iter().map(|name| profile(name)).collect::<anyhow::Result<_>>()?;
    let mut reports = Vec::new();
    for n in 0..args.seeds {
        let asked = Asked {
            seed: args.seed + n,
            length: Duration::from_secs(args.secs),
            profile: profiles[usize::try_from(n)? % profiles.len()],
            faults: faults.clone(),
            has_power: args.power,
            ends_within: Duration::from_secs(args.ends_within),
            slack: Duration::from_secs(args.slack),
            broken: args.broken,
        };
        let began = Instant::now();
        let report = if args.upgrade {
            let (seed, all) = (asked.seed, asked.length.as_secs());
            let told = |step: &str| tell(&format!("seed {seed} {:>3}/{all} s {step}", began.elapsed().as_secs()));
            upgrade::run(&asked, args.capture.as_deref(), told).await?
        } else {
            run(&asked, |at, period| tell(&progress(&asked, began, at, period))).await?
        };
        say(&format!("seed {} ({}): {}", asked.seed, report.profile, verdict(&report)))?;
        say(report::complaint(&report).trim_end())?;
        reports.push(report);
    }
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_vec_pretty(&reports)?)
            .with_context(|| format!("could not write {}", path.display()))?;
    }
    if let Some(page) = &args.write_doc {
        report::write(page, &reports)?;
    }
    say(&report::line(&reports))?;
    let is_pass = reports.iter().all(|report| report.violations.is_empty());
    Ok(if is_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(report: &Report) -> String {
    let counts = report.counts;
    let verdict = if report.violations.is_empty() { "pass" } else { "FAIL" };
    format!(
        "{verdict}; {} tasks, {} outcomes, {} faults, {} started again, {} fenced, {} unsure, {} boundaries, {} reconnects, {} hung, all ended in {:.1} s",
        counts.acked,
        counts.outcomes,
        counts.faults,
        counts.restarted,
        counts.fenced,
        counts.unsure,
        report.boundaries,
        report.reconnects,
        report.hung,
        report.ended_secs
    )
}

fn progress(asked: &Asked, began: Instant, at: usize, period: &Period) -> String {
    let faults: Vec<String> = period.acts.iter().map(|act| act.fault.name()).collect();
    let (passed, all) = (began.elapsed().as_secs(), asked.length.as_secs());
    format!(
        "seed {} {passed:>3}/{all} s [{}] {} for {:.1} s",
        asked.seed,
        at + 1,
        faults.join(" + "),
        period.lasts.as_secs_f64()
    )
}

/// The faults asked for; all of them, and those of disks only where there are such.
fn faults(names: &[String], has_power: bool) -> anyhow::Result<Vec<Fault>> {
    let all = Fault::ALL;
    let named = |name: &String| all.into_iter().find(|fault| fault.name() == *name);
    let chosen: Vec<Fault> = match names {
        [] => all.to_vec(),
        names => names
            .iter()
            .map(|name| named(name).with_context(|| format!("no fault `{name}`: there are {}", known())))
            .collect::<anyhow::Result<_>>()?,
    };
    let shape = Shape { workers: 1, coordinators: 1, submitters: 1, brokers: 3, consumers: 1, has_power };
    ensure!(chosen.iter().any(|fault| fault.is_possible(shape)), "these faults need --power");
    Ok(chosen)
}

fn known() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

fn profile(name: &str) -> anyhow::Result<Profile> {
    let all = [Profile::Fast, Profile::Durable, Profile::Replicated];
    all.into_iter().find(|profile| profile.as_str() == name).with_context(|| format!("no profile `{name}`"))
}

/// Results go to stdout.
fn say(text: &str) -> std::io::Result<()> {
    if text.is_empty() { Ok(()) } else { writeln!(std::io::stdout().lock(), "{text}") }
}

/// Progress goes to stderr; without one there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
