//! `nova schedule`: delayed and recurring tasks; `nova submit --delay`, `--at`, `--every` and `--cron` make them.

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

mod ls;
mod rm;

/// Look at delayed and recurring tasks and end them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
    Rm(rm::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Rm(args) => rm::run(cx, args).await,
    }
}
