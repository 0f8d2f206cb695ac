//! The worker, submitter and reader of an upgrade's run, built against the last release.
//!
//! Only what that release knows may be used here. Orders and histories are those of the chaos suite: `order.rs` and
//! `history.rs` are laid beside this file.

#[allow(dead_code)]
mod history;
#[allow(dead_code)]
mod order;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use nova_broker::jetstream::{self, Options};
use nova_client::{Client, ScheduleError, Submit, SubmitError};
use nova_types::{Priority, Skill as SkillName, TaskId, UnixMillis};
use nova_wire::{Payload, ScheduleSpec};
use nova_worker::{Context, Skill, Verdict, Worker};
use tokio::signal::unix::{SignalKind, signal};

use history::{Journal, What, now};
use order::{Answer, End, Order, TOLD_TO};

const SKILL: &str = "chaos";
const SNOOZE: Duration = Duration::from_millis(200);
/// How many tasks of one submitter are under way at most: it waits for the eldest of them.
const OPEN: usize = 200;

struct Told {
    journal: Arc<Journal>,
}

impl Skill for Told {
    type Input = Order;
    type Output = Answer;

    fn name(&self) -> &str {
        SKILL
    }

    async fn run(&self, order: Order, cx: Context) -> Result<Answer, Verdict> {
        let (skill, task, attempt) = (cx.skill().clone(), cx.task().clone(), cx.attempt());
        let tag = order.tag.clone();
        self.journal.note(What::Started { skill: skill.clone(), task: task.clone(), attempt, tag: tag.clone() });
        if order.hold_ms > 0 {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(order.hold_ms)) => {}
                () = cx.cancelled() => return Err(Verdict::cancel()),
            }
        }
        let end = match order.end {
            End::FailFirst(failures) if attempt > failures => End::Done,
            End::Snooze if cx.checkpoint().is_some() => End::Done,
            end => end,
        };
        let verdict = match end {
            End::Done => Ok(Answer { n: order.n, pad: order.pad }),
            End::Fail | End::FailFirst(_) => Err(Verdict::retry(TOLD_TO, "this attempt is to fail")),
            End::Reject => Err(Verdict::reject(TOLD_TO, "this task is to be rejected")),
            End::Panic => panic!("this attempt is to panic"),
            End::Snooze => {
                let _ = cx.save_checkpoint("snoozed").await;
                Err(Verdict::snooze(SNOOZE))
            }
        };
        self.journal.note(What::Ended { skill, task, attempt, tag });
        verdict
    }
}

/// The mode is the first argument of all but workers, whose arguments are Nova's own.
fn main() -> ExitCode {
    let mode = std::env::args().nth(1).unwrap_or_default();
    let done = match mode.as_str() {
        "submit" => tokio_main(submit),
        "read" => tokio_main(read),
        _ => return work(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "nova-released: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> ExitCode {
    nova_worker::main(|_setup| async {
        let id = std::env::var("NOVA__WORKER__ID").context("a worker has a name")?;
        Ok(Worker::new().skill(Told { journal: Arc::new(journal(&id)?) }))
    })
}

fn tokio_main<F: Future<Output = anyhow::Result<()>>>(then: impl FnOnce(Client, SkillName) -> F) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let options = Options { keep_trying: true, ..Options::new(std::env::var("NOVA__NATS__URL")?, scope()?) };
        let broker = Arc::new(jetstream::connect(options).await?);
        then(Client::new(broker, scope()?.parse()?), SkillName::new(SKILL)?).await
    })
}

fn scope() -> anyhow::Result<String> {
    std::env::var("NOVA_CHAOS_SCOPE").context("a submitter has a scope")
}

fn journal(by: &str) -> anyhow::Result<Journal> {
    let dir = PathBuf::from(std::env::var_os("NOVA_CHAOS_HISTORY").context("there is a place for the history")?);
    Journal::open(&dir, by).context("could not open the history")
}

