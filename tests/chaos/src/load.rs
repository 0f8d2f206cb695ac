//! Submitters: they ask for tasks, runs, cancels and outcomes all along, and write down what they were told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nova_broker::{Expect, Message, PublishError};
use nova_client::{Client, StartRun, Submit, SubmitError, Submitted};
use nova_types::{Priority, Skill, TaskId, WorkflowName, codes, run_skill};
use nova_wire::{Payload, ScheduleSpec, name, subject};
use serde_json::json;

use crate::history::{Journal, What, now};
use crate::load::bomb::Bomb;
use crate::load::mix::{Drawn, Mix, Next};
use crate::order::Order;
use crate::tail::Tail;
use crate::worker::{KEYED, SKILL};

pub mod bomb;
pub mod mix;
pub mod once;
mod redrive;

/// How many acknowledged tasks may be without outcome before a submitter waits: far less than a healed fleet does in its bound.
const MOST_OPEN: usize = 1_500;
/// How long it then waits before it looks again.
const PAUSE: Duration = Duration::from_millis(20);
/// How many of the last tasks are known to be looked at or cancelled.
const REMEMBERED: usize = 200;
/// How long a task runs that is to be cancelled meanwhile: longer than anybody who is told to stop.
const LONG_MS: u64 = 6_000;
/// How long it is let alone; whether it has begun by then decides how it ends, not whether that is right.
const BEGINS: Duration = Duration::from_millis(50);
/// The limit of a payload for submitters: over the broker's own of a message, and quickly exceeded.
pub const BLOB_LIMIT: u64 = 2 * 1024 * 1024;
/// The bytes of a payload over that.
const TOO_LARGE: usize = 2 * 1024 * 1024 + 1;
/// How many keys there are.
const KEYS: u64 = 4;
/// Between two tasks of a key.
const KEYED_PAUSE: Duration = Duration::from_millis(25);
/// The workflow of all runs.
pub const WORKFLOW: &str = "chain";

/// The definition of [`WORKFLOW`]: three steps, each after the one before, the middle one a map.
#[must_use]
pub fn workflow() -> serde_json::Value {
    let order = |n: &str, step: &str| json!({"n": n, "tag": format!("run${{input.n}}/{step}")});
    json!({"workflow": WORKFLOW, "steps": {
        "a": {"task": {"skill": SKILL, "input": order("${input.n}", "a")}},
        "b": {"task": {"skill": SKILL, "input": order("${steps.a.result.n + 1}", "b")}},
        "c": {"task": {"skill": SKILL, "input": order("${steps.b.result.n - 1}", "c")}}},
        "result": {"n": "${steps.c.result.n}"}})
}

/// A submitter.
pub struct Submitter {
    client: Client,
    journal: Arc<Journal>,
    tail: Arc<Tail>,
    stop: Arc<AtomicBool>,
    mix: Mix,
    last: Vec<TaskId>,
    /// Tasks whose submit ended unknown, to be submitted once more.
    again: Vec<(TaskId, Drawn)>,
    /// No two submitters' runs have one number.
    runs_from: u64,
    /// Whether runs may be started yet.
    has_runs: Arc<AtomicBool>,
}

impl Submitter {
    /// One of a run's submitters.
    #[must_use]
    pub fn new(
        client: Client,
        journal: Arc<Journal>,
        tail: Arc<Tail>,
        stop: Arc<AtomicBool>,
        seed: u64,
        number: usize,
    ) -> Self {
        let mix = Mix::new(seed, number);
        let runs_from = number as u64 * 1_000_000_000;
        let has_runs = Arc::new(AtomicBool::new(true));
        Self { client, journal, tail, stop, mix, last: Vec::new(), again: Vec::new(), runs_from, has_runs }
    }

    /// One that starts no run before it is told.
    #[must_use]
    pub fn with_runs_once(self, has_runs: Arc<AtomicBool>) -> Self {
        Self { has_runs, ..self }
    }

