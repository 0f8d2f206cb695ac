//! Measures Nova in cases: ratios and medians of interleaved rounds in one run, judged by the project's bounds.

mod bed;
mod cases;
mod doc;
mod machine;
mod meter;
mod part;
mod report;
mod row;
mod runs;
mod sample;
mod skill;
mod yardstick;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use clap::Parser;

use crate::cases::CASES;
use crate::machine::Machine;
use crate::report::Report;

/// Measures Nova; without a case, all of them
#[derive(Parser)]
#[command(name = "nova-bench")]
struct Args {
    /// The cases to measure
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(CASES.iter().map(|case| case.name)))]
    case: Vec<String>,
    /// Also writes the page of results; takes a run of all cases
    #[arg(long, value_name = "FILE")]
    write_doc: Option<PathBuf>,
}

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
    let mut report = Report::new(Machine::look()?);
    say(&report.machine.to_string())?;
    for case in CASES.iter().filter(|case| args.case.is_empty() || args.case.iter().any(|name| name == case.name)) {
        let began = Instant::now();
        let measured = (case.run)().await;
        say(&format!("\n{}: {} ({:.0} s)", case.name, case.about, began.elapsed().as_secs_f64()))?;
        match measured {
            Ok(rows) => {
                say(report::table(&rows).trim_end())?;
                report.rows.extend(rows);
            }
            Err(error) => report.failures.push(format!("{}: {error:#}", case.name)),
        }
    }
    let path = report::results_path()?;
    report.write(&path)?;
    say(&format!("\nresults in {}", path.display()))?;
    if let Some(path) = args.write_doc {
        ensure!(report.failures.is_empty(), "no page without all cases: {}", report.failures.join("; "));
        std::fs::write(&path, doc::page(&report)).with_context(|| format!("could not write {}", path.display()))?;
    }
    let complaints = report.complaints();
    for complaint in &complaints {
        say(complaint)?;
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")
}
