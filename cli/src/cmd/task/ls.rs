//! `nova task ls`: tasks by state, skill, age and label.

use std::collections::BTreeMap;

use nova_client::TaskRow;
use nova_types::{Code, Priority, Skill, TaskId, TaskState, UnixMillis, WorkerId};
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::{TaskFilterArgs, state_word};
use crate::out::{Out, Row};

/// How many of each kind are shown unless more are asked for.
const SHOWN: usize = 100;

/// List tasks, newest first; 100 of each kind unless --limit says otherwise
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova task ls --state dead,cancelled --since 1h
  nova task ls --skill echo --state available --label batch=7 --json

--limit holds for each kind: scheduled, queued, ended. Tasks that ended carry no labels.")]
pub(crate) struct Args {
    /// Only of this skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
    #[command(flatten)]
    filter: TaskFilterArgs,
}

#[derive(Serialize)]
struct Line {
    task: TaskId,
    skill: Skill,
    state: TaskState,
    at: UnixMillis,
    priority: Option<Priority>,
    attempt: Option<u32>,
    worker: Option<WorkerId>,
    code: Option<Code>,
    labels: BTreeMap<String, String>,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["task", "skill", "state", "at", "priority", "attempt", "worker", "code"];
    fn cells(&self, out: &Out) -> Vec<String> {
        fn text<T: ToString>(value: Option<&T>) -> String {
            value.map(ToString::to_string).unwrap_or_default()
        }
        vec![
            self.task.to_string(),
            self.skill.to_string(),
            state_word(self.state).to_owned(),
            out.moment(self.at),
            text(self.priority.as_ref()),
            text(self.attempt.as_ref()),
            text(self.worker.as_ref()),
            text(self.code.as_ref()),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let rows: Vec<TaskRow> = cx.client.tasks(&args.filter.filter(args.skill, SHOWN)).await?;
    let lines: Vec<Line> = rows
        .into_iter()
        .map(|row| Line {
            task: row.task,
            skill: row.skill,
            state: row.state,
            at: row.at,
            priority: row.priority,
            attempt: row.attempt,
            worker: row.worker,
            code: row.code,
            labels: row.labels,
        })
        .collect();
    cx.out.list(&lines, "no tasks")?;
    Ok(Exit::OK)
}
