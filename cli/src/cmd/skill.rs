//! `nova skill`: the skills of the fleet, and a user's own among them.

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

mod add;
mod ls;
mod rm;

/// Look at the catalogue of skills and change your own
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Ls(ls::Args),
    Rm(rm::Args),
}

pub(super) fn run(out: &Out, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Add(args) => add::run(out, args),
        Command::Ls(args) => ls::run(out, &args),
        Command::Rm(args) => rm::run(out, &args),
    }
}
