//! `nova dead ls`: dead letters, oldest first.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use nova_client::DeadEntry;
use nova_types::{Code, Skill, TaskId, UnixMillis};
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::DeadFilterArgs;
use crate::out::{Out, Row};

/// List dead letters, oldest first
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova dead ls --skill shell --code exit --since 1d")]
pub(crate) struct Args {
    #[command(flatten)]
    filter: DeadFilterArgs,
}

/// A letter as one JSON object, without its bytes.
#[derive(Serialize)]
pub(super) struct Line {
    pub(super) task: TaskId,
    pub(super) skill: Skill,
    pub(super) code: Code,
    pub(super) message: Option<String>,
    pub(super) attempts: u32,
    pub(super) at: UnixMillis,
    pub(super) bytes: usize,
    pub(super) sequence: u64,
    pub(super) labels: BTreeMap<String, String>,
}

impl Line {
    pub(super) fn of(entry: &DeadEntry) -> Self {
        let last = entry.letter.attempts_listed().failures.pop();
        Self {
            task: entry.letter.task.clone(),
            skill: entry.letter.skill.clone(),
            code: entry.letter.code.clone(),
            message: last.map(|failure| failure.message),
            attempts: entry.letter.attempts,
            at: entry.at,
            bytes: entry.letter.body.len(),
            sequence: entry.sequence,
            labels: entry.labels(),
        }
    }
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["task", "skill", "code", "attempts", "at", "message"];
    fn cells(&self, out: &Out) -> Vec<String> {
        vec![
            self.task.to_string(),
            self.skill.to_string(),
            self.code.to_string(),
            self.attempts.to_string(),
            out.moment(self.at),
            nova_wire::limits::clip(self.message.as_deref().unwrap_or_default(), 60).to_owned(),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let entries: Vec<DeadEntry> = cx.client.dead(args.filter.filter()).try_collect().await?;
    let lines: Vec<Line> = entries.iter().map(Line::of).collect();
    cx.out.list(&lines, "no dead letters")?;
    Ok(Exit::OK)
}
