//! `nova run watch`: a run as it moves, to its end.

use nova_types::RunStatus;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::live::{Show, follow};
use crate::flow::which::RunWord;
use crate::out::Shape;

/// Watch a run until it ends
///
/// On a terminal its steps as a tree, redrawn; elsewhere a line for each thing that happens, with --json an object for
/// each transition.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run watch cli.018f2c
  nova run watch nightly --json | jq .events

Exits 0 when the run completed, 3 when it failed or was cancelled.")]
pub(crate) struct Args {
    /// The run, by its id or that of its task
    run: RunWord,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let row = args.run.find(&cx).await?;
    let show = match cx.out.shape() {
        Shape::Json => Show::Json,
        Shape::Table if cx.out.shows_progress() => Show::Tree,
        _ => Show::Lines,
    };
    let status = follow(&cx, &row.summary.run, show).await?;
    Ok(if status == RunStatus::Completed { Exit::OK } else { Exit::DEAD })
}
