//! The root of the command line: global flags, parsing, and the process's exit.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser};

use crate::cmd::Command;
use crate::connect::ConnectionArgs;
use crate::exit::Exit;
use crate::help;
use crate::out::Out;

/// Submit, watch and operate tasks on NATS
#[derive(Parser)]
#[command(name = "nova", version, disable_help_subcommand = true, after_help = help::EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Global {
    /// Print one JSON object per line on stdout
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

fn run(args: impl Iterator<Item = OsString>) -> Exit {
    // Nothing is started before the arguments are understood: `--help` must answer at once.
    let matches = match command().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // A closed stdout or stderr leaves nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { Exit::USAGE } else { Exit::OK };
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let out = Out::of_process(cli.global.json, cli.global.quiet);
    cli.command.run(&cli.global, out.clone()).unwrap_or_else(|failure| {
        out.fail(&failure);
        failure.exit
    })
}

/// The whole command line, its commands grouped for the help.
pub(crate) fn command() -> clap::Command {
    help::grouped(Cli::command())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
