//! Carries a review out: files in, tasks out, outcomes in, report out.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use nova_client::{Client, Submit, SubmitError, Submitted, TaskOutcome, WaitError};
use nova_types::{Name, Priority, Skill, TaskId};
use nova_wire::TaskOptions;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::finding::Question;
use super::git::Listing;
use super::reader::{Item, read_all};
use super::report::Report;
use super::rules;
use super::verify::{self, Before};
use crate::exit::Exit;
use crate::failure::Failure;

/// Submits under way at once: beyond it the broker is no faster.
const SUBMITTING: usize = 64;
/// Tasks that have not ended: bounds the queue and our memory, and is far above what a fleet runs at once.
const UNENDED: usize = 4096;
/// As long as fewer have not ended, submitting comes before anything else: enough for 28 workers of 16 slots and their surplus of two.
const EAGER: usize = 512;
/// The pause before a submit that a full queue refused is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(500);
/// When nothing ended for so long, the time before the next end counts as idle.
const IDLE: Duration = Duration::from_secs(1);
/// How often a watcher is told that time has passed.
const TICK: Duration = Duration::from_millis(200);

/// How a review is done.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// How urgent its tasks are.
    pub(crate) priority: Priority,
    /// The largest file that is read, in bytes.
    pub(crate) max_file_bytes: u64,
    /// Rules beside the workers' own.
    pub(crate) rules: Option<String>,
    /// Whether the report lists the rules in force.
    pub(crate) lists_rules: bool,
    /// How long nothing may happen before it is given up.
    pub(crate) patience: Duration,
}

/// What just happened.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A file was skipped, or its task submitted.
    Read,
    /// A task ended.
    Ended(&'a TaskOutcome),
    /// A moment has passed.
    Tick,
}

/// The skill that reviews.
pub(crate) fn skill() -> Skill {
    Skill::new("code-review").expect("small letters and a dash make a skill")
}

/// Reviews everything in the listing; `on` hears of every step, with the report so far.
///
/// # Errors
/// When tasks cannot be submitted, or nothing happens any more.
pub(crate) async fn review(
    client: &Client,
    listing: Listing,
    plan: &Plan,
    mut on: impl FnMut(Step<'_>, &Report),
) -> Result<Report, Failure> {
    let mut run = Run::new(client, &listing, plan).await?;
    let began = Instant::now();
    let mut files = read_all(listing, plan.max_file_bytes);
    let (mut reads, mut last, mut ended_last) = (true, began, began);
    let (mut submits, mut waits) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while reads || !submits.is_empty() || !waits.is_empty() {
        // Up to a point submitting goes first: no worker shall wait because we are busy reading answers.
        while reads && submits.len() < SUBMITTING && waits.len() < EAGER {
            let Ok(item) = files.try_recv() else { break };
            submits.extend(run.read(item).map(|(task, path)| submit(client, task, path)));
        }
        tokio::select! {
            // Answers before files: beyond that point nobody is served by a longer queue.
            biased;
            _ = ticks.tick() => {
                on(Step::Tick, &run.report);
                if last.elapsed() > plan.patience {
                    return Err(stalled(&run.report, plan.patience));
                }
            }
            Some((path, submitted)) = submits.next() => {
                last = Instant::now();
                let (path, submitted): (String, Submitted) = (path, submitted?);
                run.submitted(&submitted, &path);
                waits.push(wait(client, submitted.skill, submitted.task, path));
                on(Step::Read, &run.report);
            }
            Some((path, ended)) = waits.next() => {
                let gap = ended_last.elapsed();
                if gap > IDLE {
                    run.report.idle += gap;
                }
                (last, ended_last) = (Instant::now(), Instant::now());
                let ended: TaskOutcome = ended?;
                run.report.end(path, &ended);
                on(Step::Ended(&ended), &run.report);
            }
            item = files.recv(), if reads && submits.len() < SUBMITTING && waits.len() < UNENDED => match item {
                None => reads = false,
                Some(item) => submits.extend(run.read(item).map(|(task, path)| submit(client, task, path))),
            }
        }
    }
    run.report.took = began.elapsed();
    run.finish().await
}

struct Run<'a> {
    client: &'a Client,
    plan: &'a Plan,
    before: Before,
    report: Report,
    /// Every task and its file.
    tasks: HashMap<TaskId, String>,
    next: u64,
}

