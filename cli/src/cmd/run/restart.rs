//! `nova run restart`: a new run that takes over what an earlier one completed.

use nova_client::{RunRow, StartRun};
use nova_types::{DurationText, RunStatus, StepId};
use nova_workflow::Restart;
use serde_json::{Value, json};

use super::start::{ShapeArgs, begin};
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::act::{self, Which};
use crate::flow::replay::plan_of;
use crate::input::InputArgs;

/// Restart runs: a new run takes over what completed, and does the rest again
///
/// The new run is pinned to the same version and has the same input, unless others are given; it points at the run it is a
/// restart of. Items of a map that completed are taken over, too.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run restart cli.018f2c --follow
  nova run restart cli.018f2c --from ship --input '{\"id\": \"4711\"}'
  nova run restart --status failed --workflow review --since 1d --version latest --yes")]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    /// Do these steps again, and all that depend on them; without it all that did not complete
    #[arg(long, value_name = "STEP", value_delimiter = ',')]
    from: Vec<StepId>,
    /// Only what did not complete; the same as no --from
    #[arg(long, conflicts_with = "from")]
    failed: bool,
    /// Another input, as JSON, `@file` or `-`
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// Another version: its hash, the beginning of it, or `latest`
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Wait for the new run's end and print its result; at most so long when a duration is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "3650d")]
    wait: Option<DurationText>,
    /// Show what happens until the new run's end, then print its result
    #[arg(long, conflicts_with = "wait")]
    follow: bool,
    #[command(flatten)]
    shape: ShapeArgs,
}

/// What can be restarted when a filter finds it: what ended without its result.
const RESTARTABLE: &[RunStatus] = &[RunStatus::Failed, RunStatus::Cancelled];

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let input = match &args.input {
        None => None,
        given => Some(super::value(&InputArgs { input: given.clone(), ..InputArgs::default() }).await?),
    };
    let rows = args.which.rows(&cx, "restart", RESTARTABLE).await?;
    if let ([one], true) = (rows.as_slice(), args.which.is_by_id()) {
        let start = prepare(&cx, &args, one, input).await?;
        return begin(&cx, start, args.wait, args.follow).await;
    }
    if args.wait.is_some() || args.follow || args.shape.id.is_some() {
        return Err(Failure::usage("--wait, --follow and --id are for one run that is named"));
    }
    act::each(&cx, &args.which, rows, "restarting", |row| {
        let (cx, args, input) = (&cx, &args, input.clone());
        async move {
            let start = prepare(cx, args, &row, input).await?;
            let started = cx.client.start_run(start).await?;
            if !cx.out.is_json() {
                return Ok(started.run.to_string());
            }
            let line = json!({ "run": started.run, "task": started.task, "restart_of": row.summary.run });
            Ok(line.to_string())
        }
    })
    .await
}

async fn prepare(cx: &Cx, args: &Args, row: &RunRow, input: Option<Value>) -> Result<StartRun, Failure> {
    let (run, workflow) = (&row.summary.run, &row.summary.workflow);
    let version = match args.version.as_deref() {
        None => row.summary.version.clone(),
        Some("latest") => cx.client.workflow_versions(workflow).await?.present.hash,
        Some(other) => cx.client.workflow(workflow, Some(other)).await?.hash().to_owned(),
    };
    if !args.from.is_empty() {
        let plan = plan_of(&cx.client, workflow, &version).await?;
        if let Some(unknown) = args.from.iter().find(|step| !plan.workflow().steps.contains_key(*step)) {
            let steps: Vec<&str> = plan.order().iter().map(StepId::as_str).collect();
            return Err(Failure::usage(format!("workflow `{workflow}` has no step `{unknown}`"))
                .help(format!("its steps: {}", steps.join(", "))));
        }
    }
    let restart = Restart { run: run.clone(), from: args.from.clone(), same_input: input.is_none() };
    let start = cx.client.restart_run(restart, input.unwrap_or_default(), Some(version)).await?;
    // Whoever found the earlier run by its labels finds this one, too.
    Ok(args.shape.of(cx, start, row.summary.labels.clone()))
}
