//! `nova run graph`: the steps of a workflow or a run, as text or Mermaid.

use std::path::PathBuf;

use nova_engine::run::View;
use nova_types::WorkflowName;
use nova_workflow::Plan;
use serde_json::json;

use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::replay::Replay;
use crate::flow::which::RunWord;
use crate::flow::{file, mermaid, tree};
use crate::out::{Out, Shape};

/// Draw the steps of a run, of a workflow or of a file
///
/// Each step stands under the last of what it needs.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run graph cli.018f2c
  nova run graph --workflow review --mermaid
  nova run graph --file review.yaml")]
pub(crate) struct Args {
    /// The run, by its id or that of its task
    #[arg(value_name = "RUN", required_unless_present_any = ["file", "workflow"])]
    run: Option<RunWord>,
    /// A workflow's present version instead
    #[arg(long, value_name = "WORKFLOW", conflicts_with_all = ["run", "file"])]
    workflow: Option<WorkflowName>,
    /// A file instead
    #[arg(long, short, value_name = "FILE", conflicts_with = "run")]
    file: Option<PathBuf>,
    /// As Mermaid text, for documents
    #[arg(long)]
    mermaid: bool,
}

impl Args {
    pub(super) fn is_offline(&self) -> bool {
        self.file.is_some()
    }
}

pub(super) fn offline(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let path = args.file.as_ref().expect("it was asked for");
    let plan = file::load(out, path)?;
    draw(out, args.mermaid, &plan, None)
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    if let Some(workflow) = &args.workflow {
        let plan = cx.client.workflow(workflow, None).await?;
        return draw(&cx.out, args.mermaid, &plan, None);
    }
    let row = args.run.as_ref().expect("it is required without the others").find(&cx).await?;
    let mut replay = Replay::load(&cx, &row).await?;
    let view = replay.fold(&row.summary.run).await?.view(&replay.plan);
    draw(&cx.out, args.mermaid, &replay.plan, Some(&view))
}

fn draw(out: &Out, is_mermaid: bool, plan: &Plan, view: Option<&View>) -> Result<Exit, Failure> {
    if is_mermaid {
        out.raw(mermaid::flowchart(plan, view).as_bytes())?;
        return Ok(Exit::OK);
    }
    if out.is_json() {
        for id in plan.order() {
            let status = view.and_then(|view| view.steps.get(id)).map(|step| step.status);
            let kind = plan.kind(id);
            out.json(&json!({ "step": id, "kind": kind.as_str(), "needs": plan.needs(id), "status": status }))?;
        }
        return Ok(Exit::OK);
    }
    let ink = if out.shape() == Shape::Table { out.ink() } else { tree::Ink::None };
    tree::text(&tree::lines(plan, view, clock::now()), ink).iter().try_for_each(|line| out.line(line))?;
    Ok(Exit::OK)
}