impl<'a> Run<'a> {
    async fn new(client: &'a Client, listing: &Listing, plan: &'a Plan) -> Result<Self, Failure> {
        // The random half of a time-ordered id.
        let run = format!("r{}", &uuid::Uuid::now_v7().simple().to_string()[20..]);
        let mut report = Report { run, root: listing.root.clone(), ..Report::default() };
        if plan.lists_rules {
            report.rules = rules::in_force(client, &skill(), plan.rules.as_deref()).await?;
        }
        let before = Before::look(client, &skill(), plan.priority).await?;
        Ok(Self { client, plan, before, report, tasks: HashMap::new(), next: 0 })
    }

    /// Takes note of a file, and makes its task when it is to have one.
    fn read(&mut self, item: Item) -> Option<(Submit, String)> {
        match item {
            Item::Skipped { path, why } => {
                self.report.skip(path, why);
                None
            }
            Item::Source { path, content } => Some((self.task(&path, &content), path)),
        }
    }

    fn task(&mut self, path: &str, content: &[u8]) -> Submit {
        let text = std::str::from_utf8(content).ok();
        let question = Question {
            path,
            content: text,
            content_base64: text.is_none().then(|| base64::engine::general_purpose::STANDARD.encode(content)),
            rules: self.plan.rules.as_deref(),
            list_rules: false,
        };
        self.next += 1;
        let name = Name::new(format!("{}-{:06}", self.report.run, self.next)).expect("letters, digits and a dash");
        let labels = [("run".to_owned(), self.report.run.clone())].into();
        let task = Submit::json(skill(), &question).expect("texts always encode");
        task.with_id(name)
            .with_priority(self.plan.priority)
            .with_options(TaskOptions { labels, ..TaskOptions::default() })
    }

    fn submitted(&mut self, submitted: &Submitted, path: &str) {
        self.report.files += 1;
        self.report.tasks += 1;
        self.tasks.insert(submitted.task.clone(), path.to_owned());
    }

    async fn finish(mut self) -> Result<Report, Failure> {
        let (client, skill) = (self.client, skill());
        self.report.verified = Some(verify::outcomes(client, &skill, &self.before, &self.tasks).await?);
        self.report.redeliveries = verify::redeliveries(client, &skill, self.plan.priority, &self.before).await;
        let events = verify::events(client, &self.before, &self.tasks).await;
        (self.report.retried, self.report.fenced) = events.unzip();
        self.report.sort();
        Ok(self.report)
    }
}

/// Submits one task; a queue that is full for the moment is waited for.
async fn submit(client: &Client, task: Submit, path: String) -> (String, Result<Submitted, SubmitError>) {
    loop {
        match client.submit(task.clone()).await {
            Err(SubmitError::Full { .. }) => tokio::time::sleep(FULL_PAUSE).await,
            done => return (path, done),
        }
    }
}

async fn wait(client: &Client, skill: Skill, task: TaskId, path: String) -> (String, Result<TaskOutcome, WaitError>) {
    // The patience of the whole review ends this, not a time of its own.
    let for_ever = Duration::from_secs(7 * 24 * 3600);
    let ended = client.wait(&skill, &task, for_ever).await;
    (path, ended)
}

fn stalled(report: &Report, patience: Duration) -> Failure {
    let left = report.tasks - report.ended;
    let message =
        format!("nothing happened for {} s; {left} of {} tasks have not ended", patience.as_secs(), report.tasks);
    Failure::new(Exit::TIMED_OUT, "stalled", message)
        .help("is a worker of skill code-review there? nova worker ls")
        .help(format!("the tasks go on; they are labelled run={}", report.run))
}