    /// Submits until told to stop.
    pub async fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.tail.open() > MOST_OPEN {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            match self.mix.choose() {
                Next::Tasks(tasks) => self.tasks(tasks).await,
                Next::Garbage => self.garbage().await,
                Next::Bomb(bomb) => self.bomb(bomb).await,
                Next::Oversize => self.oversize().await,
                Next::Later(order, ms) => self.later(order, Duration::from_millis(ms)).await,
                Next::Run if self.has_runs.load(Ordering::Relaxed) => self.start_run().await,
                // There is nothing else to do in its place; another draw follows.
                Next::Run => {}
                Next::Cancel => self.cancel().await,
                Next::Look => self.look().await,
                Next::Redrive => redrive::redrive(&self.client, &self.journal, &self.tail, self.mix.random()).await,
            }
        }
    }

    fn task_id(&self, n: u64) -> TaskId {
        format!("{}.t{n}", self.client.scope()).parse().expect("a valid id")
    }

    fn ask(&self, skill: &Skill, task: &TaskId, order: Option<&Order>, key: Option<&str>) {
        // The ballast is no part of what is compared.
        let order = order.map(|order| Order { pad: String::new(), ..order.clone() });
        let key = key.map(str::to_owned);
        self.journal.note(What::Asked { skill: skill.clone(), task: task.clone(), order, key });
    }

    /// Writes down what became of a submit; says whether nobody knows.
    fn told(&self, skill: &Skill, task: &TaskId, told: &Result<Submitted, SubmitError>) -> bool {
        let (skill, task) = (skill.clone(), task.clone());
        match told {
            Ok(_) => {
                self.tail.acked(&skill, &task);
                self.journal.note(What::Acked { skill, task });
                false
            }
            Err(error) if is_surely_not_stored(error) => {
                self.journal.note(What::Refused { skill, task, why: error.code().to_owned() });
                false
            }
            Err(error) => {
                self.journal.note(What::Unsure { skill, task, why: error.code().to_owned() });
                true
            }
        }
    }

    async fn tasks(&mut self, drawn: Vec<Drawn>) {
        let skill = skill(SKILL);
        let mut all: Vec<(TaskId, Drawn)> = std::mem::take(&mut self.again);
        all.extend(drawn.into_iter().map(|drawn| (self.task_id(drawn.order.n), drawn)));
        for (task, drawn) in &all {
            self.ask(&skill, task, Some(&drawn.order), None);
        }
        let submits = all.iter().map(|(task, drawn)| {
            let submit = Submit::json(skill.clone(), &drawn.order).expect("an order has a JSON form");
            submit.with_id(task.clone()).with_priority(drawn.priority)
        });
        let told = self.client.submit_all(submits.collect::<Vec<_>>(), |_| {}).await;
        for ((task, drawn), told) in all.into_iter().zip(told) {
            if self.told(&skill, &task, &told) && self.mix.random().bool() {
                self.again.push((task, drawn));
            } else if self.last.len() < REMEMBERED {
                self.last.push(task);
            } else {
                let at = self.mix.random().usize(..REMEMBERED);
                self.last[at] = task;
            }
        }
    }

    async fn garbage(&mut self) {
        let (skill, n) = (skill(SKILL), self.mix.number());
        let task = self.task_id(n);
        self.ask(&skill, &task, None, None);
        let payload = Payload::json(Bytes::from_static(b"[\"no order\"]"));
        let told = self.client.submit(Submit::new(skill.clone(), payload).with_id(task.clone())).await;
        self.told(&skill, &task, &told);
    }

    /// Past the client, which would refuse most of them: any NATS client can do this.
    async fn bomb(&mut self, bomb: Bomb) {
        let (skill, n) = (skill(SKILL), self.mix.number());
        let task = self.task_id(n);
        self.doom(&skill, &task, bomb.code());
        let (mut headers, body) = bomb.message();
        headers.set(name::MSG_ID, task.to_string());
        let message = Message::new(subject::task(&skill, Priority::Normal), body).with_headers(headers);
        let what = match self.client.broker().publish(message, Expect::Any).await {
            Ok(_) => {
                self.tail.acked(&skill, &task);
                What::Acked { skill, task }
            }
            Err(error @ PublishError::Unknown { .. }) => What::Unsure { skill, task, why: error.to_string() },
            Err(error) => What::Refused { skill, task, why: error.to_string() },
        };
        self.journal.note(what);
    }

    async fn oversize(&mut self) {
        let (skill, n) = (skill(SKILL), self.mix.number());
        let task = self.task_id(n);
        self.doom(&skill, &task, codes::TOO_LARGE);
        let submit = Submit::new(skill.clone(), Payload::json(vec![b'1'; TOO_LARGE])).with_id(task.clone());
        let told = self.client.submit(submit).await;
        self.told(&skill, &task, &told);
    }

    fn doom(&self, skill: &Skill, task: &TaskId, code: &str) {
        self.ask(skill, task, None, None);
        self.journal.note(What::Doomed { skill: skill.clone(), task: task.clone(), code: code.to_owned() });
    }

    async fn later(&mut self, order: Order, after: Duration) {
        let (skill, task) = (skill(SKILL), self.task_id(order.n));
        self.ask(&skill, &task, Some(&order), None);
        let submit = Submit::json(skill.clone(), &order).expect("an order has a JSON form").with_id(task.clone());
        let at = nova_runtime::system_clock().now().plus(after);
        let told = self.client.schedule(submit, ScheduleSpec::At(at), None).await;
        let what = match told {
            Ok(_) => {
                self.tail.acked(&skill, &task);
                What::Acked { skill, task }
            }
            // A coordinator that died with the question may have made it.
            Err(error) => What::Unsure { skill, task, why: error.code().to_owned() },
        };
        self.journal.note(what);
    }

    async fn start_run(&mut self) {
        let (skill, n) = (run_skill(), self.runs_from + self.mix.number());
        let task: TaskId = format!("{}.r{n}", self.client.scope()).parse().expect("a valid id");
        self.ask(&skill, &task, Some(&Order { n, ..Order::default() }), None);
        let workflow = WorkflowName::new(WORKFLOW).expect("a valid name");
        let start = StartRun::new(workflow, &json!({"n": n})).expect("an input has a JSON form").with_id(task.clone());
        let what = match self.client.start_run(start).await {
            Ok(_) => {
                self.tail.acked(&skill, &task);
                What::Acked { skill, task }
            }
            Err(error) if is_surely_not_stored(&error) => What::Refused { skill, task, why: error.code().to_owned() },
            Err(error) => What::Unsure { skill, task, why: error.code().to_owned() },
        };
        self.journal.note(what);
    }

    async fn cancel(&mut self) {
        let skill = skill(SKILL);
        let is_to_run = self.mix.random().u32(..3) == 0;
        let known = if is_to_run { Some(self.slow().await) } else { self.mix.random().choice(&self.last).cloned() };
        let Some(task) = known else { return };
        // A cancel that nobody answered may be accepted all the same: any that was sent may decide.
        self.journal.note(What::Cancelled { skill: skill.clone(), task: task.clone() });
        if self.client.cancel(&skill, &task).await.is_ok() {
            self.tail.acked(&skill, &task);
            self.journal.note(What::CancelAccepted { skill, task });
        }
    }

    /// Submits a task that would run for long, and lets it begin.
    async fn slow(&mut self) -> TaskId {
        let skill = skill(SKILL);
        let order = Order { n: self.mix.number(), hold_ms: LONG_MS, ..Order::default() };
        let task = self.task_id(order.n);
        self.ask(&skill, &task, Some(&order), None);
        let submit = Submit::json(skill.clone(), &order).expect("an order has a JSON form");
        let told = self.client.submit(submit.with_id(task.clone()).with_priority(Priority::High)).await;
        self.told(&skill, &task, &told);
        tokio::time::sleep(BEGINS).await;
        task
    }

    async fn look(&mut self) {
        let skill = skill(SKILL);
        for _ in 0..3 {
            let Some(task) = self.mix.random().choice(&self.last).cloned() else { return };
            let asked = now();
            let Ok(found) = self.client.result(&skill, &task).await else { continue };
            let found =
                found.map(|found| found.outcome.worker.map_or("nobody".to_owned(), |worker| worker.to_string()));
            self.journal.note(What::Read { skill: skill.clone(), task, asked, found });
        }
    }
}

