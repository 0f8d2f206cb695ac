//! The worker of a chaos run, as a process of its own: Nova's own worker with skills that do as they are told and write it down.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nova_broker::BrokerRef;
use nova_runtime::{CommonArgs, NatsConfig, Next, ProcessOptions, VERSION};
use nova_types::WorkerId;
use nova_worker::{Context, Skill, Verdict, Worker, WorkerConfig, WorkerOptions};

use crate::history::{Journal, What};
use crate::order::{Answer, End, Order, TOLD_TO};
use crate::sabotage::{Sabotage, Saboteur};

/// Where its history goes; that it is set makes a process this worker.
pub const HISTORY: &str = "NOVA_CHAOS_HISTORY";
/// Which rule it breaks, if any.
pub const BROKEN: &str = "NOVA_CHAOS_BROKEN";
/// The one skill it has; both when it is not set.
pub const ONLY: &str = "NOVA_CHAOS_ONLY";

/// The skill of most tasks.
pub const SKILL: &str = "chaos";
/// The one whose tasks run in the order of keys.
pub const KEYED: &str = "chaos-keyed";

/// The lease of both, as the catalogue of a run has it.
pub const LEASE: Duration = Duration::from_secs(2);

/// Between a snoozed attempt and the next.
const SNOOZE: Duration = Duration::from_millis(200);

struct Told {
    name: &'static str,
    journal: Arc<Journal>,
}

impl Skill for Told {
    type Input = Order;
    type Output = Answer;

    fn name(&self) -> &str {
        self.name
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
                // Where it cannot be saved, it is put back once more.
                let _ = cx.save_checkpoint("snoozed").await;
                Err(Verdict::snooze(SNOOZE))
            }
        };
        self.journal.note(What::Ended { skill, task, attempt, tag });
        verdict
    }
}

/// Runs this process as the worker, when it is one.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    let history = PathBuf::from(std::env::var_os(HISTORY)?);
    Some(nova_runtime::run_main(work(history)))
}

async fn work(history: PathBuf) -> anyhow::Result<ExitCode> {
    let options = ProcessOptions { name: "nova-chaos".to_owned(), version: VERSION.to_owned() };
    let started = nova_runtime::start(options, &CommonArgs::default()).await?;
    let config: WorkerConfig = started.settings.section_with_defaults("worker")?;
    let nats: NatsConfig = started.settings.section_with_defaults("nats")?;
    if started.settle()? == Next::Stop {
        return Ok(ExitCode::SUCCESS);
    }
    let id = WorkerId::new(&*config.id).context("the worker of a chaos run has a name")?;
    let journal = Arc::new(Journal::open(&history, id.as_str()).context("could not open the history")?);
    let Some(broker) = started.connect(&nats, id.as_str()).await? else { return Ok(ExitCode::SUCCESS) };
    let broker: BrokerRef = match std::env::var(BROKEN).ok().filter(|how| !how.is_empty()) {
        None => broker,
        Some(how) => Arc::new(Saboteur::new(broker, sabotage(&how)?)),
    };
    let options = WorkerOptions {
        id,
        slots: config.slots,
        threads: config.threads,
        cancel_grace: Duration::from_secs(1),
        outcomes_kept: Duration::from_secs(config.outcomes_kept_secs),
        labels: std::collections::BTreeMap::new(),
        http: None,
        clock: Arc::clone(&started.clock),
        metrics: started.metrics.clone(),
        shutdown: started.shutdown.clone(),
    };
    let only = std::env::var(ONLY).ok();
    let worker = [SKILL, KEYED]
        .into_iter()
        .filter(|name| only.as_deref().is_none_or(|only| only == *name))
        .fold(Worker::new(), |worker, name| worker.skill(Told { name, journal: Arc::clone(&journal) }));
    worker.run(broker, options).await?;
    Ok(ExitCode::SUCCESS)
}

fn sabotage(how: &str) -> anyhow::Result<Sabotage> {
    serde_json::from_value(serde_json::Value::String(how.to_owned())).context("no such sabotage")
}
