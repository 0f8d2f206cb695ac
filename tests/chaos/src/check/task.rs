//! What must hold of a single task, whatever died: I1 to I6, I11, I12.

use nova_types::{OutcomeKind, Skill, codes, run_skill};

use super::{Life, Record, Task, Violation};
use crate::order::MAX_ATTEMPTS;

/// How many starts without a known end make a task poison: the worker's own limit.
const CRASH_LIMIT: usize = 10;

/// Everything that is wrong with a task.
pub fn check(task: &Task, life: &Life) -> Vec<Violation> {
    let mut all = Vec::new();
    let mut found = |invariant, what: String| all.push(Violation::new(invariant, task, what));
    if life.acked.is_some() && life.outcomes.is_empty() {
        found("I1 nothing lost", "acknowledged, and without an outcome".to_owned());
    }
    if let Some(why) = phantom(task, life) {
        found("I2 nothing unasked", why);
    }
    if life.outcomes.len() > 1 {
        let all: Vec<String> = life.outcomes.iter().map(shown).collect();
        found("I4 one outcome", format!("{} outcomes: {}", all.len(), all.join(", ")));
    }
    let is_run = task.skill == run_skill();
    for record in &life.outcomes {
        let outcome = &record.outcome;
        // A run is moved by coordinators, which start no attempts.
        if !is_run && outcome.kind == OutcomeKind::Completed && !was_started(life, record) {
            found("I3 completed only by running", format!("{}, of which there was no start", shown(record)));
        }
        if let Some(why) = unexpected(life, record, &task.skill) {
            found("I4 the outcome is the right one", why);
        }
    }
    if life.doomed.is_some() && !life.starts.is_empty() {
        all.push(Violation::new("I2 nothing unasked", task, "it is no task, and yet it ran"));
    }
    letters(task, life, &mut all);
    all.extend(attempts(task, life));
    all
}

/// Why a task should not be there at all.
fn phantom(task: &Task, life: &Life) -> Option<String> {
    if life.asked.is_none() {
        // What runs and schedules start has scopes of its own; whether each was decided is the runs' check.
        let scope = task.id.scope().as_str();
        let is_of_a_run = scope.starts_with('r') && scope[1..].bytes().all(|byte| byte.is_ascii_digit());
        return (!is_of_a_run).then(|| "nobody asked for it".to_owned());
    }
    // A cancel has an outcome also for a task that never came.
    let is_surely_not_stored = life.is_refused && life.acked.is_none() && !life.is_unsure && life.cancelled.is_none();
    (is_surely_not_stored && !(life.starts.is_empty() && life.outcomes.is_empty()))
        .then(|| "refused, and yet it ran".to_owned())
}

fn was_started(life: &Life, record: &Record) -> bool {
    let by = record.outcome.worker.as_ref().map(|worker| worker.as_str());
    life.starts.iter().any(|start| start.attempt == record.outcome.attempt && Some(&*start.by) == by)
}

/// Why an outcome is not what the task was to come to.
fn unexpected(life: &Life, record: &Record, skill: &Skill) -> Option<String> {
    life.asked?;
    let outcome = &record.outcome;
    let code = outcome.code.as_ref().map(|code| code.as_str());
    if outcome.kind == OutcomeKind::Cancelled {
        return life.cancelled.is_none().then(|| format!("{}, and nobody cancelled it", shown(record)));
    }
    // One whose workers died again and again while it ran is buried; that is no fault of the record.
    if code == Some(codes::POISON) && life.unended() >= CRASH_LIMIT {
        return None;
    }
    if let Some(doom) = &life.doomed {
        // At first sight; a worker that died over it, or was cut off with it, may have had it before.
        let is_at_sight = outcome.attempt <= 1 + life.faults;
        let is_right = outcome.kind == OutcomeKind::Dead && code == Some(&**doom) && is_at_sight;
        return (!is_right).then(|| format!("{}, and not dead ({doom}) at first sight", shown(record)));
    }
    let Some(order) = &life.order else {
        let is_right = outcome.kind == OutcomeKind::Dead && code == Some(codes::BAD_INPUT);
        return (!is_right).then(|| format!("{}, though its input is none", shown(record)));
    };
    let expected = order.expected();
    if outcome.kind != expected.kind || (expected.code.is_some() && code != expected.code) {
        return Some(format!("{}, and not {:?}", shown(record), expected));
    }
    let is_wrong = outcome.kind == OutcomeKind::Completed && record.n != Some(order.n) && !record.is_large;
    is_wrong.then(|| format!("result {:?} of {skill}, and not {}", record.n, order.n))
}

/// Dead, and a letter; otherwise none. One, with the task's own bytes.
fn letters(task: &Task, life: &Life, all: &mut Vec<Violation>) {
    // A run's input is kept by its history; it has no letter.
    if task.skill == run_skill() {
        return;
    }
    let is_dead = life.outcomes.iter().any(|record| record.outcome.kind == OutcomeKind::Dead);
    if !is_dead && !life.letters.is_empty() && !life.outcomes.is_empty() {
        let what = format!("{}, and a dead letter", life.outcomes.iter().map(shown).collect::<String>());
        all.push(Violation::new("I5 never both done and dead", task, what));
    }
    if is_dead && life.letters.is_empty() {
        all.push(Violation::new("I6 the dead have letters", task, "dead, and without a letter"));
    }
    if life.letters.len() > 1 {
        all.push(Violation::new("I6 the dead have letters", task, format!("{} letters", life.letters.len())));
    }
    let wanted = life.order.as_ref().map(|order| order.n);
    for letter in life.letters.iter().filter(|letter| life.asked.is_some() && !letter.is_large) {
        if letter.n != wanted {
            let what = format!("the letter holds {:?}, and not {wanted:?}", letter.n);
            all.push(Violation::new("I6 the dead have letters", task, what));
        }
    }
}

/// Attempts are within their limit.
fn attempts(task: &Task, life: &Life) -> Option<Violation> {
    let most = life.starts.iter().map(|start| start.attempt).max().unwrap_or(0);
    (most > MAX_ATTEMPTS)
        .then(|| Violation::new("I11 attempts within their limit", task, format!("attempt {most} of {MAX_ATTEMPTS}")))
}

fn shown(record: &Record) -> String {
    let outcome = &record.outcome;
    let by = outcome.worker.as_ref().map_or("nobody", |worker| worker.as_str());
    let code = outcome.code.as_ref().map_or(String::new(), |code| format!(" ({code})"));
    format!("{}{code} by {by} in attempt {}", outcome.kind.as_str(), outcome.attempt)
}
