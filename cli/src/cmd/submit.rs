//! `nova submit`: one task now or later, or one per line of a file.

use std::time::Duration;

use nova_client::{Client, Guard, ScheduleOptions, Standing, Submit, SubmitId};
use nova_types::{Backoff, CatchUp, DurationText, Priority, Skill};
use nova_wire::{ScheduleSpec, TaskOptions};
use serde::Serialize;

use crate::clock;
use crate::cx::Cx;
use crate::end::show_end;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::{Label, labels};
use crate::input::InputArgs;
use crate::moment::Moment;
use crate::out::Shape;
use crate::progress::Progress;
use crate::task_arg::Id;

mod bundled;
mod each;

/// Submit a task, now or later, or one per line of a file
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova submit echo '{\"hello\": \"world\"}' --wait
  nova submit http @request.json --priority high --timeout 30s
  git diff | nova submit echo - --string
  nova submit shell '{\"argv\": [\"make\", \"report\"]}' --cron '30 2 * * MON-FRI' --tz Europe/Berlin
  nova submit http --each @requests.jsonl --json --wait
  nova submit score --each @words.jsonl --bundle 100 --json --wait
  nova submit http @invoice.json --once invoice-4711 --wait
  nova submit shell @sync.json --unique nightly-sync
  nova submit bill @invoice.json --key customer-17
  nova submit bill --each @invoices.jsonl --key-from /customer

Prints the task's id; with --wait its result. --id makes a submit safe to repeat: within the dedupe
window the broker drops the copy, later only one of the two outcomes is taken. --once holds for as long
as --once-ttl says, whoever submits in the same scope, also after the outcome is forgotten.")]
pub(crate) struct Args {
    /// The skill that is to run it
    skill: Skill,
    #[command(flatten)]
    input: InputArgs,
    /// Submit one task per line of a file of JSON lines, `-` for stdin
    #[arg(long, value_name = "@FILE", conflicts_with_all = ["input", "delay", "at", "cron", "every"])]
    each: Option<String>,
    /// With --each: pack so many lines, 1 to 1000, into one task; each keeps its own attempts and its own answer
    // What --each conflicts with is named again: where one of these is given, clap asks for no --each.
    #[arg(long, value_name = "N", requires = "each",
          conflicts_with_all = ["input", "delay", "at", "cron", "every", "key", "key_from"],
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    bundle: Option<u32>,
    /// Wait for the outcome and print the result; at most so long when a duration is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "3650d")]
    wait: Option<DurationText>,
    #[command(flatten)]
    task: TaskArgs,
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    when: WhenArgs,
}

/// What a task asks for.
#[derive(clap::Args)]
#[command(next_help_heading = "Task")]
struct TaskArgs {
    /// Its id; with --each the lines' numbers are appended
    #[arg(long, value_name = "ID")]
    id: Option<Id>,
    /// high, normal or low
    #[arg(long, short, default_value = "normal")]
    priority: Priority,
    /// The longest one attempt may run
    #[arg(long, value_name = "DURATION")]
    timeout: Option<DurationText>,
    /// No attempt runs after it: 10m, 2026-11-22T18:00:00Z
    #[arg(long, value_name = "WHEN")]
    deadline: Option<Moment>,
    /// How many attempts may fail
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// The pause between attempts, shortest..longest: 1s..5m
    #[arg(long, value_name = "RANGE")]
    backoff: Option<Backoff>,
    /// Whose turn it waits for, when the skill is keyed: tasks of one key run in their order
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// With --each: where in a line's input its key stands, as a JSON pointer such as /customer
    #[arg(long, value_name = "POINTER", requires = "each", conflicts_with = "key")]
    key_from: Option<String>,
    /// A word to find it by; may be given several times
    #[arg(long, short = 'l', value_name = "KEY=VALUE")]
    label: Vec<Label>,
}

