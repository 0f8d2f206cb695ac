//! `nova workflow ls`: workflows by name.

use nova_types::{UnixMillis, WorkflowName};
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Row, Shape};

/// List workflows
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova workflow ls --json")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Line {
    workflow: WorkflowName,
    version: String,
    at: UnixMillis,
    versions: usize,
    steps: Option<usize>,
    about: String,
}

impl Row for Line {
    const TITLES: &'static [&'static str] = &["workflow", "version", "put", "versions", "steps", "about"];
    fn cells(&self, out: &Out) -> Vec<String> {
        let cut = if out.shape() == Shape::Table { 12 } else { self.version.len() };
        vec![
            self.workflow.to_string(),
            self.version.chars().take(cut).collect(),
            out.moment(self.at),
            self.versions.to_string(),
            self.steps.map(|steps| steps.to_string()).unwrap_or_default(),
            nova_wire::limits::clip(&self.about, 60).to_owned(),
        ]
    }
}

pub(super) async fn run(cx: Cx, _: Args) -> Result<Exit, Failure> {
    let mut lines = Vec::new();
    for entry in cx.client.workflows().await? {
        // A definition of a later version of Nova is listed all the same.
        let plan = cx.client.workflow(&entry.workflow, Some(&entry.present.hash)).await.ok();
        lines.push(Line {
            workflow: entry.workflow,
            version: entry.present.hash,
            at: entry.present.at,
            versions: entry.versions.len(),
            steps: plan.as_ref().map(|plan| plan.order().len()),
            about: plan.map(|plan| plan.workflow().about.clone()).unwrap_or_default(),
        });
    }
    cx.out.list(&lines, "no workflows; add one: nova workflow put FILE")?;
    Ok(Exit::OK)
}
