//! `nova workflow`: templates of runs.

use crate::cx::online;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::root::Global;

mod check;
mod ls;
mod put;
mod schema;
mod show;

/// Check workflow files, store them and look at what is stored
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Check(check::Args),
    Put(put::Args),
    Ls(ls::Args),
    Show(show::Args),
    Schema(schema::Args),
}

pub(super) fn run(global: &Global, out: Out, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Check(args) if args.is_offline() => check::offline(&out, &args),
        Command::Check(args) => online(global, out, |cx| check::run(cx, args)),
        Command::Put(args) => online(global, out, |cx| put::run(cx, args)),
        Command::Ls(args) => online(global, out, |cx| ls::run(cx, args)),
        Command::Show(args) => online(global, out, |cx| show::run(cx, args)),
        Command::Schema(_) => schema::run(&out),
    }
}
