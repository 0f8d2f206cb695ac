//! `nova run`: runs of workflows.

use nova_client::RunRow;
use serde_json::Value;

use crate::connect::environment;
use crate::cx::{Cx, online};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::flow::act;
use crate::input::InputArgs;
use crate::out::Out;
use crate::root::Global;

mod answer;
mod graph;
mod ls;
mod order;
mod rehearse;
mod restart;
mod show;
mod signal;
mod start;
mod verify;
mod watch;

/// Start runs of workflows, watch and steer them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Start(start::Args),
    Ls(ls::Args),
    Show(show::Args),
    Watch(watch::Args),
    Signal(signal::Args),
    Approve(answer::ApproveArgs),
    Reject(answer::RejectArgs),
    Cancel(order::CancelArgs),
    Pause(order::PauseArgs),
    Resume(order::ResumeArgs),
    Restart(restart::Args),
    Verify(verify::Args),
    Rehearse(rehearse::Args),
    Graph(graph::Args),
}

pub(super) fn run(global: &Global, out: Out, command: Command) -> Result<Exit, Failure> {
    // A file's graph needs no fleet.
    let command = match command {
        Command::Graph(args) if args.is_offline() => return graph::offline(&out, &args),
        other => other,
    };
    online(global, out, |cx| connected(cx, command))
}

async fn connected(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Start(args) => start::run(cx, args).await,
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Show(args) => show::run(cx, args).await,
        Command::Watch(args) => watch::run(cx, args).await,
        Command::Signal(args) => signal::run(cx, args).await,
        Command::Approve(args) => answer::approve(cx, args).await,
        Command::Reject(args) => answer::reject(cx, args).await,
        Command::Cancel(args) => order::cancel(cx, args).await,
        Command::Pause(args) => order::pause(cx, args).await,
        Command::Resume(args) => order::resume(cx, args).await,
        Command::Restart(args) => restart::run(cx, args).await,
        Command::Verify(args) => verify::run(cx, args).await,
        Command::Rehearse(args) => rehearse::run(cx, args).await,
        Command::Graph(args) => graph::run(cx, args).await,
    }
}

/// Shows a run that was found by its task.
pub(super) async fn show_run(cx: &Cx, row: RunRow) -> Result<Exit, Failure> {
    show::whole(cx, &row).await
}

/// Who gives an order: the user of this process, as far as it says so.
fn who() -> Option<String> {
    environment("USER").or_else(|| environment("LOGNAME")).filter(|name| !name.is_empty())
}

/// An input as a JSON value.
async fn value(input: &InputArgs) -> Result<Value, Failure> {
    let payload = input.read().await?;
    payload.to_json().map_err(|error| Failure::because(Exit::USAGE, "bad_input", error))
}

/// Refuses an order to a run that has ended.
fn refuse_ended(row: &RunRow) -> Result<(), Failure> {
    use nova_types::RunStatus as S;
    act::refuse_unless(row, &[S::Queued, S::Running, S::Paused, S::Undoing])
}
