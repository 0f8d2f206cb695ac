//! `nova show`: everything that is known of one task.

use nova_client::{Ahead, TaskOutcome, TaskView};
use nova_types::{ItemCount, Priority, RunId, Skill, TaskId, UnixMillis, run_skill};
use nova_wire::{AttemptRecord, FailedAttempt};
use serde::Serialize;

use crate::cmd::run;
use crate::cx::Cx;
use crate::end::{EndRow, as_json, pretty};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::state_word;
use crate::out::{Out, Shape};
use crate::task_arg::TaskArg;

/// Show everything that is known of a task
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova show cli.018f2c
  nova show _seq.42 --skill echo --json")]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
}

/// A task as one JSON object.
#[derive(Serialize)]
struct Row<'a> {
    task: &'a TaskId,
    skill: &'a Skill,
    state: &'static str,
    priority: Option<Priority>,
    submitted: Option<UnixMillis>,
    sequence: Option<u64>,
    ahead: Option<Ahead>,
    cancel_asked: bool,
    schedule: Option<&'a str>,
    failures: &'a [FailedAttempt],
    dead_letter: bool,
    outcome: Option<EndRow>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let (skill, task) = args.task.find(&cx).await?;
    if skill == run_skill()
        && let Ok(row) = cx.client.run_summary(&RunId::of(&task)).await
    {
        return run::show_run(&cx, row).await;
    }
    let view = cx.client.show(&skill, &task).await?;
    let ended = if view.outcome.is_some() { cx.client.result(&skill, &task).await? } else { None };
    let place = view.place.as_ref();
    let row = Row {
        task: &view.task,
        skill: &view.skill,
        state: state_word(view.state),
        priority: place.map(|place| place.priority),
        submitted: submitted(&view),
        sequence: place.map(|place| place.sequence),
        ahead: place.and_then(|place| place.ahead),
        cancel_asked: view.is_cancel_asked,
        schedule: view.schedule.as_ref().map(|entry| entry.when.as_str()),
        failures: view.attempts.as_ref().map_or(&[], |record: &AttemptRecord| &record.failures),
        dead_letter: view.dead.is_some(),
        outcome: ended.as_ref().map(EndRow::with_body),
    };
    cx.out.record(&row, &fields(&cx.out, &view, &row, ended.as_ref()))?;
    Ok(Exit::OK)
}

fn submitted(view: &TaskView) -> Option<UnixMillis> {
    let of_outcome = view.outcome.as_ref().and_then(|outcome| outcome.submitted);
    of_outcome.or_else(|| view.place.as_ref().map(|place| place.at))
}

fn fields<'a>(out: &Out, view: &TaskView, row: &Row<'_>, ended: Option<&TaskOutcome>) -> Vec<(&'a str, String)> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let outcome = view.outcome.as_ref();
    let ahead = row.ahead.map(|ahead| match ahead {
        Ahead::Exactly(n) => n.to_string(),
        Ahead::AtMost(n) => format!("up to {n}"),
    });
    let failures: Vec<String> = row
        .failures
        .iter()
        .map(|failure| {
            format!(
                "attempt {} by {}, {}: {}: {}",
                failure.attempt,
                failure.worker,
                out.moment(failure.finished),
                failure.code,
                failure.message
            )
        })
        .collect();
    let body = ended.map(|ended| match (ended.error(), out.shape()) {
        (Some(error), _) => format!("{}: {}", error.code, error.message),
        (None, Shape::Table) => pretty(&as_json(&ended.body)),
        (None, _) => as_json(&ended.body).to_string(),
    });
    vec![
        ("task", view.task.to_string()),
        ("skill", view.skill.to_string()),
        ("state", row.state.to_owned()),
        ("priority", text(row.priority.map(|priority| priority.to_string()))),
        ("submitted", out.moment_or_none(row.submitted)),
        ("sequence", text(row.sequence.map(|sequence| sequence.to_string()))),
        ("ahead", text(ahead)),
        ("schedule", row.schedule.unwrap_or_default().to_owned()),
        ("cancel", if row.cancel_asked { "asked for".to_owned() } else { String::new() }),
        ("started", out.moment_or_none(outcome.and_then(|outcome| outcome.started))),
        ("finished", out.moment_or_none(outcome.map(|outcome| outcome.finished))),
        ("attempt", text(outcome.map(|outcome| outcome.attempt.to_string()))),
        ("items", text(outcome.and_then(|outcome| outcome.items).map(items))),
        ("worker", text(outcome.and_then(|outcome| outcome.worker.as_ref().map(ToString::to_string)))),
        ("failures", failures.join("\n")),
        ("dead letter", if row.dead_letter { format!("nova dead show {}", view.task) } else { String::new() }),
        (if outcome.is_some_and(|outcome| outcome.code.is_some()) { "error" } else { "result" }, text(body)),
    ]
}

/// The items of a bundle, by how they ended.
fn items(counted: ItemCount) -> String {
    let ItemCount { items, failed, cancelled } = counted;
    let more = [(failed, "failed"), (cancelled, "cancelled")];
    let more = more.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!(", {count} {how}"));
    format!("{items}{}", more.collect::<String>())
}
