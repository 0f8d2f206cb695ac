//! `nova run start`: a run of a workflow, now or later.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use nova_client::{QueryError, ScheduleOptions, StartRun, StartedRun, SubmitId};
use nova_types::{DurationText, Priority, RunId, WorkflowName};
use nova_wire::{ScheduleSpec, TaskOptions};
use nova_workflow::{Plan, StartRequest};
use serde_json::{Value, json};

use crate::clock;
use crate::cmd::submit::WhenArgs;
use crate::cx::Cx;
use crate::end::show_end;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::{Label, labels};
use crate::flow::file;
use crate::flow::live::{Show, follow};
use crate::input::InputArgs;
use crate::moment::Moment;
use crate::out::Shape;
use crate::progress::Progress;
use crate::task_arg::Id;

/// How long the last transitions of a run that has ended may take to be shown.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// As long as it takes.
const FOR_EVER: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Start a run of a workflow, now or later
#[derive(clap::Args)]
#[command(after_help = "Examples:
  nova run start review --input '{\"repo\": \".\"}' --follow
  nova run start --file review.yaml --wait
  nova run start nightly --cron '0 2 * * *' --tz Europe/Berlin

Prints the run's id; with --wait or --follow its result, and exits as `nova wait` does: 0 completed,
3 failed or cancelled, 6 not in time. --id makes it safe to repeat: a run of an id starts once.")]
pub(crate) struct Args {
    /// The workflow
    #[arg(value_name = "WORKFLOW", required_unless_present = "file")]
    workflow: Option<WorkflowName>,
    /// Its input as JSON, `@file` for a file's content, `-` for stdin; nothing is null
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    input: Option<String>,
    /// Check and put this file first, and run what it says
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The version, by its hash or the beginning of it; the present one without it
    #[arg(long, value_name = "HASH", conflicts_with = "file")]
    version: Option<String>,
    /// Wait for the end and print the result; at most so long when a duration is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "3650d")]
    wait: Option<DurationText>,
    /// Show what happens until the end, then print the result
    #[arg(long, conflicts_with_all = ["wait", "cron", "every", "at", "delay"])]
    follow: bool,
    /// A word to find it by; may be given several times
    #[arg(long, short = 'l', value_name = "KEY=VALUE")]
    label: Vec<Label>,
    #[command(flatten)]
    shape: ShapeArgs,
    #[command(flatten)]
    when: WhenArgs,
}

/// What the run is to be.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Run")]
pub(super) struct ShapeArgs {
    /// The id of its task
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<Id>,
    /// high, normal or low: how soon it is started
    #[arg(long, short, default_value = "normal")]
    priority: Priority,
    /// It fails when it has not ended by then: 10m, 2026-11-22T18:00:00Z
    #[arg(long, value_name = "WHEN")]
    deadline: Option<Moment>,
}

impl ShapeArgs {
    /// The run with what is asked for.
    pub(super) fn of(&self, cx: &Cx, start: StartRun, labels: BTreeMap<String, String>) -> StartRun {
        let options = TaskOptions {
            deadline: self.deadline.map(|deadline| deadline.future(clock::now())),
            labels,
            ..TaskOptions::default()
        };
        let id = self.id.as_ref().map_or(SubmitId::New, |id| SubmitId::Id(id.in_scope_of(cx)));
        start.with_id(id).with_priority(self.priority).with_options(options)
    }
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let given = InputArgs { input: args.input.clone(), ..InputArgs::default() };
    let input = super::value(&given).await?;
    let (workflow, version) = match &args.file {
        None => known(&cx, &args, &input).await?,
        Some(path) => {
            let (source, plan) = file::load_source(&cx.out, path)?;
            if let Some(named) = args.workflow.as_ref().filter(|named| **named != plan.workflow().workflow) {
                let text = format!("{} holds workflow `{}`, not `{named}`", path.display(), plan.workflow().workflow);
                return Err(Failure::usage(text));
            }
            fits(&plan, &input)?;
            let put = file::put(&cx, &source, &plan).await?;
            (put.workflow, Some(put.hash))
        }
    };
    let start = StartRequest { workflow, version, input, restart: None };
    let start = args.shape.of(&cx, start.into(), labels(&args.label));
    match args.when.spec()? {
        Some(when) => later(&cx, &args, start, when).await,
        None => begin(&cx, start, args.wait, args.follow).await,
    }
}

