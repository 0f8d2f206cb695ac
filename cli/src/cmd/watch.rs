//! `nova watch`: what happens to a task, or to all of them, as it happens.

use futures_util::StreamExt as _;
use nova_client::Watched;
use nova_types::{OutcomeKind, Skill};
use nova_wire::TaskEventRecord;
use serde_json::Value;

use crate::cx::Cx;
use crate::end::{EndRow, exit_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Shape};
use crate::task_arg::{Id, find};

/// Watch a task until it ends, or all tasks from now on
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova watch cli.018f2c
  nova watch --skill echo --json

With an ID it exits like `nova wait`: 0 completed, 3 dead or cancelled. Which events a skill tells is
set by `events` in its catalogue line: by default retried, fenced, dead and cancelled; `full` adds
submitted, started and progress.")]
pub(crate) struct Args {
    /// The task's id; all tasks without it
    #[arg(value_name = "ID")]
    id: Option<Id>,
    /// Only this skill; with an ID, the skill that settles doubt
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let mut told = match &args.id {
        Some(id) => {
            let (skill, task) = find(&cx, id, args.skill.as_ref()).await?;
            cx.client.watch(&skill, &task).await?
        }
        None => cx.client.watch_all(args.skill.as_ref()).await?,
    };
    if cx.out.shape() == Shape::Table && args.id.is_none() {
        cx.out.say("watching; Ctrl-C ends it");
    }
    let mut end: Option<OutcomeKind> = None;
    while let Some(watched) = told.next().await {
        match watched {
            Watched::Event(event) => show_event(&cx.out, &event)?,
            Watched::Ended(outcome) => {
                end = Some(outcome.kind);
                let row = EndRow::of(&outcome);
                if cx.out.is_json() {
                    let mut value = serde_json::to_value(&row).expect("plain records always encode");
                    if let Some(object) = value.as_object_mut() {
                        object.insert("kind".to_owned(), Value::from("ended"));
                    }
                    cx.out.json(&value)?;
                } else {
                    let worker = outcome.worker.as_ref().map(ToString::to_string).unwrap_or_default();
                    let code = outcome.code.as_ref().map(ToString::to_string).unwrap_or_default();
                    let cells = [
                        cx.out.moment(outcome.finished),
                        outcome.task.to_string(),
                        outcome.kind.to_string(),
                        format!("attempt {}", outcome.attempt),
                        worker,
                        code,
                    ];
                    cx.out.line(cells.join("\t").trim_end())?;
                }
            }
        }
    }
    match (args.id, end) {
        (Some(_), Some(kind)) => Ok(exit_of(kind)),
        (Some(_), None) => Err(Failure::new(Exit::FAILURE, "watch", "the watch ended before the task did")),
        (None, _) => Ok(Exit::OK),
    }
}

fn show_event(out: &Out, event: &TaskEventRecord) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(event);
    }
    let fraction = event.fraction.map(|fraction| format!("{:.0}%", fraction * 100.0)).unwrap_or_default();
    let code = event.code.as_ref().map(ToString::to_string).unwrap_or_default();
    let message = event.message.clone().unwrap_or_default().replace(char::is_control, " ");
    let worker = event.worker.as_ref().map(ToString::to_string).unwrap_or_default();
    let cells = [
        out.moment(event.at),
        event.task.to_string(),
        event.kind.as_str().to_owned(),
        format!("attempt {}", event.attempt),
        worker,
        [fraction, code, message].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
    ];
    out.line(cells.join("\t").trim_end())
}
