//! The commands: one line per noun here, one file per verb below.

use clap::Subcommand;

use crate::cx::online;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::root::Global;

mod backup;
mod bench;
mod cancel;
mod check;
mod completion;
mod dead;
mod demo;
mod dev;
mod provision;
mod queue;
mod restore;
mod review;
mod run;
mod schedule;
mod show;
mod skill;
mod submit;
mod task;
mod wait;
mod watch;
mod why;
mod worker;
mod workflow;

/// Everything `nova` can do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Dev(dev::Args),
    Demo(demo::Args),
    Review(review::Args),
    Submit(submit::Args),
    Wait(wait::Args),
    Show(show::Args),
    Watch(watch::Args),
    Why(why::Args),
    Cancel(cancel::Args),
    #[command(subcommand)]
    Task(task::Command),
    #[command(subcommand)]
    Workflow(workflow::Command),
    #[command(subcommand)]
    Run(run::Command),
    #[command(subcommand)]
    Queue(queue::Command),
    #[command(subcommand)]
    Dead(dead::Command),
    #[command(subcommand)]
    Schedule(schedule::Command),
    #[command(subcommand)]
    Worker(worker::Command),
    Check(check::Args),
    Bench(bench::Args),
    #[command(subcommand)]
    Skill(skill::Command),
    #[command(subcommand)]
    Provision(provision::Command),
    Backup(backup::Args),
    Restore(restore::Args),
    Completion(completion::Args),
}

impl Command {
    /// Runs the command; those that speak to the fleet are connected first.
    pub(crate) fn run(self, global: &Global, out: Out) -> Result<Exit, Failure> {
        match self {
            Self::Dev(args) => dev::run(out, args),
            Self::Demo(args) => demo::run(out, args),
            Self::Review(args) => review::run(global, out, args),
            Self::Submit(args) => online(global, out, |cx| submit::run(cx, args)),
            Self::Wait(args) => online(global, out, |cx| wait::run(cx, args)),
            Self::Show(args) => online(global, out, |cx| show::run(cx, args)),
            Self::Watch(args) => online(global, out, |cx| watch::run(cx, args)),
            Self::Why(args) => online(global, out, |cx| why::run(cx, args)),
            Self::Cancel(args) => online(global, out, |cx| cancel::run(cx, args)),
            Self::Workflow(command) => workflow::run(global, out, command),
            Self::Run(command) => run::run(global, out, command),
            Self::Task(command) => online(global, out, |cx| task::run(cx, command)),
            Self::Queue(command) => online(global, out, |cx| queue::run(cx, command)),
            Self::Dead(command) => online(global, out, |cx| dead::run(cx, command)),
            Self::Schedule(command) => online(global, out, |cx| schedule::run(cx, command)),
            Self::Worker(command) => online(global, out, |cx| worker::run(cx, command)),
            Self::Check(args) => check::run(global, out, args),
            Self::Bench(args) => online(global, out, |cx| bench::run(cx, args)),
            Self::Skill(command) => skill::run(&out, command),
            Self::Provision(command) => provision::run(global, out, command),
            Self::Backup(args) => online(global, out, |cx| backup::run(cx, args)),
            Self::Restore(args) => restore::run(global, out, args),
            Self::Completion(args) => completion::run(&out, &args),
        }
    }
}