/// A workflow that is there; a start that could only die is refused here, with the whole story.
async fn known(cx: &Cx, args: &Args, input: &Value) -> Result<(WorkflowName, Option<String>), Failure> {
    let workflow = args.workflow.clone().expect("it is required without a file");
    match cx.client.workflow(&workflow, args.version.as_deref()).await {
        Ok(plan) => {
            fits(&plan, input)?;
            // The hash in full: its beginning may become ambiguous.
            Ok((workflow, args.version.is_some().then(|| plan.hash().to_owned())))
        }
        // Who may start runs need not be allowed to read definitions: the coordinator looks, too.
        Err(QueryError::Broker { .. }) => Ok((workflow, args.version.clone())),
        Err(error) => Err(error.into()),
    }
}

fn fits(plan: &Plan, input: &Value) -> Result<(), Failure> {
    let workflow = &plan.workflow().workflow;
    plan.take_input(input.clone()).map(|_| ()).map_err(|refused| {
        let text = format!("the input does not fit workflow `{workflow}`: {}", refused.message);
        Failure::new(Exit::USAGE, refused.code.as_str(), text)
            .help(format!("what it takes: nova workflow show {workflow}; give it: --input JSON, --input @file"))
    })
}

/// Starts a run and stays as long as is asked for.
pub(super) async fn begin(
    cx: &Cx,
    start: StartRun,
    wait: Option<DurationText>,
    follows: bool,
) -> Result<Exit, Failure> {
    if let Some(wait) = wait {
        let _spinner = Progress::spinner(&cx.out, format!("running {}", start.request.workflow));
        let ended = cx.client.start_run_and_wait(start, wait.0).await?;
        drop(_spinner);
        return show_end(&cx.out, &ended);
    }
    let started = cx.client.start_run(start).await?;
    if follows {
        return to_its_end(cx, &started).await;
    }
    if cx.out.is_json() {
        cx.out.json(&json!({ "run": started.run, "task": started.task, "duplicate": started.is_duplicate }))?;
        return Ok(Exit::OK);
    }
    cx.out.line(started.run.to_string())?;
    if started.is_duplicate {
        cx.out.say("a run of this id was started a moment ago: this copy was dropped");
    } else if cx.out.shape() == Shape::Table {
        cx.out.say(format!("started; watch it: nova run watch {}", started.run));
    }
    Ok(Exit::OK)
}

async fn to_its_end(cx: &Cx, started: &StartedRun) -> Result<Exit, Failure> {
    let show = match cx.out.shape() {
        Shape::Json => Show::Json,
        _ if cx.out.shows_progress() => Show::Tree,
        _ => Show::Talk,
    };
    cx.out.say(format!("run {}", started.run));
    let mut following = pin!(follow(cx, &started.run, show));
    let mut waiting = pin!(cx.client.wait_run(&started.task, FOR_EVER));
    let ended = tokio::select! {
        biased;
        followed = &mut following => {
            followed?;
            waiting.await?
        }
        ended = &mut waiting => {
            let ended = ended?;
            // The outcome may be told before the last transition is shown; a start that could not be has none.
            if cx.client.run_summary(&started.run).await.is_ok() {
                let _ = tokio::time::timeout(SHOWN_WITHIN, following).await;
            }
            ended
        }
    };
    show_end(&cx.out, &ended)
}

async fn later(cx: &Cx, args: &Args, start: StartRun, when: ScheduleSpec) -> Result<Exit, Failure> {
    let told = when.to_string();
    let is_once = matches!(when, ScheduleSpec::In(_) | ScheduleSpec::At(_));
    let options = ScheduleOptions { time_zone: args.when.tz.clone(), catch_up: args.when.catch_up };
    let made = cx.client.schedule_with(start.into(), when, &options).await?;
    if let Some(wait) = args.wait {
        let _spinner = Progress::spinner(&cx.out, format!("waiting for {} ({told})", made.task));
        let ended = cx.client.wait(&made.skill, &made.task, wait.0).await?;
        drop(_spinner);
        return show_end(&cx.out, &ended);
    }
    let run = is_once.then(|| RunId::of(&made.task));
    if cx.out.is_json() {
        cx.out.json(&json!({ "run": run, "task": made.task, "schedule": told }))?;
    } else {
        cx.out.line(run.map_or_else(|| made.task.to_string(), |run| run.to_string()))?;
        cx.out.say(format!("scheduled: {told}"));
    }
    Ok(Exit::OK)
}
