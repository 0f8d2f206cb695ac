//! Measures Nova in cases: ratios and medians of interleaved rounds in one run, judged by the project's bounds.

mod bed;
mod cases;
mod doc;
mod load;
mod machine;
mod meter;
mod mode;
mod part;
mod peer;
mod plot;
mod plots;
mod report;
mod row;
mod runs;
mod sample;
mod side;
mod skill;
mod yardstick;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Parser;
use futures_util::FutureExt as _;

use crate::cases::{CASES, Case};
use crate::machine::Machine;
use crate::mode::{Mode, clock};
use crate::report::Report;

/// Measures Nova; without a case, all of them
#[derive(Parser)]
#[command(name = "nova-bench")]
struct Args {
    /// The cases to measure
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    case: Vec<String>,
    /// Measures all there is, for up to an hour; otherwise ten minutes are enough
    #[arg(long)]
    full: bool,
    /// Also writes the page of results, and its drawings into a folder beside it; takes a run of all cases
    #[arg(long, value_name = "FILE")]
    write_doc: Option<PathBuf>,
}

nova_runtime::use_mimalloc!();

fn main() -> ExitCode {
    // The same program is also the worker it measures, as a process of its own.
    match part::asked() {
        Some(part) => part.run(),
        None => nova_runtime::run_main(bench(Args::parse())),
    }
}

async fn bench(args: Args) -> anyhow::Result<ExitCode> {
    ensure!(args.write_doc.is_none() || args.case.is_empty(), "the page shows one run of all cases: name none");
    if cfg!(debug_assertions) {
        say("this is a dev build: its figures mean little (use `make bench`)")?;
    }
    let mode = if args.full { Mode::Full } else { Mode::Short };
    let cases = asked_for(&args.case, mode)?;
    let mut report = Report::new(Machine::look()?);
    say(&report.machine.to_string())?;
    let began = Instant::now();
    for (index, case) in cases.iter().enumerate() {
        let elapsed = format!("{} of at most {}", clock(began.elapsed()), clock(mode.limit()));
        tell(&format!("[{}/{}] {} ({elapsed})", index + 1, cases.len(), case.name));
        let case_began = Instant::now();
        let measured = measured(case, mode, began).await;
        say(&format!("\n{}: {} ({:.0} s)", case.name, case.about, case_began.elapsed().as_secs_f64()))?;
        match measured {
            Ok(rows) => {
                say(report::table(&rows).trim_end())?;
                report.rows.extend(rows);
            }
            Err(error) => {
                say(&format!("  not measured: {error:#}"))?;
                report.failures.push(format!("{}: {error:#}", case.name));
            }
        }
    }
    tell(&format!("measured in {}", clock(began.elapsed())));
    let path = report::results_path()?;
    report.write(&path)?;
    plots::write(&report.rows, &path.with_file_name(""))?;
    say(&format!("\nresults in {}, curves beside it", path.display()))?;
    if let Some(path) = args.write_doc {
        ensure!(report.failures.is_empty(), "no page without all cases: {}", report.failures.join("; "));
        let drawings = path.with_extension("");
        let folder = drawings.file_name().context("the page has no name")?.to_string_lossy();
        let page = doc::page(&report, &folder);
        std::fs::write(&path, page).with_context(|| format!("could not write {}", path.display()))?;
        plots::write(&report.rows, &drawings)?;
    }
    let complaints = report.complaints();
    for complaint in &complaints {
        say(complaint)?;
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cases to measure.
///
/// # Errors
/// When one is named that this mode does not measure.
fn asked_for(names: &[String], mode: Mode) -> anyhow::Result<Vec<&'static Case>> {
    let named = |case: &&Case| names.is_empty() || names.iter().any(|name| name == case.name);
    let (cases, beyond): (Vec<_>, Vec<_>) = CASES.iter().filter(named).partition(|case| case.from <= mode);
    let beyond: Vec<&str> = beyond.into_iter().map(|case| case.name).collect();
    if !beyond.is_empty() {
        let need = format!("measured only with FULL=1: {}", beyond.join(", "));
        ensure!(names.is_empty(), "{need} (`FULL=1 make bench CASE={}`)", beyond[0]);
        tell(&need);
    }
    Ok(cases)
}

/// Measures a case, as long as the whole run has time for it.
async fn measured(case: &Case, mode: Mode, began: Instant) -> anyhow::Result<Vec<row::Row>> {
    let left = mode.limit().saturating_sub(began.elapsed());
    ensure!(left > Duration::ZERO, "the {} of the whole run were over", clock(mode.limit()));
    let limit = left.min(mode.case_limit());
    // Dropping a case ends its processes.
    let measuring = AssertUnwindSafe((case.run)(mode)).catch_unwind();
    let ended = tokio::time::timeout(limit, measuring).await;
    // What is awaited in vain panics, and has said what it was.
    let ended = ended.with_context(|| format!("cut off after {}", clock(limit)))?;
    ended.unwrap_or_else(|_| anyhow::bail!("it broke, as told on stderr"))
}

/// Results go to stdout.
fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}

/// Progress goes to stderr; without one there is nobody to tell.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_for_the_long_run_is_refused_in_the_short_one() {
        let waiting = ["waiting".to_owned()];
        let refused = asked_for(&waiting, Mode::Short).map(|cases| cases.len()).map_err(|error| error.to_string());
        assert_eq!(refused, Err("measured only with FULL=1: waiting (`FULL=1 make bench CASE=waiting`)".to_owned()));
        assert_eq!(asked_for(&waiting, Mode::Full).map(|cases| cases.len()).ok(), Some(1));
        assert!(asked_for(&[], Mode::Short).is_ok_and(|cases| cases.iter().all(|case| case.from == Mode::Short)));
        assert_eq!(asked_for(&[], Mode::Full).map(|cases| cases.len()).ok(), Some(CASES.len()));
    }
}
