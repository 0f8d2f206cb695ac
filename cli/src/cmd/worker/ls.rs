//! `nova worker ls`: the workers that are present.

use nova_types::Skill;
use nova_wire::WorkerRow;
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row};

/// List the workers that are present
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only those with this skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Line(WorkerRow);

impl Row for Line {
    const TITLES: &'static [&'static str] =
        &["worker", "pid", "host", "skills", "version", "slots", "running", "started", "state"];
    fn cells(&self, out: &Out) -> Vec<String> {
        let row = &self.0;
        let skills: Vec<&str> = row.skills.iter().map(|skill| skill.name.as_str()).collect();
        vec![
            row.worker.to_string(),
            row.pid.to_string(),
            row.host.clone(),
            skills.join(","),
            row.version.clone(),
            row.slots.to_string(),
            row.running.to_string(),
            out.moment(row.started),
            if row.draining { "draining" } else { "ready" }.to_owned(),
        ]
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let rows = cx.client.workers().await?;
    let has =
        |row: &WorkerRow| args.skill.as_ref().is_none_or(|wanted| row.skills.iter().any(|skill| skill.name == *wanted));
    let lines: Vec<Line> = rows.into_iter().filter(has).map(Line).collect();
    cx.out.list(&lines, "no worker is present")?;
    Ok(Exit::OK)
}