/// What its key promises.
#[derive(clap::Args)]
#[command(next_help_heading = "Keys")]
struct GuardArgs {
    /// Submit it once for this key, however often asked, also after it ended; then answers with that task
    #[arg(long, value_name = "KEY", conflicts_with_all = ["unique", "each", "delay", "at", "cron", "every"])]
    once: Option<String>,
    /// How long the key is remembered
    #[arg(long, value_name = "DURATION", requires = "once", default_value = "30d")]
    once_ttl: DurationText,
    /// Submit it unless a task of this key waits or runs; then answers with that task
    #[arg(long, value_name = "KEY", conflicts_with_all = ["each", "delay", "at", "cron", "every"])]
    unique: Option<String>,
}

impl GuardArgs {
    fn guard(&self) -> Option<Guard> {
        let once = self.once.clone().map(|key| Guard::Once { key, ttl: self.once_ttl.0 });
        once.or_else(|| self.unique.clone().map(|key| Guard::Unique { key }))
    }
}

/// When it runs.
#[derive(clap::Args)]
#[command(next_help_heading = "Schedule")]
pub(super) struct WhenArgs {
    /// Once, after a pause
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["at", "cron", "every"])]
    delay: Option<DurationText>,
    /// Once, at a moment
    #[arg(long, value_name = "WHEN", conflicts_with_all = ["cron", "every"])]
    at: Option<Moment>,
    /// By a cron line of five fields, or six with seconds first, or @daily and its like
    #[arg(long, value_name = "LINE", conflicts_with_all = ["every", "wait"])]
    cron: Option<String>,
    /// Again and again
    #[arg(long, value_name = "DURATION", conflicts_with = "wait")]
    every: Option<DurationText>,
    /// The time zone of the cron line: Europe/Berlin
    #[arg(long, value_name = "ZONE", requires = "cron")]
    pub(super) tz: Option<String>,
    /// What becomes of firings that were missed while nobody was there: skip, one or all
    #[arg(long, value_name = "POLICY")]
    pub(super) catch_up: Option<CatchUp>,
}

impl WhenArgs {
    /// When, if not now.
    pub(super) fn spec(&self) -> Result<Option<ScheduleSpec>, Failure> {
        let parse = |text: String| {
            let spec: Result<ScheduleSpec, _> = text.parse();
            spec.map(Some).map_err(|error| Failure::because(Exit::USAGE, "bad_schedule", error))
        };
        match (self.delay, self.at, &self.cron, self.every) {
            (Some(delay), ..) => Ok(Some(ScheduleSpec::In(delay.0))),
            (_, Some(at), ..) => Ok(Some(ScheduleSpec::At(at.future(clock::now())))),
            (_, _, Some(line), _) => parse(line.clone()),
            (_, _, _, Some(every)) => parse(format!("@every {every}")),
            _ => Ok(None),
        }
    }
}

impl TaskArgs {
    fn options(&self) -> TaskOptions {
        TaskOptions {
            timeout: self.timeout.map(|timeout| timeout.0),
            deadline: self.deadline.map(|deadline| deadline.future(clock::now())),
            max_attempts: self.max_attempts,
            backoff: self.backoff,
            labels: labels(&self.label),
            key: self.key.clone(),
            ..TaskOptions::default()
        }
    }
}

/// A receipt as one JSON object.
#[derive(Serialize)]
struct Receipt<'a> {
    task: &'a nova_types::TaskId,
    skill: &'a Skill,
    stream: &'a str,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    duplicate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    existing: Option<&'static str>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    if args.task.key.is_none() && args.task.key_from.is_none() && cx.client.keyed(&args.skill).await.is_some() {
        let what = format!("skill {} is keyed: name whose turn the task waits for with --key", args.skill);
        return Err(Failure::usage(what));
    }
    if let Some(file) = &args.each {
        return match args.bundle {
            Some(size) => bundled::run(&cx, &args, file, size).await,
            None => each::run(&cx, &args, file).await,
        };
    }
    let id = args.task.id.as_ref().map_or(SubmitId::New, |id| SubmitId::Id(id.in_scope_of(&cx)));
    // A random scope would make every key a new one.
    let is_keyed = args.guard.guard().is_some();
    let cx = if is_keyed { Cx { client: Client::new(cx.client.broker().clone(), cx.plain_scope()), ..cx } } else { cx };
    let submit = Submit::new(args.skill.clone(), args.input.read().await?)
        .with_id(id)
        .with_priority(args.task.priority)
        .with_options(args.task.options());
    let submit = Submit { guard: args.guard.guard(), ..submit };
    match args.when.spec()? {
        Some(when) => later(&cx, &args, submit, when).await,
        None if args.when.catch_up.is_some() => Err(Failure::usage("--catch-up needs --cron or --every")),
        None => now(&cx, &args, submit).await,
    }
}

