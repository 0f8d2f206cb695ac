//! `nova worker`: who is there, and asking one to leave.

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

mod drain;
mod ls;

/// Look at workers and drain them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
    Drain(drain::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Drain(args) => drain::run(cx, args).await,
    }
}
