//! Coordinators killed at random while runs are under way: every run ends right, every step is decided once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nova_broker::{Expect, Message, Scan};
use nova_client::Client;
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, RunId, StepId, TaskId, run_skill};
use nova_wire::{assets, subject};
use nova_workflow::{Decision, Plan, Transition, Workflow};
use serde_json::{Value, json};

/// How many runs of five steps, and how wide the one with a map.
const RUNS: usize = 1_000;
const ITEMS: usize = 10_000;
/// How long a killed coordinator's time lasts.
const EVERY: Duration = Duration::from_millis(500);
/// How long all runs together may take: far above what they take, for a slow machine is no failure.
const ALL_DONE: Duration = Duration::from_secs(480);

async fn put(fleet: &Fleet, definition: Value) {
    let workflow: Workflow = serde_json::from_value(definition).expect("a definition");
    let plan = Plan::new(workflow).expect("a sound definition");
    client(fleet).put_workflow(&plan).await.expect("stored");
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), "kill".parse().expect("a scope"))
}

fn five_steps() -> Value {
    json!({"workflow": "five", "steps": {
        "a": {"task": {"skill": "echo", "input": {"n": "${input.n}"}}},
        "b": {"task": {"skill": "echo", "input": {"n": "${steps.a.result.n + 1}"}}},
        "c": {"task": {"skill": "echo", "input": {"n": "${steps.a.result.n + 2}"}}},
        "d": {"join": {"of": ["b", "c"]}},
        "e": {"task": {"skill": "echo", "input": {"sum": "${steps.d.result.b.n + steps.d.result.c.n}"}}}},
        "result": "${steps.e.result.sum}"})
}

fn wide() -> Value {
    json!({"workflow": "wide", "steps": {
        "each": {"map": {"over": "input", "do": {"skill": "echo", "input": "${item * 2}"}}}},
        "result": "${steps.each.result}"})
}

async fn start(fleet: &Fleet, id: &str, workflow: &str, input: Value) {
    let body = json!({"workflow": workflow, "input": input}).to_string();
    fleet.request(&format!("nova.task.{}", run_skill()), &[("Nats-Msg-Id", id)], body).await;
}

