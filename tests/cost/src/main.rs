//! Counts the instructions of each path under callgrind and holds them against the committed figures.

use std::io::Write as _;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Parser;
use nova_cost::{figures, marginal, paths};

nova_runtime::use_mimalloc!();

const ABOUT: &str =
    "Instructions of one repetition in a release build, counted by `make cost`; WRITE=1 writes what it counts.";

/// Counts the instructions of the hot paths; needs valgrind, and says so when it is not there
#[derive(Parser)]
#[command(name = "nova-cost")]
struct Args {
    /// Writes what was counted as the figures to hold
    #[arg(long)]
    write: bool,
    /// Only takes this path, so many times, and counts nothing
    #[arg(long, hide = true, num_args = 2)]
    repeat: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(error) => nova_runtime::report(&error),
    }
}

fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if let [name, times] = &args.repeat[..] {
        let path =
            paths::ALL.iter().find(|path| path.name == name).with_context(|| format!("no path is called {name}"))?;
        (path.repeat)(times.parse()?);
        return Ok(ExitCode::SUCCESS);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        say("instructions were not counted: valgrind is not installed")?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = figures::file("instructions");
    let committed = if args.write { figures::Figures::new() } else { figures::read(&file)? };
    let mut counted = figures::Figures::new();
    for path in &paths::ALL {
        let now = marginal(path.times, |times| instructions(path, times))?;
        let was =
            committed.get(path.name).map_or_else(String::new, |was| format!("{:+.1} %", (now / was - 1.0) * 100.0));
        say(&format!("{:<12} {now:>10.0} instructions {was:>9}  {}", path.name, path.about))?;
        counted.insert(path.name.to_owned(), now);
    }
    if args.write {
        figures::write(&file, ABOUT, &counted)?;
        return Ok(ExitCode::SUCCESS);
    }
    let complaints = figures::complaints(&committed, &counted);
    for complaint in &complaints {
        say(complaint)?;
    }
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say("if it is meant, write the figures anew: make cost WRITE=1")?;
    Ok(ExitCode::FAILURE)
}

/// All instructions of a process that takes a path so many times.
fn instructions(path: &paths::Path, times: u64) -> anyhow::Result<u64> {
    let own = std::env::current_exe().context("the program does not know where it is")?;
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["--repeat", path.name, &times.to_string()])
        .output()
        .context("could not start valgrind")?;
    let told = String::from_utf8_lossy(&ran.stderr);
    let count = told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match count {
        Some(count) if ran.status.success() => Ok(count),
        _ => bail!("valgrind could not count path {}: {}", path.name, told.lines().last().unwrap_or_default()),
    }
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}
