//! `nova workflow put`: makes a file the version that new runs take.

use std::path::PathBuf;

use serde_json::json;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::file;

/// Check workflow files and store them: new runs take these versions
///
/// Runs under way keep the version they started with. Putting the same definition again changes nothing. Files that name
/// each other's workflows are put in the order they are given.
#[derive(clap::Args)]
#[command(after_help = "Example:
  nova workflow put review.yaml")]
pub(crate) struct Args {
    /// The files, YAML or JSON; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    // All are looked at before one is stored.
    let mut plans = Vec::new();
    for path in &args.files {
        plans.push(file::load_source(&cx.out, path)?);
    }
    for (source, plan) in &plans {
        let put = file::put(&cx, source, plan).await?;
        if cx.out.is_json() {
            cx.out.json(&json!({
                "workflow": put.workflow, "version": put.hash, "before": put.before, "changed": put.is_changed(),
            }))?;
            continue;
        }
        cx.out.line(format!("{} {}", put.workflow, put.hash))?;
        cx.out.say(match (&put.before, put.is_changed()) {
            (None, _) => format!("{}: stored; start it: nova run start {}", put.workflow, put.workflow),
            (Some(_), true) => format!("{}: new runs take this version", put.workflow),
            (Some(_), false) => format!("{}: this is the present version already", put.workflow),
        });
    }
    Ok(Exit::OK)
}
