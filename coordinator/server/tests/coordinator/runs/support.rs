//! Workflows put, started and worked by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerRef, Bucket, Delivery, Expect, Message, PullItem, PullRequest, Scan, Settle, Stored};
use nova_testkit::wait_until;
use nova_types::{ItemCount, Outcome, OutcomeKind, Priority, RunId, Skill, TaskId, Usage, WorkerId, run_skill};
use nova_wire::{
    ContentType, ErrorBody, Headers, ItemEnd, Payload, RunSummary, Task, assets, name, parse_outcome, split_bundle,
    subject, write_ends, write_outcome,
};
use nova_workflow::{Decision, Plan, Transition, canonical};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

use crate::support::{DEADLINE, Fleet};

/// Puts a definition as its present version; says its hash.
pub async fn put(fleet: &Fleet, definition: Value) -> String {
    let workflow: nova_workflow::Workflow = serde_json::from_value(definition).expect("a workflow");
    let (name, text) = (workflow.workflow.clone(), canonical(&workflow));
    let plan = Plan::new(workflow).expect("a sound workflow");
    let bucket = Bucket::new(fleet.broker.clone(), assets::WORKFLOWS_BUCKET);
    let hash = plan.hash().to_owned();
    bucket.put(&format!("def.{hash}"), text, None, Expect::Any).await.expect("stored");
    let present = json!({"hash": hash, "at": 0, "versions": [{"hash": hash, "at": 0}]});
    bucket.put(&format!("name.{name}"), present.to_string(), None, Expect::Any).await.expect("stored");
    hash
}

/// Starts a run.
pub async fn start(fleet: &Fleet, id: &str, request: Value) {
    let headers = Headers::new().with(name::MSG_ID, id);
    start_with(fleet, headers, request).await;
}

pub async fn start_with(fleet: &Fleet, headers: Headers, request: Value) {
    let subject = subject::task(&run_skill(), Priority::Normal);
    let message = Message::new(subject, request.to_string()).with_headers(headers);
    fleet.broker.publish(message, Expect::Any).await.expect("stored");
}

/// Gives an order to the run of a task.
pub async fn order(fleet: &Fleet, verb: &str, id: &str, body: Value) {
    let subject = subject::order(verb, &id.parse().expect("an id"));
    fleet.broker.publish(Message::new(subject, body.to_string()), Expect::Any).await.expect("accepted");
}

pub async fn cancel(fleet: &Fleet, id: &str) {
    let subject = subject::cancel(&run_skill(), &id.parse().expect("an id"));
    fleet.broker.publish(Message::new(subject, ""), Expect::Any).await.expect("accepted");
}

/// Waits for the outcome of a run.
pub async fn ended(fleet: &Fleet, id: &str) -> (Outcome, Value) {
    wait_until(format!("the end of run {id}"), DEADLINE, async || ended_now(fleet, id).await).await
}

pub async fn ended_now(fleet: &Fleet, id: &str) -> Option<(Outcome, Value)> {
    let id: TaskId = id.parse().expect("an id");
    let stored = fleet.broker.last(assets::OUTCOMES.to_owned(), subject::outcome(&run_skill(), &id)).await.ok()??;
    let outcome = parse_outcome(stored.headers.get(name::OUTCOME)?).expect("an outcome");
    Some((outcome, serde_json::from_slice(&stored.body).expect("JSON")))
}

/// The run's history as it is stored.
pub async fn messages(fleet: &Fleet, run: &str) -> Vec<Stored> {
    let subject = subject::run_of_any_partition(&RunId::new(run).expect("a run"));
    fleet.broker.scan(Scan::all(assets::RUNS, subject, 10_000)).await.expect("readable")
}

/// The run's history, proven whole: no gap, and nothing decided to start twice.
pub async fn history(fleet: &Fleet, run: &str) -> Vec<Transition> {
    let stored = messages(fleet, run).await;
    let transitions: Vec<Transition> =
        stored.iter().map(|stored| serde_json::from_slice(&stored.body).expect("a transition")).collect();
    let mut started = BTreeSet::new();
    for (transition, n) in transitions.iter().zip(1..) {
        assert_eq!(transition.n, n, "a gap in {run}");
        for decision in &transition.decisions {
            let Decision::Start { step, role, from, to } = decision else { continue };
            for index in *from..*to {
                assert!(started.insert((step.clone(), role.as_str(), index)), "{step}/{index} of {run} started twice");
            }
        }
    }
    transitions
}

/// What the last message of a run's history says of it.
pub async fn summary(fleet: &Fleet, run: &str) -> Option<RunSummary> {
    let subject = subject::run_of_any_partition(&RunId::new(run).expect("a run"));
    let found = fleet.broker.scan(Scan::last_of_each(assets::RUNS, subject, 1)).await.ok()?;
    Some(RunSummary::parse(found.first()?.headers.get(name::TRANSITION)?).expect("a summary"))
}

