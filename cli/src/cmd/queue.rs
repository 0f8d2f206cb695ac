//! `nova queue`: what waits, and stopping and emptying it.

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

mod ls;
mod pause;
mod purge;
mod resume;
mod show;

/// Look at queues, pause, resume and empty them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
    Show(show::Args),
    Pause(pause::Args),
    Resume(resume::Args),
    Purge(purge::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Show(args) => show::run(cx, args).await,
        Command::Pause(args) => pause::run(cx, args).await,
        Command::Resume(args) => resume::run(cx, args).await,
        Command::Purge(args) => purge::run(cx, args).await,
    }
}
