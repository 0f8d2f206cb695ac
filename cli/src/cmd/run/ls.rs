//! `nova run ls`: runs, those that moved last first.

use nova_client::{RunList, RunRow};
use nova_types::{RunId, RunStatus, StepId, TaskId, UnixMillis, WorkflowName};
use serde::Serialize;
use std::collections::BTreeMap;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::which::{RunFilterArgs, seek};
use crate::out::{Out, Row};

/// List runs, those that moved last first
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run ls --status failed --workflow review --since 1d
  nova run ls --key 4711 --json

--limit is 100 unless it is given. Without --since the newest 200,000 messages of the stream of runs
are looked at, with it as many as it takes.")]
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

/// How many messages are looked at unless it is said how far: seconds, not minutes, on a broker that holds a month of runs.
const DEPTH: u64 = 200_000;

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let mut filter = args.filter.filter(100);
    if filter.since.is_none() {
        filter.depth = DEPTH;
    }
    let RunList { rows, sought, is_cut } = seek(&cx, &filter).await?;
    let is_full = rows.len() == filter.limit;
    let lines: Vec<Line> = rows.into_iter().map(Line::of).collect();
    cx.out.list(&lines, "no runs")?;
    if let Some(sought) = sought.filter(|_| is_cut) {
        let back_to = cx.out.moment(sought.back_to);
        cx.out.say(format!("looked at what moved since {back_to}; further back: --since WHEN"));
    }
    if is_full && cx.out.shape() == crate::out::Shape::Table {
        cx.out.say(format!("there may be more than these {}: --limit N", lines.len()));
    }
    Ok(Exit::OK)
}