/// Waits until the run says something of itself.
pub async fn until(fleet: &Fleet, run: &str, what: &str, is: impl Fn(&RunSummary) -> bool) -> RunSummary {
    let told = format!("run {run} to be {what}");
    wait_until(told, DEADLINE, async || summary(fleet, run).await.filter(|summary| is(summary))).await
}

pub fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a skill")
}

/// Whether a worker runs the items of a bundle one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bundles {
    Known,
    /// It is of a version before them.
    Unknown,
}

/// A worker of a skill whose answer to each input is `answer`: a result, or the code it is dead with.
pub async fn worker(
    fleet: &Fleet,
    of: &str,
    answer: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
) -> JoinHandle<()> {
    worker_with(fleet, of, Bundles::Known, answer).await
}

/// The same that may know no bundles.
pub async fn worker_with(
    fleet: &Fleet,
    of: &str,
    bundles: Bundles,
    answer: impl Fn(Value) -> Result<Value, String> + Send + Sync + 'static,
) -> JoinHandle<()> {
    let (broker, skill) = (fleet.connect(&format!("worker-{of}")).await, skill(of));
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        // Ends with the worker, what it works on as well.
        let mut under_way = JoinSet::new();
        loop {
            let request = PullRequest {
                stream: assets::tasks_stream(&skill),
                consumer: assets::consumer(Priority::Normal).to_owned(),
                batch: 64,
                wait: Some(Duration::from_secs(5)),
            };
            let Ok(mut pull) = broker.pull(request).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            while let Some(Ok(item)) = pull.next().await {
                if let PullItem::Delivery(delivery) = item {
                    let (broker, answer) = (broker.clone(), Arc::clone(&answer));
                    under_way.spawn(async move { end(&broker, *delivery, bundles, &*answer).await });
                }
                while under_way.try_join_next().is_some() {}
            }
        }
    })
}

/// Records the outcome of one task, and acks.
async fn end(
    broker: &BrokerRef,
    delivery: Delivery,
    bundles: Bundles,
    answer: &impl Fn(Value) -> Result<Value, String>,
) {
    let task = Task::parse(&delivery.subject, delivery.sequence, delivery.headers.clone(), delivery.body.clone());
    let task = task.expect("a task");
    let one = |input: &Payload| match answer(input.to_json().expect("JSON")) {
        Ok(result) => (OutcomeKind::Completed, None, result.to_string()),
        Err(code) => {
            let error = ErrorBody::new(&*code, "the worker said so");
            (OutcomeKind::Dead, Some(error.code.clone()), serde_json::to_string(&error).expect("JSON"))
        }
    };
    let ((kind, code, body), items) = match task.options.bundle.filter(|_| bundles == Bundles::Known) {
        None => (one(&task.payload), None),
        Some(items) => {
            let inputs = split_bundle(&task.payload, items).expect("a bundle");
            let end = |input| {
                let (kind, _, body) = one(input);
                ItemEnd { kind, attempt: 1, body: Payload::json(body) }
            };
            let ends: Vec<ItemEnd> = inputs.iter().map(end).collect();
            let failed = ends.iter().filter(|end| end.kind == OutcomeKind::Dead).count();
            let body = write_ends(ContentType::Json, ends.iter()).bytes;
            let body = String::from_utf8(body.to_vec()).expect("text");
            let failed = u32::try_from(failed).expect("few");
            ((OutcomeKind::Completed, None, body), Some(ItemCount { items, failed, cancelled: 0 }))
        }
    };
    let outcome = Outcome {
        kind,
        task: task.id.clone(),
        skill: task.skill.clone(),
        attempt: 1,
        worker: Some(WorkerId::new("fake").expect("a name")),
        nonce: None,
        submitted: Some(delivery.at),
        started: Some(delivery.at),
        finished: delivery.at,
        code,
        usage: Usage::default(),
        items,
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(&task.skill, &task.id), body).with_headers(headers);
    let _ = broker.publish(record, Expect::NOTHING).await;
    let _ = broker.settle(&delivery.token, Settle::Ack).await;
}

/// A worker that gives back what it was given.
pub async fn echo_worker(fleet: &Fleet) -> JoinHandle<()> {
    worker(fleet, "echo", Ok).await
}

/// How often each task stands in a queue.
pub async fn copies(fleet: &Fleet, of: &str) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    let (stream, mut from) = (assets::tasks_stream(&skill(of)), 1);
    loop {
        let page = fleet.broker.scan(Scan::all(&*stream, ">", 500).from(from)).await.expect("readable");
        let Some(last) = page.last() else { return copies };
        from = last.sequence + 1;
        for stored in &page {
            let task = Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), stored.body.clone());
            *copies.entry(task.expect("a task").id.to_string()).or_default() += 1;
        }
    }
}

/// Three steps, one after the other.
pub fn chain() -> Value {
    json!({"workflow": "chain", "steps": {
        "a": {"task": {"skill": "echo", "input": "${input}"}},
        "b": {"task": {"skill": "echo", "input": {"a": "${steps.a.result}"}}},
        "c": {"task": {"skill": "echo", "input": {"b": "${steps.b.result}"}}}
    }, "result": "${steps.c.result}"})
}
