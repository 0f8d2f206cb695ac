//! Fuzzes for as long as it is told to, and keeps what fails.
//!
//! Each target is hunted in a process of its own, for an overflowing stack or a use of all memory ends a process: what it had
//! in hands then is left in a file, and kept as any other input that failed.

mod watch;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Parser;
use nova_fuzz::hunt::Hunt;
use nova_fuzz::targets::{self, Target};
use nova_fuzz::{corpus, trial};

use crate::watch::InHands;

/// The longest that one input may take of a processor. Inputs are small: what takes longer has gone quadratic, or worse.
const LONGEST: Duration = Duration::from_secs(2);

/// Mutates the inputs of tests/fuzz/corpus, and keeps there what fails
#[derive(Parser)]
#[command(name = "nova-fuzz")]
struct Args {
    /// Only this target; all of them in turn otherwise
    #[arg(long)]
    target: Option<String>,
    /// How long to go on, in seconds, for all targets together
    #[arg(long, default_value_t = 60)]
    secs: u64,
    /// Where chance begins; a new one each time otherwise
    #[arg(long)]
    seed: Option<u64>,
    /// Only gives the target this file
    #[arg(long, requires = "target")]
    again: Option<PathBuf>,
    /// Lists the targets
    #[arg(long)]
    list: bool,
    /// Hunts in this very process, and leaves what is in hands in this file
    #[arg(long, hide = true, requires = "target")]
    hands: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(code) => code,
        Err(error) => nova_runtime::report(&error),
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.list {
        for target in targets::ALL {
            say(&format!("{:<18} {}", target.name, target.about))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen: Vec<&Target> =
        targets::ALL.iter().filter(|one| args.target.as_ref().is_none_or(|name| name == one.name)).collect();
    if chosen.is_empty() {
        bail!("no target is called {}; nova-fuzz --list names them", args.target.as_deref().unwrap_or_default());
    }
    if let Some(file) = &args.again {
        return again(chosen[0], file);
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let each = Duration::from_secs(args.secs) / u32::try_from(chosen.len()).context("there are few targets")?;
    if let Some(hands) = &args.hands {
        return hunt(chosen[0], seed, each, &InHands::create(hands)?);
    }
    let mut failed = 0;
    for target in &chosen {
        if !watch::over(target, seed, each)? {
            failed += 1;
        }
    }
    say(&format!("seed {seed}: {failed} of {} targets have failed", chosen.len()))?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gives a target one file.
fn again(target: &Target, file: &std::path::Path) -> anyhow::Result<ExitCode> {
    let bytes = std::fs::read(file).with_context(|| format!("could not read {}", file.display()))?;
    let began = thread_cpu();
    let trial = trial::run(target, &bytes);
    let cost = trial.cost;
    say(&format!(
        "{} bytes took {:?}, {} allocations and {} bytes of memory",
        bytes.len(),
        thread_cpu().saturating_sub(began),
        cost.count_total,
        cost.bytes_max
    ))?;
    match trial.end {
        Ok(taken) => {
            say(&format!("{}: {}", if taken.is_read { "read" } else { "refused" }, taken.told))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(broken) => {
            say(&broken)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Hunts in this process until the time is over or something fails.
fn hunt(target: &Target, seed: u64, time: Duration, hands: &InHands) -> anyhow::Result<ExitCode> {
    let kept = corpus::of(target)?;
    let mut hunt = Hunt::new(target, &kept, seed);
    let (began, mut turns) = (Instant::now(), 0_u64);
    for kept in &kept {
        if let Err(broken) = hunt.look(&kept.bytes).end {
            say(&format!("{}: {}: {broken}", target.name, kept.name))?;
            return Ok(ExitCode::FAILURE);
        }
    }
    while began.elapsed() < time {
        let bytes = hunt.next_input();
        hands.hold(&bytes)?;
        let before = thread_cpu();
        let trial = hunt.look(&bytes);
        let took = thread_cpu().saturating_sub(before);
        turns += 1;
        let end = if took > LONGEST { Err(format!("it takes {took:?} of a processor")) } else { trial.end.map(|_| ()) };
        if let Err(broken) = end {
            failed(target, &bytes, &broken)?;
            return Ok(ExitCode::FAILURE);
        }
    }
    let rate = turns as f64 / began.elapsed().as_secs_f64();
    say(&format!("{:<18} {turns:>9} inputs, {rate:>7.0}/s, {:>5} different ends", target.name, hunt.seen()))?;
    Ok(ExitCode::SUCCESS)
}

/// Keeps an input that failed, and says how to see it again.
fn failed(target: &Target, bytes: &[u8], broken: &str) -> anyhow::Result<()> {
    let file = corpus::keep(target, bytes)?;
    let short: String = broken.chars().take(2000).collect();
    say(&format!("{}: {short}", target.name))?;
    say(&format!("  cargo run --release -p nova-fuzz -- --target {} --again {}", target.name, file.display()))
        .map_err(Into::into)
}

/// Processor time this thread has used: it does not depend on how busy the machine is.
fn thread_cpu() -> Duration {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}
