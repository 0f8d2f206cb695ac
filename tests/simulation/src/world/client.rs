//! The client of a world: asks for tasks, runs and cancels until each is accepted.

use std::sync::Arc;
use std::time::Duration;

use nova_client::{Client, ScheduleError, ScheduleOptions, StartRun, Submit};
use nova_types::{Backoff, CatchUp, Scope, Skill, TaskId, UnixMillis, run_skill};
use nova_wire::{Payload, ScheduleSpec, TaskOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::Ground;
use crate::scenario::{Act, Part, Recurring, Scenario, SkillKind, Task};
use crate::wire::port::Port;

/// The pause before something is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// After this a task that is repeated is sent again: longer than the broker remembers ids.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// When every world begins: the memory broker's own date.
pub const BEGAN: UnixMillis = UnixMillis(1_795_370_000_000);
/// The items that a run's map goes over.
pub const ITEMS: [i64; 4] = [1, 2, 3, 4];
/// The step that is a map.
pub const MAP: &str = "squares";
/// How many of them go into one task where they are packed.
pub const PACK: u32 = 3;
/// How long a key for once is remembered: longer than any world lasts.
const ONCE_FOR: Duration = Duration::from_secs(24 * 3600);

/// What a run comes to: the squares of its items, and 25 beside them.
pub const SUM: i64 = 55;

/// The workflow of every run.
#[must_use]
pub fn workflow(is_packed: bool) -> Value {
    let input = json!({"n": "${item}", "acts": "${input.acts}"});
    let mut map = json!({"over": "input.items", "do": {"skill": "work", "input": input}});
    if is_packed {
        map["bundle"] = json!(PACK);
    }
    json!({
        "workflow": "sums",
        "input": {"items": {"type": "list"}, "acts": {"type": "list", "default": []}},
        "steps": {
            MAP: {"map": map},
            "one": {"task": {"skill": "work", "input": {"n": 5}}},
            "both": {"join": {"of": ["squares", "one"]}},
            "nap": {"wait": {"for": "2s"}, "after": ["one"]},
            "total": {
                "task": {"skill": "work", "input": {"sum": "${steps.both.result.squares + [steps.both.result.one]}"}},
                "after": ["nap"],
            },
        },
        "result": "${steps.total.result}",
    })
}

/// The id of a task or run by its name.
#[must_use]
pub fn id(name: &str) -> TaskId {
    format!("sim.{name}").parse().expect("a scope and a name")
}

/// The name of a run.
#[must_use]
pub fn run_name(number: usize) -> String {
    format!("r{number}")
}

/// The skill that an id is asked of: names begin with what they are of.
#[must_use]
pub fn skill_of(task: &TaskId) -> Skill {
    match task.name().as_str().as_bytes()[0] {
        b'r' => run_skill(),
        b'k' => skill(SkillKind::Keyed),
        b'l' => skill(SkillKind::Limited),
        _ => skill(SkillKind::Work),
    }
}

/// A skill by its kind.
#[must_use]
pub fn skill(kind: SkillKind) -> Skill {
    Skill::new(kind.name()).expect("a skill")
}

/// A key by its number.
#[must_use]
pub fn key(number: u32) -> String {
    format!("key-{number}")
}

/// Asks for all there is to ask for; ends when everything is accepted.
pub fn ask(ground: &Arc<Ground>, scenario: &Scenario, seed: u64) -> JoinSet<()> {
    let mut asked = JoinSet::new();
    let broker = Arc::new(Port(ground.wire(seed, None)));
    let client = Client::new(broker, Scope::new("sim").expect("a scope"));
    for task in &scenario.tasks {
        asked.spawn(submit(Arc::clone(ground), client.clone(), task.clone()));
        if let Some(at) = task.cancelled_at {
            asked.spawn(cancel(client.clone(), skill(task.skill()), id(&task.name), at));
        }
    }
    for (number, at) in scenario.runs.iter().enumerate() {
        let acts = [&[][..], &[Act::Fail, Act::Done], &[Act::Slow(3_000)]][number % 3].to_vec();
        asked.spawn(start(Arc::clone(ground), client.clone(), number, *at, acts));
    }
    for recurring in &scenario.recurring {
        asked.spawn(recur(Arc::clone(ground), client.clone(), recurring.clone()));
    }
    asked
}

fn submit_of(task: &Task) -> Submit {
    let mut input = json!({"acts": task.acts, "n": 3});
    let mut options = TaskOptions {
        max_attempts: Some(task.max_attempts),
        backoff: Some(Backoff::new(Duration::from_millis(300), Duration::from_secs(2))),
        ..TaskOptions::default()
    };
    match &task.part {
        Part::Keyed(number) => options.key = Some(key(*number)),
        Part::Bundle(items) => {
            options.bundle = u32::try_from(items.len()).ok();
            input = items.iter().zip(0..).map(|(acts, n)| json!({"acts": acts, "n": n})).collect();
        }
        Part::Plain | Part::Once(_) | Part::Limited => {}
    }
    let submit = Submit::new(skill(task.skill()), Payload::json(input.to_string()));
    let submit = submit.with_id(id(&task.name)).with_options(options);
    match task.part {
        Part::Once(number) => submit.once(key(number), ONCE_FOR),
        _ => submit,
    }
}

/// Submits it, or has it scheduled; the id that stands for it when that was accepted.
async fn try_submit(client: &Client, task: &Task) -> Option<TaskId> {
    let Some(delay) = task.delay else {
        let submitted = client.submit(submit_of(task)).await.ok()?;
        return Some(submitted.task);
    };
    match client.schedule(submit_of(task), ScheduleSpec::In(delay), None).await {
        Ok(receipt) => Some(receipt.task),
        // It stands already: the answer to an earlier request was lost.
        Err(ScheduleError::Refused { task, code, .. }) if code != "503" => Some(task),
        Err(_) => None,
    }
}

async fn submit(ground: Arc<Ground>, client: Client, task: Task) {
    tokio::time::sleep(task.at).await;
    let body = submit_of(&task).payload.bytes.to_vec();
    let accepted = loop {
        if let Some(accepted) = try_submit(&client, &task).await {
            break accepted;
        }
        tokio::time::sleep(AGAIN).await;
    };
    if let Part::Once(number) = task.part {
        ground.books.open().answered.entry(key(number)).or_default().insert(accepted.clone());
    }
    ground.books.open().accepted.insert(accepted, body);
    if task.is_repeated {
        tokio::time::sleep(FORGOTTEN).await;
        ground.books.count("tasks sent again");
        while client.submit(submit_of(&task)).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn cancel(client: Client, skill: Skill, task: TaskId, at: Duration) {
    tokio::time::sleep(at).await;
    while client.cancel(&skill, &task).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Makes a schedule, and deletes it later.
async fn recur(ground: Arc<Ground>, client: Client, recurring: Recurring) {
    let began = tokio::time::Instant::now();
    tokio::time::sleep(recurring.at).await;
    let (work, id) = (skill(SkillKind::Work), id(&recurring.name));
    let every = ScheduleSpec::Every(recurring.every);
    let options = ScheduleOptions { time_zone: None, catch_up: Some(CatchUp::All) };
    loop {
        let submit = Submit::new(work.clone(), Payload::json(json!({"n": 3}).to_string())).with_id(id.clone());
        match client.schedule_with(submit, every.clone(), &options).await {
            Ok(_) => break,
            Err(ScheduleError::Refused { code, .. }) if code != "503" => break,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
    let stood = ground.memory.now();
    tokio::time::sleep_until(began + recurring.until).await;
    ground.books.open().recurred.insert(recurring.name, (stood, ground.memory.now()));
    while client.unschedule(&work, &id).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
}

async fn start(ground: Arc<Ground>, client: Client, number: usize, at: Duration, acts: Vec<Act>) {
    tokio::time::sleep(at).await;
    let name = "sums".parse().expect("a workflow's name");
    let id = id(&run_name(number));
    let run = StartRun::new(name, &json!({"items": ITEMS, "acts": acts})).expect("it encodes").with_id(id.clone());
    while client.start_run(run.clone()).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
    ground.books.open().accepted.insert(id, Vec::new());
}