/// Submits tasks of a few keys, each when the one before was acknowledged, until told to stop.
pub async fn keyed(client: Client, journal: Arc<Journal>, tail: Arc<Tail>, stop: Arc<AtomicBool>) {
    let skill = skill(KEYED);
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let key = format!("k{}", n % KEYS);
        let task: TaskId = format!("{}.k{n}", client.scope()).parse().expect("a valid id");
        let order = Order { n, hold_ms: n % 3, ..Order::default() };
        let asked = What::Asked {
            skill: skill.clone(),
            task: task.clone(),
            order: Some(order.clone()),
            key: Some(key.clone()),
        };
        journal.note(asked);
        let submit = Submit::json(skill.clone(), &order).expect("an order has a JSON form");
        let told = client.submit(submit.with_id(task.clone()).with_key(key)).await;
        let (skill, task) = (skill.clone(), task);
        let what = match told {
            Ok(_) => {
                tail.acked(&skill, &task);
                What::Acked { skill, task }
            }
            Err(error) if is_surely_not_stored(&error) => What::Refused { skill, task, why: error.code().to_owned() },
            Err(error) => What::Unsure { skill, task, why: error.code().to_owned() },
        };
        journal.note(what);
        tokio::time::sleep(KEYED_PAUSE).await;
    }
}

/// Whether a refusal says that nothing was stored; whatever else went wrong leaves it open.
fn is_surely_not_stored(error: &SubmitError) -> bool {
    !matches!(error, SubmitError::NoReceipt { .. } | SubmitError::Payload { .. } | SubmitError::KeyStore { .. })
}

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid name")
}
