//! `nova bench`: how fast this fleet is, seen from here.

use nova_broker::Purge;
use nova_client::Submit;
use nova_types::Skill;
use nova_wire::{Payload, assets, subject};
use serde::Serialize;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::progress::Progress;

mod load;
mod times;

use times::Quantiles;

/// How many tasks are run one at a time: enough for a p99, over in a blink.
const ALONE: u64 = 200;

/// Measure the fleet with tasks that do nothing
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova bench
  nova bench --tasks 50000 --size 1024
  nova bench --rate 2000 --json
  nova bench --skill shout --input '\"hello\"'

Runs, over the connection of any other command and on the workers that are there: tasks one at a time,
tasks submitted in bulk, and whole tasks, so many under way, each waited for; 10 s of each at most. With
--rate instead tasks are started at a steady rate and timed from the moment they were due, whatever
becomes of those before.
The tasks are like any others: they wait behind what is in the queue. They have names of their own, and
their outcomes are deleted in the end, where the account may do that; without it they age out.")]
pub(crate) struct Args {
    /// The skill, which must have a worker and take the input
    #[arg(long, default_value = "echo")]
    skill: Skill,
    /// How many tasks each measurement runs at most
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    tasks: u64,
    /// How many are under way at once
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    in_flight: u64,
    /// How large a task's input is
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u64).range(2..=64 << 20))]
    size: u64,
    /// The input instead of text of that size
    #[arg(long, value_name = "JSON", conflicts_with = "size")]
    input: Option<String>,
    /// Start so many per second instead of keeping so many under way
    #[arg(long, value_name = "N", conflicts_with = "in_flight", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
}

/// What was measured.
#[derive(Serialize)]
struct Measured {
    skill: Skill,
    /// How many tasks each measurement was to run.
    tasks: u64,
    /// How large each input was.
    bytes: usize,
    workers: usize,
    /// How many outcomes were deleted in the end; none where the account may not.
    deleted: Option<u64>,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Figures {
    /// So many under way.
    Closed {
        in_flight: u64,
        /// One at a time.
        alone: Quantiles,
        /// How many were submitted in bulk, which may end early.
        submits: u64,
        submits_per_sec: f64,
        /// How many were waited for, which may end early.
        whole: u64,
        tasks_per_sec: f64,
        latency: Quantiles,
    },
    /// So many per second.
    Open { rate: u32, tasks_per_sec: f64, latency: Quantiles },
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let workers = serving(&cx, &args.skill).await?;
    let payload = match &args.input {
        Some(json) => Payload::json(json.clone()),
        None => Payload::json(format!("\"{}\"", "x".repeat(usize::try_from(args.size - 2).unwrap_or(usize::MAX)))),
    };
    let bytes = payload.bytes.len();
    if let Err(error) = payload.validate() {
        let failure = Failure::because(Exit::USAGE, "bad_input", error);
        return Err(failure.help(format!("the input is JSON, such as --input '{}'", r#""text""#)));
    }
    let task = Submit::new(args.skill.clone(), payload);
    let figures = match args.rate {
        Some(rate) => at_rate(&cx, &task, args.tasks, rate).await,
        None => under_way(&cx, &task, &args).await,
    };
    // Whatever came of it.
    let deleted = clean(&cx, &args.skill).await;
    let measured = Measured { skill: args.skill, tasks: args.tasks, bytes, workers, deleted, figures: figures? };
    cx.out.record(&measured, &measured.fields())?;
    Ok(Exit::OK)
}

/// Deletes the outcomes of the tasks, which are alone in this process's scope unless another one was asked for.
async fn clean(cx: &Cx, skill: &Skill) -> Option<u64> {
    if let Some(scope) = &cx.target.scope {
        cx.out.say(format!("the outcomes stay until they age out: scope {scope} may hold others"));
        return None;
    }
    let progress = Progress::spinner(&cx.out, "cleaning up");
    let own = Purge::Subject(subject::outcomes_of_scope(skill, cx.client.scope()));
    let deleted = cx.client.broker().purge(assets::OUTCOMES.to_owned(), own).await;
    drop(progress);
    match deleted {
        Ok(count) => Some(count),
        Err(error) => {
            cx.out.warn(format!("the outcomes stay until they age out: {error}"));
            None
        }
    }
}

/// How many workers would take the tasks.
async fn serving(cx: &Cx, skill: &Skill) -> Result<usize, Failure> {
    let rows = cx.client.workers().await?;
    let takes = rows.iter().filter(|row| !row.draining && row.skills.iter().any(|served| served.name == *skill));
    match takes.count() {
        0 => {
            let message = format!("no worker of skill `{skill}` is present: its tasks would only wait");
            let failure = Failure::new(Exit::NOT_FOUND, "no_worker", message);
            Err(failure.help("see who is there: nova worker ls").help("for a fleet on this machine: nova dev"))
        }
        workers => Ok(workers),
    }
}

async fn under_way(cx: &Cx, task: &Submit, args: &Args) -> Result<Figures, Failure> {
    let Args { tasks, in_flight, .. } = *args;
    let few = tasks.min(ALONE);
    let progress = Progress::bar(&cx.out, few, "one at a time");
    let alone = load::whole(cx, task, few, 1, &progress).await?;
    drop(progress);
    let progress = Progress::bar(&cx.out, tasks, "submits");
    let (submits, submits_per_sec) = load::submits(cx, task, tasks, in_flight, &progress).await?;
    drop(progress);
    let progress = Progress::bar(&cx.out, tasks, "whole tasks");
    let whole = load::whole(cx, task, tasks, in_flight, &progress).await?;
    Ok(Figures::Closed {
        in_flight,
        alone: alone.times.quantiles(),
        submits,
        submits_per_sec,
        whole: whole.times.len(),
        tasks_per_sec: whole.per_sec,
        latency: whole.times.quantiles(),
    })
}

async fn at_rate(cx: &Cx, task: &Submit, tasks: u64, rate: u32) -> Result<Figures, Failure> {
    let progress = Progress::bar(&cx.out, tasks, format!("{rate} tasks per second"));
    let steady = load::steady(cx, task, tasks, rate, &progress).await?;
    Ok(Figures::Open { rate, tasks_per_sec: steady.per_sec, latency: steady.times.quantiles() })
}

impl Measured {
    /// The lines for people.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let tasks = self.tasks;
        let mut fields = vec![
            ("skill", self.skill.to_string()),
            ("workers", self.workers.to_string()),
            ("input", format!("{} bytes", self.bytes)),
        ];
        match &self.figures {
            Figures::Closed { in_flight, alone, submits, submits_per_sec, whole, tasks_per_sec, latency } => fields
                .extend([
                    ("alone", format!("{alone}, one at a time")),
                    ("submits", format!("{submits_per_sec:.0} per second, {submits} with {in_flight} under way")),
                    ("tasks", format!("{tasks_per_sec:.0} per second, {whole} with {in_flight} under way")),
                    ("latency", latency.to_string()),
                ]),
            Figures::Open { rate, tasks_per_sec, latency } => fields.extend([
                ("tasks", format!("{tasks_per_sec:.0} per second, {tasks} at {rate} per second asked for")),
                ("latency", format!("{latency}, from the moment each was due")),
            ]),
        }
        fields
    }
}
