//! Reads the streams of a world that is quiet, and says which invariants were broken.

mod bundles;
mod keyed;
mod limited;
mod runs;
mod schedules;

use std::collections::{BTreeMap, BTreeSet};

use nova_broker::memory::MemoryBroker;
use nova_broker::{Broker as _, Scan, Stored};
use nova_types::{Outcome, OutcomeKind, TaskId, UnixMillis};
use nova_wire::{AttemptRecord, ContentType, DeadLetter, Payload, assets, name, parse_outcome, subject};
use nova_workflow::Plan;

use crate::books::{Begun, Pages};
use crate::process::Ground;
use crate::scenario::Scenario;
use crate::world::client;

/// An outcome, as it is stored.
struct End {
    outcome: Outcome,
    at: UnixMillis,
    body: Payload,
}

/// What the streams hold.
struct Held {
    outcomes: BTreeMap<TaskId, End>,
    letters: BTreeMap<TaskId, DeadLetter>,
    attempts: BTreeMap<TaskId, AttemptRecord>,
}

/// The invariants that do not hold, one sentence each.
pub async fn judge(ground: &Ground, scenario: &Scenario, plan: &Plan) -> Vec<String> {
    let pages = ground.books.open().clone();
    let mut broken = Vec::new();
    let held = read(&ground.memory, &mut broken).await;
    ends(scenario, &pages, &held, &mut broken);
    letters(&pages, &held, &mut broken);
    attempts(scenario, &pages, &held, &mut broken);
    once(&pages, &held, &mut broken);
    keyed::judge(&ground.memory, &pages, &held, &mut broken).await;
    bundles::judge(scenario, &pages, &held, &mut broken);
    limited::judge(scenario, &pages, &mut broken);
    schedules::judge(scenario, &pages, &held, &mut broken);
    runs::judge(&ground.memory, scenario, plan, &held.outcomes, &mut broken).await;
    broken
}

async fn all(memory: &MemoryBroker, stream: &str) -> Vec<Stored> {
    memory.scan(Scan::all(stream, ">", usize::MAX)).await.unwrap_or_default()
}

async fn read(memory: &MemoryBroker, broken: &mut Vec<String>) -> Held {
    let mut held = Held { outcomes: BTreeMap::new(), letters: BTreeMap::new(), attempts: BTreeMap::new() };
    for stored in all(memory, assets::OUTCOMES).await {
        let parsed = stored.headers.get(name::OUTCOME).and_then(|line| parse_outcome(line).ok());
        let (Some((_, task)), Some(outcome)) = (subject::parse_outcome(&stored.subject), parsed) else {
            broken.push(format!("I4: {} is no outcome", stored.subject));
            continue;
        };
        let content_type = stored.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type);
        let content_type = content_type.unwrap_or(ContentType::Json);
        let body = Payload { content_type, bytes: stored.body };
        if held.outcomes.insert(task, End { outcome, at: stored.at, body }).is_some() {
            broken.push(format!("I4: {} was written twice", stored.subject));
        }
    }
    for stored in all(memory, assets::DEAD).await {
        let parsed = DeadLetter::parse(&stored.headers, stored.body.clone());
        let (Some((_, task)), Ok(letter)) = (subject::parse_dead(&stored.subject), parsed) else {
            broken.push(format!("I6: {} is no letter", stored.subject));
            continue;
        };
        if held.letters.insert(task, letter).is_some() {
            broken.push(format!("I6: {} was written twice", stored.subject));
        }
    }
    for stored in all(memory, assets::ATTEMPTS).await {
        let parsed = serde_json::from_slice(&stored.body);
        if let (Some((_, task)), Ok(record)) = (subject::parse_attempt(&stored.subject), parsed) {
            held.attempts.insert(task, record);
        }
    }
    held
}

