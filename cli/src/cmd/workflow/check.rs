//! `nova workflow check`: every mistake of a file with its place.

use std::path::PathBuf;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::file;
use crate::out::Out;

/// Check workflow files: every mistake with line and column
///
/// Needs no fleet. With --online it also asks the fleet whether the skills and workflows that are named exist.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova workflow check review.yaml
  nova workflow check --online workflows/*.yaml
  nova workflow check review.yaml --json

Exits 2 when a file has a mistake. On stdout one line for each, FILE:LINE:COLUMN: message; with --json one
object.")]
pub(crate) struct Args {
    /// The files, YAML or JSON; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Ask the fleet, too
    #[arg(long)]
    online: bool,
}

impl Args {
    pub(super) fn is_offline(&self) -> bool {
        !self.online
    }
}

pub(super) fn offline(out: &Out, args: &Args) -> Result<Exit, Failure> {
    let mut mistakes = 0;
    for path in &args.files {
        let source = file::read(path)?;
        match source.plan() {
            Ok(plan) => file::tell_sound(out, path, &plan),
            Err(found) => mistakes += found.tell(out)?,
        }
    }
    Ok(conclude(out, mistakes))
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let mut mistakes = 0;
    let mut names = std::collections::BTreeSet::new();
    let mut sound = Vec::new();
    for path in &args.files {
        let source = file::read(path)?;
        match source.plan() {
            Ok(plan) => {
                names.insert(plan.workflow().workflow.clone());
                sound.push((path, source, plan));
            }
            Err(found) => mistakes += found.tell(&cx.out)?,
        }
    }
    for (path, source, plan) in &sound {
        let mut unknown = cx.client.unknown_names(plan.workflow()).await?;
        // Files that are checked together may name each other.
        unknown.retain(|problem| {
            let named = serde_json::to_value(plan.workflow()).ok();
            let named = named.as_ref().and_then(|value| value.pointer(&problem.path)?.as_str());
            !(problem.path.ends_with("/workflow")
                && named.is_some_and(|name| names.iter().any(|of| of.as_str() == name)))
        });
        if unknown.is_empty() {
            file::tell_sound(&cx.out, path, plan);
        } else {
            mistakes += source.mistakes(unknown).tell(&cx.out)?;
        }
    }
    Ok(conclude(&cx.out, mistakes))
}

fn conclude(out: &Out, mistakes: usize) -> Exit {
    if mistakes == 0 {
        return Exit::OK;
    }
    out.say(if mistakes == 1 { "1 mistake".to_owned() } else { format!("{mistakes} mistakes") });
    Exit::USAGE
}
