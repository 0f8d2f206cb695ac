//! `nova run cancel`, `pause` and `resume`: orders to one run, several, or all that a filter finds.

use nova_client::RunRow;
use nova_types::{DurationText, OutcomeKind, RunStatus};

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::act::{self, Which};

/// Cancel runs, by id or by filter
///
/// The broker's receipt is the acceptance. What runs is ended, and finished steps are undone as the workflow says.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run cancel cli.018f2c --wait
  nova run cancel --workflow review --status queued --yes")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    which: Which,
    /// Wait for each run's end, at most so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    wait: Option<DurationText>,
}

/// Pause runs: they start nothing new until they are resumed
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run pause cli.018f2c
  nova run pause --workflow review --yes

Tasks that run already go on; what they come to is recorded.")]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    which: Which,
}

/// Resume paused runs
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run resume cli.018f2c
  nova run resume --all --yes")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    which: Which,
}

/// What can be cancelled.
const CANCELLABLE: &[RunStatus] = &[RunStatus::Queued, RunStatus::Running, RunStatus::Paused];
/// What can be paused.
const PAUSABLE: &[RunStatus] = &[RunStatus::Queued, RunStatus::Running];
/// What can be resumed.
const RESUMABLE: &[RunStatus] = &[RunStatus::Paused];

pub(super) async fn cancel(cx: Cx, args: CancelArgs) -> Result<Exit, Failure> {
    let rows = args.which.rows(&cx, "cancel", CANCELLABLE).await?;
    act::each(&cx, &args.which, rows, "cancelling", |row| cancel_one(&cx, row, args.wait)).await
}

async fn cancel_one(cx: &Cx, row: RunRow, wait: Option<DurationText>) -> Result<String, Failure> {
    let fit = [CANCELLABLE, &[RunStatus::Undoing]].concat();
    act::refuse_unless(&row, &fit)?;
    let task = &row.summary.task;
    cx.client.cancel_run(task).await?;
    let Some(wait) = wait else { return Ok(act::receipt(cx, &row, "cancel", None)) };
    let ended = cx.client.wait_run(task, wait.0).await?;
    match ended.outcome.kind {
        OutcomeKind::Cancelled => Ok(act::receipt(cx, &row, "cancel", Some(true))),
        other => {
            let text = format!("run {} had ended already: {other}", row.summary.run);
            Err(Failure::new(Exit::REFUSED, "ended", text))
        }
    }
}

pub(super) async fn pause(cx: Cx, args: PauseArgs) -> Result<Exit, Failure> {
    let rows = args.which.rows(&cx, "pause", PAUSABLE).await?;
    act::each(&cx, &args.which, rows, "pausing", |row| pause_one(&cx, row)).await
}

async fn pause_one(cx: &Cx, row: RunRow) -> Result<String, Failure> {
    act::refuse_unless(&row, PAUSABLE)?;
    let order = cx.client.pause_run(&row.summary.task).await?;
    let heeded = act::heeded(cx, &row, order).await?;
    Ok(act::receipt(cx, &row, "pause", Some(heeded)))
}

pub(super) async fn resume(cx: Cx, args: ResumeArgs) -> Result<Exit, Failure> {
    let rows = args.which.rows(&cx, "resume", RESUMABLE).await?;
    act::each(&cx, &args.which, rows, "resuming", |row| resume_one(&cx, row)).await
}

async fn resume_one(cx: &Cx, row: RunRow) -> Result<String, Failure> {
    act::refuse_unless(&row, RESUMABLE)?;
    let order = cx.client.resume_run(&row.summary.task).await?;
    let heeded = act::heeded(cx, &row, order).await?;
    Ok(act::receipt(cx, &row, "resume", Some(heeded)))
}
