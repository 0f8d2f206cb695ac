//! The client of a world: asks for tasks, runs and cancels until each is accepted.

use std::sync::Arc;
use std::time::Duration;

use nova_client::{Client, ScheduleError, StartRun, Submit};
use nova_types::{Backoff, Scope, Skill, TaskId, run_skill};
use nova_wire::{Payload, ScheduleSpec, TaskOptions};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::process::Ground;
use crate::scenario::{Act, Scenario, Task};
use crate::skill;
use crate::wire::port::Port;

/// The pause before something is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// After this a task that is repeated is sent again: longer than the broker remembers ids.
const FORGOTTEN: Duration = Duration::from_secs(15);

/// The items that a run's map goes over.
pub const ITEMS: [i64; 4] = [1, 2, 3, 4];
/// What a run comes to: the squares of its items, and 25 beside them.
pub const SUM: i64 = 55;

/// The workflow of every run.
#[must_use]
pub fn workflow() -> Value {
    json!({
        "workflow": "sums",
        "input": {"items": {"type": "list"}, "acts": {"type": "list", "default": []}},
        "steps": {
            "squares": {"map": {"over": "input.items", "do": {"skill": "work", "input": {"n": "${item}", "acts": "${input.acts}"}}}},
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

/// The skill that an id is asked of: the names of runs begin so.
#[must_use]
pub fn skill_of(task: &TaskId) -> Skill {
    if task.name().as_str().starts_with('r') { run_skill() } else { work() }
}

fn work() -> Skill {
    Skill::new(skill::NAME).expect("a skill")
}

/// Asks for all there is to ask for; ends when everything is accepted.
pub fn ask(ground: &Arc<Ground>, scenario: &Scenario, seed: u64) -> JoinSet<()> {
    let mut asked = JoinSet::new();
    let broker = Arc::new(Port(ground.wire(seed, None)));
    let client = Client::new(broker, Scope::new("sim").expect("a scope"));
    for task in &scenario.tasks {
        asked.spawn(submit(Arc::clone(ground), client.clone(), task.clone()));
        if let Some(at) = task.cancelled_at {
            asked.spawn(cancel(client.clone(), id(&task.name), at));
        }
    }
    for (number, at) in scenario.runs.iter().enumerate() {
        let acts = [&[][..], &[Act::Fail, Act::Done], &[Act::Slow(3_000)]][number % 3].to_vec();
        asked.spawn(start(Arc::clone(ground), client.clone(), number, *at, acts));
    }
    asked
}

fn submit_of(task: &Task) -> Submit {
    let input = json!({"acts": task.acts, "n": 3});
    let options = TaskOptions {
        max_attempts: Some(task.max_attempts),
        backoff: Some(Backoff::new(Duration::from_millis(300), Duration::from_secs(2))),
        ..TaskOptions::default()
    };
    Submit::new(work(), Payload::json(input.to_string())).with_id(id(&task.name)).with_options(options)
}

async fn submit(ground: Arc<Ground>, client: Client, task: Task) {
    tokio::time::sleep(task.at).await;
    let body = submit_of(&task).payload.bytes.to_vec();
    loop {
        let is_accepted = match task.delay {
            None => client.submit(submit_of(&task)).await.is_ok(),
            Some(delay) => match client.schedule(submit_of(&task), ScheduleSpec::In(delay), None).await {
                Ok(_) => true,
                // It stands already: the answer to an earlier request was lost.
                Err(ScheduleError::Refused { code, .. }) => code != "503",
                Err(_) => false,
            },
        };
        if is_accepted {
            break;
        }
        tokio::time::sleep(AGAIN).await;
    }
    ground.books.open().accepted.insert(id(&task.name), body);
    if task.is_repeated {
        tokio::time::sleep(FORGOTTEN).await;
        ground.books.count("tasks sent again");
        while client.submit(submit_of(&task)).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn cancel(client: Client, task: TaskId, at: Duration) {
    tokio::time::sleep(at).await;
    while client.cancel(&work(), &task).await.is_err() {
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
