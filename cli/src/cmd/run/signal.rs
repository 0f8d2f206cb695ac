//! `nova run signal`: what a step of a run waits for.

use nova_types::StepId;

use super::who;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::act;
use crate::flow::which::RunWord;
use crate::input::InputArgs;

/// Send a signal to a run
///
/// A signal that comes before its step waits for it. Sending it twice sends two.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run signal cli.018f2c paid '{\"by\": \"card\"}'
  nova run signal nightly files @files.json")]
pub(crate) struct Args {
    /// The run, by its id or that of its task
    run: RunWord,
    /// The signal's name
    #[arg(value_name = "NAME")]
    name: StepId,
    #[command(flatten)]
    data: InputArgs,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let data = super::value(&args.data).await?;
    let row = args.run.find(&cx).await?;
    super::refuse_ended(&row)?;
    let order = cx.client.signal(&row.summary.task, args.name.as_str(), data, who()).await?;
    let heeded = act::heeded(&cx, &row, order).await?;
    cx.out.line(act::receipt(&cx, &row, "signal", Some(heeded)))?;
    act::tell(&cx, &row, heeded, &format!("has signal {}", args.name));
    Ok(Exit::OK)
}
