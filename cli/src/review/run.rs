//! Carries a review out: the workflow is put, a run of it started and followed to its end, and the records read back.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream::StreamExt as _;
use nova_client::{Client, RunFeed, StartRun, StartedRun, TaskOutcome};
use nova_types::{Name, OutcomeKind, Priority, Skill};
use nova_workflow::{Part, StartRequest};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::course::{Course, Reviewed, review_step};
use super::definition;
use super::verify::{self, Before};
use crate::exit::Exit;
use crate::failure::Failure;

/// How often a watcher is told that time has passed.
const TICK: Duration = Duration::from_millis(200);
/// The patience of the whole review ends a wait for its outcome, not a time of its own.
const FOR_EVER: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the last transitions of a run may be behind its outcome, which is written after them.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How a review is done.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// The folder, as a worker on this machine finds it.
    pub(crate) repo: PathBuf,
    /// How urgent its tasks are.
    pub(crate) priority: Priority,
    /// The largest file that is read, in bytes.
    pub(crate) max_file_bytes: u64,
    /// Rules beside the workers' own.
    pub(crate) rules: Option<String>,
    /// Whether the report is to hold a SARIF document.
    pub(crate) sarif: bool,
    /// How long nothing may happen before it is given up.
    pub(crate) patience: Duration,
}

/// The skill that reviews.
pub(crate) fn skill() -> Skill {
    Skill::new("code-review").expect("small letters and a dash make a skill")
}

/// Reviews a repository; `on` hears of every transition, and of time that passes, with the course so far.
///
/// # Errors
/// When the run cannot be started, fails, or nothing happens any more.
pub(crate) async fn review(client: &Client, ask: &Ask, mut on: impl FnMut(&Course)) -> Result<Reviewed, Failure> {
    let before = Before::look(client, &skill(), ask.priority).await?;
    let began = Instant::now();
    let started = start(client, ask).await?;
    let mut course = Course::of(started.run.clone());
    let outcome = follow(client, &started, ask.patience, &mut course, &mut on).await?;
    course.took = began.elapsed();
    if outcome.outcome.kind != OutcomeKind::Completed {
        return Err(failed(&outcome, &started));
    }
    let report = outcome.result().map_err(|source| Failure::because(Exit::FAILURE, "garbled_report", source))?;
    let mut reviewed = Reviewed { report: report.unwrap_or_default(), course };
    read_back(client, &started, ask.priority, &before, &mut reviewed).await?;
    Ok(reviewed)
}

async fn start(client: &Client, ask: &Ask) -> Result<StartedRun, Failure> {
    let plan = definition::plan(ask.priority);
    definition::put(client, &plan).await?;
    let repo = ask.repo.to_str().ok_or_else(|| {
        Failure::usage(format!("the name of {} is not UTF-8, so no task can carry it", ask.repo.display()))
    })?;
    let rules = ask.rules.as_deref().unwrap_or_default();
    let input = json!({"repo": repo, "rules": rules, "max_file_bytes": ask.max_file_bytes, "sarif": ask.sarif});
    let request = StartRequest {
        workflow: plan.workflow().workflow.clone(),
        version: Some(plan.hash().to_owned()),
        input,
        restart: None,
    };
    // The random half of a time-ordered id.
    let name = format!("review-{}", &uuid::Uuid::now_v7().simple().to_string()[20..]);
    let name = Name::new(name).expect("letters, digits and a dash");
    Ok(client.start_run(StartRun::from(request).with_id(name).with_priority(ask.priority)).await?)
}

/// Follows the run to its outcome.
async fn follow(
    client: &Client,
    started: &StartedRun,
    patience: Duration,
    course: &mut Course,
    on: &mut impl FnMut(&Course),
) -> Result<TaskOutcome, Failure> {
    let mut feed = client.follow_run(&started.run).await?;
    let mut outcome = pin!(client.wait_run(&started.task, FOR_EVER));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut is_told) = (Instant::now(), true);
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => {
                on(course);
                if last.elapsed() > patience {
                    return Err(stalled(course, patience));
                }
            }
            recorded = feed.next(), if is_told => match recorded {
                Some(recorded) => {
                    last = Instant::now();
                    course.take(&recorded?.transition, last);
                    on(course);
                }
                None => is_told = false,
            },
            outcome = &mut outcome => {
                // A run that could not start has no history to wait for.
                if is_told && outcome.as_ref().is_ok_and(|ended| ended.outcome.kind == OutcomeKind::Completed) {
                    drain(&mut feed, course).await?;
                    on(course);
                }
                return Ok(outcome?);
            }
        }
    }
}

/// Takes the rest of the history of a run that has ended.
async fn drain(feed: &mut RunFeed, course: &mut Course) -> Result<(), Failure> {
    let rest = async {
        while let Some(recorded) = feed.next().await {
            course.take(&recorded?.transition, Instant::now());
        }
        Ok(())
    };
    // The report does not depend on it; numbers that lack the last moment are better than none.
    tokio::time::timeout(LAST_WORDS, rest).await.unwrap_or(Ok(()))
}

/// Reads back what the broker recorded of the tasks, and what happened on the way.
async fn read_back(
    client: &Client,
    started: &StartedRun,
    priority: Priority,
    before: &Before,
    reviewed: &mut Reviewed,
) -> Result<(), Failure> {
    let Reviewed { report, course } = reviewed;
    let name_of = |item: u32| Part::work(review_step(), item).name(&started.run);
    let names = (0..u32::try_from(course.tasks).unwrap_or(u32::MAX)).map(name_of).collect();
    let records = verify::outcomes(client, &skill(), before, &names).await?;
    let task_of = |item: u32| {
        let name = name_of(item);
        records.tasks.get(&name).map_or_else(|| name.to_string(), ToString::to_string)
    };
    course.name_failed(report, task_of);
    course.record(records);
    course.redeliveries = verify::redeliveries(client, &skill(), priority, before).await;
    let events = verify::events(client, before, &names).await;
    (course.retried, course.fenced) = events.unzip();
    Ok(())
}

fn failed(outcome: &TaskOutcome, started: &StartedRun) -> Failure {
    let (code, message) = outcome.error().map(|error| (error.code.to_string(), error.message)).unwrap_or_default();
    let failure = Failure::new(Exit::DEAD, code.clone(), format!("the review failed: {message}"));
    let failure = match code.as_str() {
        "not_allowed" => failure
            .help("the worker list-files says below which folders it may list: NOVA__LIST_FILES__ROOTS")
            .help("a fleet started by nova dev may list any"),
        "not_found" => failure.help("the worker list-files has to run where the repository is"),
        _ => failure,
    };
    failure.help(format!("nova run show {}", started.run))
}

fn stalled(course: &Course, patience: Duration) -> Failure {
    let left = match course.tasks.saturating_sub(course.ended) {
        0 => "the run has not ended".to_owned(),
        left => format!("{left} of {} tasks have not ended", course.tasks),
    };
    let message = format!("nothing happened for {} s; {left}", patience.as_secs());
    Failure::new(Exit::TIMED_OUT, "stalled", message)
        .help("are workers of the skills list-files, code-review and report there? nova worker ls")
        .help(format!("the run goes on: nova run watch {}", course.run_word()))
}
