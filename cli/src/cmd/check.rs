//! `nova check`: one line for a monitoring system, its exit code the status.

use nova_types::{DurationText, Skill};

use crate::catalogue::SkillsArg;
use crate::connect::{connect, environment, resolve};
use crate::cx::{Cx, runtime};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::root::Global;

mod format;
mod judge;
mod look;
mod report;

use format::Format;
use report::{Item, Report, Status};

/// Check the fleet's health for a monitoring system
#[derive(clap::Args)]
#[command(
    after_help = "Checks connection, provision (drift), queue, dead, worker and coordinator, or only those named.

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. A threshold of 0 is off.

Examples:
  nova check
  nova check queue --skill shell --oldest-warning 1m --oldest-critical 10m
  nova check --format prometheus"
)]
pub(crate) struct Args {
    /// What to check: connection, provision, queue, dead, worker, coordinator; all without it
    #[arg(value_name = "ITEM", value_enum)]
    items: Vec<Item>,
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Nagios)]
    format: Format,
    /// What to call the check
    #[arg(long, value_name = "NAME", default_value = "nova")]
    name: String,
    /// Only the queue of this skill
    #[arg(long, value_name = "SKILL")]
    skill: Option<Skill>,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    skills: SkillsArg,
}

/// From where on something is odd, and from where on someone must act; 0 is never.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Thresholds")]
struct Limits {
    /// A round trip to the broker
    #[arg(long, value_name = "DURATION", default_value = "100ms")]
    rtt_warning: DurationText,
    /// The same
    #[arg(long, value_name = "DURATION", default_value = "1s")]
    rtt_critical: DurationText,
    /// Tasks that wait in one queue
    #[arg(long, value_name = "N", default_value_t = 0)]
    waiting_warning: u64,
    /// The same
    #[arg(long, value_name = "N", default_value_t = 0)]
    waiting_critical: u64,
    /// The age of the oldest task that waits
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    oldest_warning: DurationText,
    /// The same
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    oldest_critical: DurationText,
    /// Dead letters
    #[arg(long, value_name = "N", default_value_t = 1)]
    dead_warning: u64,
    /// The same
    #[arg(long, value_name = "N", default_value_t = 0)]
    dead_critical: u64,
    /// How full a queue is, in percent of its bytes
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    full_warning: u64,
    /// The same
    #[arg(long, value_name = "PERCENT", default_value_t = 95)]
    full_critical: u64,
}

pub(super) fn run(global: &Global, out: Out, args: Args) -> Result<Exit, Failure> {
    let runtime = runtime()?;
    let report = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => {
                Err(Failure::new(Exit::INTERRUPTED, "interrupted", "interrupted"))
            }
            report = examine(global, &out, &args) => Ok(report),
        }
    });
    runtime.shutdown_background();
    let report = report?;
    let format = if out.is_json() { Format::Json } else { args.format };
    out.raw(format.render(&args.name, &report).as_bytes())?;
    Ok(Exit::of_check(report.status().code()))
}

async fn examine(global: &Global, out: &Out, args: &Args) -> Report {
    let mut report = Report::default();
    let says = |failure: Failure| failure.lines().join(": ");
    let target = match resolve(&global.connection, &environment) {
        Ok(target) => target,
        Err(failure) => {
            report.add(Status::Unknown, Item::Connection, says(failure));
            return report;
        }
    };
    // Whether the server is there is the first thing to know, so that is told as a status and not as a failure.
    match connect(&target, out).await {
        Err(failure) => report.add(Status::Critical, Item::Connection, says(failure)),
        Ok(jetstream) => {
            let cx = Cx::over(jetstream, nova_client::Client::random_scope(), target, out.clone());
            look::all(&cx, args, &mut report).await;
        }
    }
    report
}
