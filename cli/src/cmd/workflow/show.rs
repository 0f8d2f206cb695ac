//! `nova workflow show`: a definition, for people or as the file it came from could be.

use nova_types::{UnixMillis, WorkflowName};
use nova_workflow::{Kind, Plan};
use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::{told, tree, yaml};
use crate::out::{Out, Shape};

/// Show a workflow: what it takes, its steps, its versions
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova workflow show review
  nova workflow show review --version 1f2e --yaml > review.yaml
  nova workflow show review --json | jq .definition")]
pub(crate) struct Args {
    /// The workflow
    #[arg(value_name = "WORKFLOW")]
    workflow: WorkflowName,
    /// The version, by its hash or the beginning of it; the present one without it
    #[arg(long, value_name = "HASH")]
    version: Option<String>,
    /// The definition alone, as YAML
    #[arg(long, conflicts_with = "json")]
    yaml: bool,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let plan = cx.client.workflow(&args.workflow, args.version.as_deref()).await?;
    if args.yaml {
        cx.out.raw(yaml::write(&plan).as_bytes())?;
        return Ok(Exit::OK);
    }
    let named = cx.client.workflow_versions(&args.workflow).await?;
    if cx.out.is_json() {
        cx.out.json(&json!({
            "workflow": args.workflow, "version": plan.hash(), "present": named.present.hash == plan.hash(),
            "definition": plan.workflow(), "versions": named.versions,
        }))?;
        return Ok(Exit::OK);
    }
    let at = named.versions.iter().find(|version| version.hash == plan.hash()).map(|version| version.at);
    let present = if named.present.hash == plan.hash() { "present" } else { "not the present one" };
    cx.out.record(&(), &fields(&cx.out, &plan, at, present))?;
    cx.out.line("")?;
    let ink = if cx.out.shape() == Shape::Table { cx.out.ink() } else { tree::Ink::None };
    tree::text(&tree::lines(&plan, None, UnixMillis(0)), ink).iter().try_for_each(|line| cx.out.line(line))?;
    if cx.out.shape() == Shape::Table && named.versions.len() > 1 {
        cx.out.line("\nversions, the present one last")?;
        for version in &named.versions {
            cx.out.line(format!("  {} {}", told::digest(&version.hash), cx.out.moment(version.at)))?;
        }
    }
    Ok(Exit::OK)
}

fn fields<'a>(out: &Out, plan: &Plan, at: Option<UnixMillis>, present: &str) -> Vec<(&'a str, String)> {
    let workflow = plan.workflow();
    let text = |value: Option<String>| value.unwrap_or_default();
    let input = workflow.input.as_ref().map(|params| {
        let line = |(name, param): (&String, &nova_workflow::definition::Param)| {
            let kind = serde_json::to_value(param.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
            let default = param.default.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            let about = if param.about.is_empty() { String::new() } else { format!("  {}", param.about) };
            format!("{name}: {}{default}{about}", kind.unwrap_or_default())
        };
        params.iter().map(line).collect::<Vec<_>>().join("\n")
    });
    let waits = plan.order().iter().filter(|id| matches!(plan.kind(id), Kind::Wait(_))).count();
    vec![
        ("workflow", workflow.workflow.to_string()),
        ("about", workflow.about.clone()),
        ("version", format!("{} ({present})", plan.hash())),
        ("put", out.moment_or_none(at)),
        ("input", input.unwrap_or_else(|| "anything".to_owned())),
        ("key", text(workflow.key.as_ref().map(|key| key.0.clone()))),
        ("deadline", text(workflow.deadline.map(|deadline| deadline.to_string()))),
        ("parallel", text(workflow.parallel.map(|most| format!("{most} tasks of a run at once")))),
        ("runs", text(workflow.runs.map(|most| format!("{most} at once")))),
        (
            "steps",
            format!(
                "{}{}",
                plan.order().len(),
                if waits > 0 { format!(", {waits} of them wait") } else { String::new() }
            ),
        ),
    ]
}
