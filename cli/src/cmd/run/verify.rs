//! `nova run verify`: folds recorded runs again, and proves that the engine decides the same.

use std::time::Duration;

use nova_client::RunRow;
use nova_engine::run::{Divergence, Unverified, Verified, verify};
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::replay::Replay;
use crate::flow::told;
use crate::flow::which::{RunFilterArgs, RunWord, seek};
use crate::progress::Progress;

/// Verify recorded runs: fold their history again, and compare every decision
///
/// Reads the history, the definition it is pinned to and the values it names, and runs the engine over it. Nothing is
/// written.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run verify cli.018f2c
  nova run verify --since 1d --json

Exits 1 when a run does not hold. On stdout one line for each run.")]
pub(crate) struct Args {
    /// The runs, by their id or that of their task
    #[arg(value_name = "RUN")]
    runs: Vec<RunWord>,
    /// Every run
    #[arg(long, conflicts_with = "runs")]
    all: bool,
    #[command(flatten)]
    filter: RunFilterArgs,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let rows = if args.runs.is_empty() {
        if !args.filter.is_narrow() && !args.all {
            let text = "which runs? give a RUN, a filter such as --status, --workflow or --key, or --all";
            return Err(Failure::usage(text));
        }
        seek(&cx, &args.filter.filter(usize::MAX)).await?.rows
    } else {
        if args.filter.is_narrow() {
            return Err(Failure::usage("give either runs or a filter, not both"));
        }
        let mut rows = Vec::new();
        for run in &args.runs {
            rows.push(run.find(&cx).await?);
        }
        rows
    };
    let progress = Progress::bar(&cx.out, rows.len() as u64, "verifying");
    let began = std::time::Instant::now();
    let (mut held, mut folded, mut decided) = (0_usize, 0, 0);
    for (at, row) in rows.iter().enumerate() {
        match one(&cx, row).await {
            Ok(verified) => {
                held += 1;
                folded += verified.transitions;
                decided += verified.decisions;
                progress.beside(|| tell_held(&cx, row, &verified))?;
            }
            Err(failure) if rows.len() == 1 => return Err(failure),
            Err(failure) => {
                if cx.out.is_json() {
                    let why = failure.lines().join(": ");
                    cx.out
                        .json(&json!({ "run": row.summary.run, "holds": false, "code": failure.code, "why": why }))?;
                }
                let failure = failure.while_trying(format!("verify run {}", row.summary.run));
                progress.beside(|| cx.out.fail(&failure));
            }
        }
        progress.at(at as u64 + 1);
    }
    drop(progress);
    if rows.len() != 1 {
        let took = Duration::from_millis(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        cx.out
            .say(format!("{held} of {} runs hold: {decided} decisions in {folded} transitions, {took:?}", rows.len()));
    }
    Ok(if held == rows.len() { Exit::OK } else { Exit::FAILURE })
}

async fn one(cx: &Cx, row: &RunRow) -> Result<Verified, Failure> {
    let mut replay = Replay::load(cx, row).await?;
    let transitions = replay.transitions();
    let plan = replay.plan.clone();
    let found = replay.values.with(|loaded| match verify(&plan, &transitions, loaded) {
        Ok(verified) => Ok(Ok(verified)),
        Err(Unverified::Diverged(divergence)) => Ok(Err(divergence)),
        Err(Unverified::Stuck(stuck)) => Err(stuck),
    });
    found.await?.map_err(|divergence| diverged(row, &divergence))
}

fn tell_held(cx: &Cx, row: &RunRow, verified: &Verified) -> Result<(), Failure> {
    let run = &row.summary.run;
    if cx.out.is_json() {
        return cx.out.json(&json!({
            "run": run, "holds": true, "transitions": verified.transitions, "decisions": verified.decisions,
            "status": verified.run.status(),
        }));
    }
    cx.out.line(format!(
        "{run}\tholds\t{} decisions in {} transitions\t{}",
        verified.decisions,
        verified.transitions,
        verified.run.status()
    ))
}

fn diverged(row: &RunRow, divergence: &Divergence) -> Failure {
    let run = &row.summary.run;
    let text = format!("run {run} does not hold: transition {} is not what the engine decides", divergence.n);
    let words = |decisions: &[nova_workflow::Decision]| {
        let told: Vec<String> = decisions.iter().map(told::decision).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join("; ") }
    };
    Failure::new(Exit::FAILURE, "diverged", text)
        .help(format!("recorded: {}", words(&divergence.expected)))
        .help(format!("decided now: {}", words(&divergence.found)))
        .help(format!("the history: nova run show {run} --history"))
}
