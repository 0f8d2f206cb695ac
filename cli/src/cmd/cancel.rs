//! `nova cancel`: asking for the end of one task, several, or all that a filter finds.

use std::pin::pin;

use futures_util::StreamExt as _;
use nova_types::{DurationText, OutcomeKind, Skill, TaskId, TaskState};
use serde_json::json;

use crate::confirm::confirm;
use crate::cx::Cx;
use crate::end::EndRow;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::TaskFilterArgs;
use crate::progress::Progress;
use crate::task_arg::{Id, find};

/// Cancel tasks, by id or by filter
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova cancel cli.018f2c --wait=10s
  nova cancel --skill shell --state available --label batch=7 --yes

The broker's receipt is the acceptance: the cancel is heeded whoever is down now. The outcome decides
whether it came in time; what a running attempt has done so far stays done. With --skill an id that
has not arrived yet stays cancelled. A task that had ended otherwise is refused with exit code 5.")]
pub(crate) struct Args {
    /// The tasks' ids
    #[arg(value_name = "ID")]
    ids: Vec<Id>,
    /// The tasks' skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
    /// Cancel what the filter finds without asking
    #[arg(long, short)]
    yes: bool,
    /// Wait until the end is recorded, at most so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    wait: Option<DurationText>,
    #[command(flatten)]
    filter: TaskFilterArgs,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    match (args.ids.is_empty(), args.filter.is_narrow() || args.skill.is_some()) {
        (false, _) if args.filter.is_narrow() => Err(Failure::usage("give either ids or a filter, not both")),
        (false, _) => by_id(&cx, &args).await,
        (true, true) => by_filter(&cx, &args).await,
        (true, false) => Err(Failure::usage("which tasks? give an ID, or --skill, --state, --since or --label")),
    }
}

async fn by_id(cx: &Cx, args: &Args) -> Result<Exit, Failure> {
    let mut exit = Exit::OK;
    for id in &args.ids {
        let done = cancel_one(cx, args, id).await;
        // One that fails does not keep the others running.
        match done {
            Ok(()) => {}
            Err(failure) if args.ids.len() == 1 => return Err(failure),
            Err(failure) => {
                cx.out.fail(&failure);
                exit = failure.exit;
            }
        }
    }
    Ok(exit)
}

async fn cancel_one(cx: &Cx, args: &Args, id: &Id) -> Result<(), Failure> {
    let (skill, task) = find(cx, id, args.skill.as_ref()).await?;
    if let Some(ended) = cx.client.result(&skill, &task).await? {
        return already(cx, &ended.outcome.task, ended.outcome.kind, &EndRow::of(&ended.outcome));
    }
    cx.client.cancel(&skill, &task).await?;
    let Some(wait) = args.wait else { return accepted(cx, &skill, &task) };
    let spinner = Progress::spinner(&cx.out, format!("waiting for the end of {task}"));
    let ended = cx.client.wait(&skill, &task, wait.0).await?;
    drop(spinner);
    already(cx, &task, ended.outcome.kind, &EndRow::of(&ended.outcome))
}

fn accepted(cx: &Cx, skill: &Skill, task: &TaskId) -> Result<(), Failure> {
    if cx.out.is_json() {
        return cx.out.json(&json!({ "task": task, "skill": skill, "accepted": true }));
    }
    cx.out.line(task.to_string())?;
    cx.out.say("the cancel is stored; whether it came in time says the outcome");
    Ok(())
}

/// The end decides: cancelled is what was asked for.
fn already(cx: &Cx, task: &TaskId, kind: OutcomeKind, row: &EndRow) -> Result<(), Failure> {
    if cx.out.is_json() {
        cx.out.json(row)?;
    }
    match kind {
        OutcomeKind::Cancelled if cx.out.is_json() => Ok(()),
        OutcomeKind::Cancelled => cx.out.line(task.to_string()),
        other => Err(Failure::new(Exit::REFUSED, "ended", format!("task {task} had ended already: {other}"))),
    }
}

async fn by_filter(cx: &Cx, args: &Args) -> Result<Exit, Failure> {
    let mut filter = args.filter.filter(args.skill.clone(), usize::MAX);
    if let Some(ended) = filter.states.iter().find(|state| state.is_terminal()) {
        return Err(Failure::usage(format!(
            "tasks that are {} cannot be cancelled",
            crate::filter::state_word(*ended)
        )));
    }
    if filter.states.is_empty() {
        filter.states = vec![TaskState::Scheduled, TaskState::Available, TaskState::Running, TaskState::Retryable];
    }
    let found: Vec<(Skill, TaskId)> =
        cx.exhaustive().tasks(&filter).await?.into_iter().map(|row| (row.skill, row.task)).collect();
    if found.is_empty() {
        cx.out.say("no task is meant");
        return Ok(Exit::OK);
    }
    confirm(args.yes, &format!("Cancel {} tasks?", found.len())).await?;
    let progress = Progress::bar(&cx.out, found.len() as u64, "cancelling");
    let mut answers = pin!(cx.client.cancel_many(found));
    let (mut count, mut failed) = (0, 0);
    while let Some(answer) = answers.next().await {
        count += 1;
        progress.at(count);
        match answer {
            Ok(done) if cx.out.is_json() => {
                cx.out.json(&json!({ "task": done.task, "skill": done.skill, "accepted": true }))?;
            }
            Ok(done) => progress.beside(|| cx.out.line(done.task.to_string()))?,
            Err(error) => {
                failed += 1;
                progress.beside(|| cx.out.fail(&error.into()));
            }
        }
    }
    cx.out.say(format!("{} cancels stored, {failed} failed", count - failed));
    Ok(if failed == 0 { Exit::OK } else { Exit::FAILURE })
}