/// Submits, cancels, schedules and looks until it is asked to end.
async fn submit(client: Client, skill: SkillName) -> anyhow::Result<()> {
    let journal = journal(&scope()?)?;
    let mut asked_to_end = signal(SignalKind::terminate())?;
    let stop = tokio::spawn(async move { asked_to_end.recv().await });
    let mut last: Vec<TaskId> = Vec::new();
    let mut n = 0;
    while !stop.is_finished() {
        match fastrand::u32(..100) {
            0..4 => {
                n += 1;
                let task = task(&client, n)?;
                journal.note(What::Asked { skill: skill.clone(), task: task.clone(), order: None, key: None });
                let payload = Payload::json(bytes::Bytes::from_static(b"[\"no order\"]"));
                let told = client.submit(Submit::new(skill.clone(), payload).with_id(task.clone())).await;
                journal.note(told_of(&skill, &task, told.as_ref().err()));
            }
            4..10 => {
                n += 1;
                let (task, order) = (task(&client, n)?, order(n));
                ask(&journal, &skill, &task, &order);
                let after = Duration::from_millis(fastrand::u64(200..2_500));
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)? + after;
                let at = UnixMillis(i64::try_from(since.as_millis())?);
                let submit = Submit::json(skill.clone(), &order)?.with_id(task.clone());
                let told = client.schedule(submit, ScheduleSpec::At(at), None).await;
                let (skill, task) = (skill.clone(), task);
                journal.note(match told {
                    Ok(_) => What::Acked { skill, task },
                    Err(error) => What::Unsure { skill, task, why: code(&error) },
                });
            }
            10..25 => {
                let Some(task) = fastrand::choice(&last).cloned() else { continue };
                journal.note(What::Cancelled { skill: skill.clone(), task: task.clone() });
                let _ = client.cancel(&skill, &task).await;
            }
            25..40 => {
                let Some(task) = fastrand::choice(&last).cloned() else { continue };
                let asked = now();
                let Ok(found) = client.result(&skill, &task).await else { continue };
                let found = found.map(|found| found.outcome.worker.map_or("nobody".to_owned(), |by| by.to_string()));
                journal.note(What::Read { skill: skill.clone(), task, asked, found });
            }
            _ => {
                let count = fastrand::u64(1..=20);
                let mut tasks = Vec::new();
                let mut submits = Vec::new();
                for _ in 0..count {
                    n += 1;
                    let (task, order) = (task(&client, n)?, order(n));
                    ask(&journal, &skill, &task, &order);
                    let submit = if n % 2 == 0 {
                        Submit::msgpack(skill.clone(), &order)
                    } else {
                        Submit::json(skill.clone(), &order)
                    };
                    let submit = submit?.with_id(task.clone());
                    submits.push(submit.with_priority(fastrand::choice(Priority::ALL).context("there are some")?));
                    tasks.push(task);
                }
                let told = client.submit_all(submits, |_| {}).await;
                for (task, told) in tasks.iter().zip(told) {
                    journal.note(told_of(&skill, task, told.as_ref().err()));
                }
                last.extend(tasks);
            }
        }
        if last.len() > OPEN {
            let eldest = last.remove(0);
            last.drain(..last.len() - OPEN);
            let _ = client.wait(&skill, &eldest, Duration::from_secs(5)).await;
        }
    }
    Ok(())
}

/// Reads what became of each task named in a file, one id a line; what it reads goes to stdout, one line each.
async fn read(client: Client, skill: SkillName) -> anyhow::Result<()> {
    let path = std::env::args().nth(2).context("a file names the tasks")?;
    for line in std::fs::read_to_string(path)?.lines() {
        let task: TaskId = line.parse()?;
        let found = match client.result(&skill, &task).await {
            Ok(Some(found)) => match found.result::<Answer>() {
                Ok(answer) => {
                    format!("{} {}", found.outcome.kind, answer.map_or("-".to_owned(), |it| it.n.to_string()))
                }
                Err(error) => format!("unreadable: {error}"),
            },
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("unreadable: {error}"),
        };
        writeln!(std::io::stdout(), "{task} {found}")?;
    }
    Ok(())
}

fn task(client: &Client, n: u64) -> anyhow::Result<TaskId> {
    Ok(format!("{}.t{n}", client.scope()).parse()?)
}

fn order(n: u64) -> Order {
    let end = match fastrand::u32(..100) {
        0..3 => End::FailFirst(1),
        3 => End::Fail,
        4 => End::Reject,
        5 => End::Panic,
        6 => End::Snooze,
        _ => End::Done,
    };
    let hold_ms = if fastrand::u32(..20) == 0 { fastrand::u64(2..900) } else { 0 };
    let pad = if fastrand::u32(..1_000) == 0 { "x".repeat(300 * 1024) } else { String::new() };
    Order { n, hold_ms, end, tag: String::new(), pad }
}

fn ask(journal: &Journal, skill: &SkillName, task: &TaskId, order: &Order) {
    let order = Some(Order { pad: String::new(), ..order.clone() });
    journal.note(What::Asked { skill: skill.clone(), task: task.clone(), order, key: None });
}

fn told_of(skill: &SkillName, task: &TaskId, error: Option<&SubmitError>) -> What {
    let (skill, task) = (skill.clone(), task.clone());
    match error {
        None => What::Acked { skill, task },
        Some(error @ (SubmitError::NoReceipt { .. } | SubmitError::Payload { .. })) => {
            What::Unsure { skill, task, why: error.code().to_owned() }
        }
        Some(error) => What::Refused { skill, task, why: error.code().to_owned() },
    }
}

fn code(error: &ScheduleError) -> String {
    error.code().to_owned()
}