async fn now(cx: &Cx, args: &Args, submit: Submit) -> Result<Exit, Failure> {
    if let Some(wait) = args.wait {
        let _spinner = Progress::spinner(&cx.out, format!("waiting for {}", args.skill));
        let ended = cx.client.submit_and_wait(submit, wait.0).await?;
        drop(_spinner);
        return show_end(&cx.out, &ended);
    }
    let done = cx.client.submit(submit).await?;
    let receipt = Receipt {
        task: &done.task,
        skill: &done.skill,
        stream: &done.stream,
        sequence: done.sequence,
        duplicate: Some(done.is_duplicate),
        schedule: None,
        existing: done.existing.as_ref().map(word),
    };
    if cx.out.is_json() {
        cx.out.json(&receipt)?;
        return Ok(Exit::OK);
    }
    cx.out.line(done.task.to_string())?;
    if let Some(existing) = &done.existing {
        cx.out.say(told(existing, &done.task));
    } else if done.is_duplicate {
        cx.out.say("a task of this id was submitted a moment ago: this copy was dropped");
    } else if cx.out.shape() == Shape::Table {
        cx.out.say(format!("submitted; its result: nova wait {}", done.task));
    }
    Ok(Exit::OK)
}

/// One word for how the task stands that has the key.
fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Open => "open",
        Standing::Ended(outcome) => outcome.kind.as_str(),
        Standing::Forgotten(_) => "forgotten",
        Standing::Unclear => "unclear",
    }
}

/// The same in a sentence.
fn told(standing: &Standing, task: &nova_types::TaskId) -> String {
    match standing {
        Standing::Open => format!("this task has the key and waits or runs; its result: nova wait {task}"),
        Standing::Ended(outcome) => {
            format!("this task has the key and ended: {}; its result: nova wait {task}", outcome.kind)
        }
        Standing::Forgotten(Some(ended)) => {
            let at = nova_wire::format_rfc3339(ended.finished);
            format!("this task has the key; it ended at {at}: {}; its outcome is not kept any more", ended.kind)
        }
        Standing::Forgotten(None) => "this task has the key and ended; its outcome is not kept any more".to_owned(),
        Standing::Unclear => {
            "this task has the key; its outcome is not kept any more, or it waits since longer than that".to_owned()
        }
    }
}

async fn later(cx: &Cx, args: &Args, submit: Submit, when: ScheduleSpec) -> Result<Exit, Failure> {
    let told = when.to_string();
    let options = ScheduleOptions { time_zone: args.when.tz.clone(), catch_up: args.when.catch_up };
    let made = cx.client.schedule_with(submit, when, &options).await?;
    if let Some(wait) = args.wait {
        let _spinner = Progress::spinner(&cx.out, format!("waiting for {} ({told})", made.task));
        let ended = cx.client.wait(&made.skill, &made.task, wait.0).await?;
        drop(_spinner);
        return show_end(&cx.out, &ended);
    }
    let receipt = Receipt {
        task: &made.task,
        skill: &made.skill,
        stream: &made.stream,
        sequence: made.sequence,
        duplicate: None,
        schedule: Some(told.clone()),
        existing: None,
    };
    if cx.out.is_json() {
        cx.out.json(&receipt)?;
    } else {
        cx.out.line(made.task.to_string())?;
        cx.out.say(format!("scheduled: {told}"));
    }
    Ok(Exit::OK)
}

/// How long an outcome is waited for.
fn patience(wait: Option<DurationText>) -> Option<Duration> {
    wait.map(|wait| wait.0)
}