/// I1 to I4: every task that was accepted has its one end, and it is that of an attempt that began.
fn ends(scenario: &Scenario, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for task in pages.accepted.keys().filter(|task| !held.outcomes.contains_key(*task)) {
        broken.push(format!("I1: {task} was accepted and has no outcome"));
    }
    let names = scenario.tasks.iter().map(|task| task.name.clone());
    let runs = (0..scenario.runs.len()).map(client::run_name);
    let asked: BTreeSet<TaskId> = names.chain(runs).map(|name| client::id(&name)).collect();
    let is_of_run = |task: &TaskId| task.scope().as_str().starts_with('r');
    let is_of_schedule = |task: &TaskId| schedules::moment_of(scenario, task).is_some();
    for (task, End { outcome, .. }) in &held.outcomes {
        if !asked.contains(task) && !is_of_run(task) && !is_of_schedule(task) {
            broken.push(format!("I2: nobody asked for {task}"));
        }
        let is_run = outcome.skill == nova_types::run_skill();
        let has_begun = pages.begun.iter().any(|begun| begun.task == *task && begun.attempt == outcome.attempt);
        // The items of a bundle have attempts of their own.
        let has_begun = has_begun || outcome.items.is_some();
        if outcome.kind == OutcomeKind::Completed && !is_run && !has_begun {
            broken.push(format!("I3: {task} completed by attempt {}, which never began", outcome.attempt));
        }
    }
}

/// I5 and I6: what is dead has its letter with the original and all attempts, and nothing else has one.
fn letters(pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for (task, End { outcome, .. }) in &held.outcomes {
        let letter = held.letters.get(task);
        let has_dead = outcome.kind == OutcomeKind::Dead || outcome.items.is_some_and(|items| items.failed > 0);
        if has_dead != letter.is_some() {
            let has = if letter.is_some() { "has a letter" } else { "has no letter" };
            broken.push(format!("I5, I6: {task} is {} and {has}", outcome.kind));
        }
    }
    for (task, letter) in &held.letters {
        let end = held.outcomes.get(task);
        if end.is_none() {
            broken.push(format!("I5: {task} has a letter and no outcome"));
        }
        // What is left of a bundle is less than it was.
        let is_whole = end.is_none_or(|end| end.outcome.items.is_none());
        if is_whole && pages.accepted.get(task).is_some_and(|body| !body.is_empty() && *body != letter.body) {
            broken.push(format!("I6: the letter of {task} has another body"));
        }
        // One of a zombie may be noted behind the end; those up to the one that ended it must be there.
        let (listed, made) = (letter.attempts_listed(), end.map_or(0, |end| end.outcome.attempt));
        if listed.failures.len() < made as usize {
            broken.push(format!("I6: the letter of {task} lists {} of {made} attempts", listed.failures.len()));
        }
    }
}

/// I11: attempts have rising numbers, and there are no more of them than may be.
fn attempts(scenario: &Scenario, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    let most = |task: &TaskId| {
        let asked = scenario.tasks.iter().find(|asked| client::id(&asked.name) == *task);
        asked.map_or(3, |asked| asked.max_attempts)
    };
    for (task, record) in &held.attempts {
        let numbers: Vec<u32> = record.failures.iter().map(|failure| failure.attempt).collect();
        if !numbers.iter().copied().eq(1..=record.failed) {
            broken.push(format!("I11: the failed attempts of {task} are {numbers:?} of {}", record.failed));
        }
        if record.failed > most(task) {
            broken.push(format!("I11: {} attempts of {task} failed, {} may", record.failed, most(task)));
        }
    }
    for Begun { task, attempt, .. } in pages.begun.iter().filter(|begun| begun.attempt > most(&begun.task)) {
        broken.push(format!("I11: attempt {attempt} of {task} began, {} may", most(task)));
    }
}

/// I19: all who submitted under one key were told of one task, and there is no other.
fn once(pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for (key, answered) in &pages.answered {
        if answered.len() > 1 {
            broken.push(format!("I19: {key} was answered with {answered:?}"));
        }
    }
    let told: BTreeSet<&TaskId> = pages.answered.values().flatten().collect();
    for task in held.outcomes.keys().filter(|task| task.name().as_str().starts_with('o') && !told.contains(task)) {
        broken.push(format!("I19: {task} ended, and nobody was told of it"));
    }
}
