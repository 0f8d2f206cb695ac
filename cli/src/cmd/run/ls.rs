//! `nova run ls`: runs, those that moved last first.

use nova_client::RunRow;
use nova_types::{RunId, RunStatus, StepId, TaskId, UnixMillis, WorkflowName};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::which::RunFilterArgs;
use crate::out::{Out, Row};

/// List runs, those that moved last first
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run ls --status failed --workflow review --since 1d
  nova run ls --key 4711 --json

--limit is 100 unless it is given.")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: RunFilterArgs,
}

/// A run as one JSON object.
#[derive(Serialize)]
pub(super) struct Line {
    run: RunId,
    task: TaskId,
    workflow: WorkflowName,
    version: String,
    status: RunStatus,
    done: u32,
    total: u32,
    key: Option<String>,
    started: UnixMillis,
    ended: Option<UnixMillis>,
    at: UnixMillis,
    failed: Option<StepId>,
    parent: Option<RunId>,
    restart_of: Option<RunId>,
    labels: BTreeMap<String, String>,
    transitions: u64,
}

impl Line {
    pub(super) fn of(row: RunRow) -> Self {
        let run = row.summary;
        Self {
            run: run.run,
            task: run.task,
            workflow: run.workflow,
            version: run.version,
            status: run.status,
            done: run.done,
            total: run.total,
            key: run.key,
            started: run.started,
            ended: run.ended,
            at: row.at,
            failed: run.failed,
            parent: run.parent,
            restart_of: run.restart_of,
            labels: run.labels,
            transitions: run.n,
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] =
        &["run", "workflow", "status", "steps", "key", "started", "moved", "failed"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.run.to_string(),
            self.workflow.to_string(),
            self.status.to_string(),
            format!("{}/{}", self.done, self.total),
            self.key.clone().unwrap_or_default(),
            out.moment(self.started),
            out.moment(self.at),
            self.failed.as_ref().map(ToString::to_string).unwrap_or_default(),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let filter = args.filter.filter(100);
    let rows = cx.client.runs(&filter).await?;
    let is_cut = rows.len() == filter.limit;
    let lines: Vec<Line> = rows.into_iter().map(Line::of).collect();
    cx.out.list(&lines, "no runs")?;
    if is_cut && cx.out.shape() == crate::out::Shape::Table {
        cx.out.say(format!("there may be more than these {}: --limit N", lines.len()));
    }
    Ok(Exit::OK)
}
