//! `nova schedule`: delayed and recurring tasks; `nova submit --delay`, `--at`, `--every` and `--cron` make them.

use nova_client::ScheduleEntry;
use nova_types::{Skill, TaskId};

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

mod backfill;
mod ls;
mod rm;
mod show;

/// Look at delayed and recurring tasks, run them for the past, end them
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Ls(ls::Args),
    Show(show::Args),
    Backfill(backfill::Args),
    Rm(rm::Args),
}

pub(super) async fn run(cx: Cx, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Ls(args) => ls::run(cx, args).await,
        Command::Show(args) => show::run(cx, args).await,
        Command::Backfill(args) => backfill::run(cx, args).await,
        Command::Rm(args) => rm::run(cx, args).await,
    }
}

/// One schedule as it stands.
async fn one(cx: &Cx, skill: &Skill, task: &TaskId) -> Result<ScheduleEntry, Failure> {
    cx.client.schedule_entry(skill, task).await?.ok_or_else(|| {
        let missing = format!("task {task} of skill {skill} has no schedule");
        Failure::new(Exit::NOT_FOUND, "no_schedule", missing).help("what there is: nova schedule ls")
    })
}