async fn ended(fleet: &Fleet) -> u64 {
    let subject = subject::outcomes_of(&run_skill());
    fleet.count(assets::OUTCOMES, &subject).await as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn coordinators_killed_all_along_end_every_run_right() {
    let seed = std::env::var("NOVA_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    // Told with whatever fails: the tests' output is shown then.
    eprintln!("NOVA_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[("NOVA__WORKER__SLOTS", "128")]).await;
    put(&fleet, five_steps()).await;
    put(&fleet, wide()).await;
    let mut alive = Vec::new();
    for _ in 0..3 {
        alive.push(fleet.coordinator().await);
    }
    start(&fleet, "kill.wide", "wide", json!((0..ITEMS).collect::<Vec<_>>())).await;
    for n in 0..RUNS {
        start(&fleet, &format!("kill.r{n}"), "five", json!({"n": n})).await;
    }

    // One of three dies every half second and another begins: two are always alive.
    let began = Instant::now();
    let mut killed = 0;
    while ended(&fleet).await < RUNS as u64 + 1 {
        assert!(began.elapsed() < ALL_DONE, "after {killed} kills only {} runs have ended", ended(&fleet).await);
        let victim = alive.swap_remove(chance.usize(..alive.len()));
        fleet.process(victim).kill9();
        killed += 1;
        // Two of three live at any time: the next one dies once its forerunner's heir is at work.
        alive.push(fleet.coordinator().await);
        tokio::time::sleep(EVERY).await;
    }
    assert!(killed > 3, "the runs ended before anything was killed: {killed}");

    for n in 0..RUNS {
        let (outcome, stored) = fleet.outcome(run_skill().as_str(), &format!("kill.r{n}")).await;
        assert_eq!(outcome.kind, OutcomeKind::Completed, "run {n}");
        let result: Value = serde_json::from_slice(&stored.body).expect("JSON");
        assert_eq!(result, json!(2 * n + 3), "run {n}");
    }
    let ended = client(&fleet).wait(&run_skill(), &"kill.wide".parse().expect("an id"), PATIENCE).await.expect("ended");
    let result = ended.body.to_json().expect("JSON");
    assert_eq!(result, json!((0..ITEMS).map(|n| n * 2).collect::<Vec<_>>()));
    decided_once(&fleet).await;
}

/// No part of any run was decided twice, and every history is without gaps.
async fn decided_once(fleet: &Fleet) {
    let mut from = 1;
    let mut last: BTreeMap<RunId, u64> = BTreeMap::new();
    let mut started: BTreeMap<(RunId, StepId), Vec<(u32, u32)>> = BTreeMap::new();
    loop {
        let page = Scan::all(assets::RUNS, subject::ALL_RUNS, 1_000).from(from);
        let page = fleet.broker.scan(page).await.expect("readable");
        let Some(end) = page.last() else { break };
        from = end.sequence + 1;
        for stored in page {
            let (_, run) = subject::parse_run(&stored.subject).expect("a run's subject");
            let transition: Transition = serde_json::from_slice(&stored.body).expect("a transition");
            let before = last.insert(run.clone(), transition.n).unwrap_or(0);
            assert_eq!(transition.n, before + 1, "the history of {run} has no gap and no fork");
            for decision in transition.decisions {
                if let Decision::Start { step, from, to, .. } = decision {
                    let ranges = started.entry((run.clone(), step.clone())).or_default();
                    let is_new = ranges.iter().all(|(low, high)| to <= *low || from >= *high);
                    assert!(is_new, "{step} {from}..{to} of {run} was decided twice");
                    ranges.push((from, to));
                }
            }
        }
    }
    assert_eq!(last.len(), RUNS + 1);
    let wide: u32 = started
        .iter()
        .filter(|((_, step), _)| step.as_str() == "each")
        .flat_map(|(_, ranges)| ranges.iter().map(|(from, to)| to - from))
        .sum();
    assert_eq!(wide as usize, ITEMS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_a_run_over() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    put(&fleet, five_steps()).await;
    let first = fleet.coordinator().await;
    let _standby = fleet.coordinator().await;
    start(&fleet, "kill.one", "five", json!({"n": 1})).await;
    fleet.process(first).kill9();
    let (outcome, _) = fleet.outcome(run_skill().as_str(), "kill.one").await;
    assert_eq!(outcome.kind, OutcomeKind::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_started_while_no_coordinator_lives_is_not_lost() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    put(
        &fleet,
        json!({"workflow": "ask", "steps": {
        "s": {"wait": {"signal": "go"}}, "e": {"task": {"skill": "echo", "input": "${steps.s.result}"}}}}),
    )
    .await;
    start(&fleet, "kill.early", "ask", json!(null)).await;
    let task: TaskId = "kill.early".parse().expect("an id");
    let order = Message::new(subject::order("signal", &task), r#"{"signal":"go","data":7}"#);
    fleet.broker.publish(order, Expect::Any).await.expect("accepted");
    fleet.coordinator().await;
    let (outcome, stored) = fleet.outcome(run_skill().as_str(), "kill.early").await;
    assert_eq!(outcome.kind, OutcomeKind::Completed);
    assert_eq!(&stored.body[..], br#"{"e":7}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_client_can_cancel_a_run() {
    let mut fleet = Fleet::start().await;
    put(&fleet, json!({"workflow": "ask", "steps": {"s": {"wait": {"signal": "go"}}}})).await;
    fleet.coordinator().await;
    start(&fleet, "kill.c", "ask", json!(null)).await;
    let run = RunId::of(&"kill.c".parse().expect("an id"));
    wait_until("the run to wait", PATIENCE, || async {
        let found = fleet.broker.scan(Scan::all(assets::RUNS, subject::run_of_any_partition(&run), 1)).await.ok()?;
        found.first().map(|_| ())
    })
    .await;
    fleet.request("nova.control.cancel.nova-run.kill.c", &[], "").await;
    let (outcome, _) = fleet.outcome(run_skill().as_str(), "kill.c").await;
    assert_eq!(outcome.kind, OutcomeKind::Cancelled);
}
