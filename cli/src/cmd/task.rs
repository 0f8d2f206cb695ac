//! `nova task`: tasks in lists.

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

mod ls;

/// List tasks
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
    }
}
