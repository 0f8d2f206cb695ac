//! Showing how a task ended: its result on stdout, or why there is none on stderr.

use nova_client::TaskOutcome;
use nova_types::{Code, ItemCount, Outcome, OutcomeKind, RUN_SKILL, RunId, Skill, TaskId, UnixMillis, WorkerId};
use nova_wire::{ContentType, ErrorBody, Payload};
use serde::Serialize;
use serde_json::Value;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{Out, Shape};

/// An outcome as one JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct EndRow {
    task: TaskId,
    skill: Skill,
    state: OutcomeKind,
    attempt: u32,
    worker: Option<WorkerId>,
    submitted: Option<UnixMillis>,
    started: Option<UnixMillis>,
    finished: UnixMillis,
    code: Option<Code>,
    cpu_ms: Option<u64>,
    rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<ItemCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

impl EndRow {
    /// The facts without the body.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self {
            task: outcome.task.clone(),
            skill: outcome.skill.clone(),
            state: outcome.kind,
            attempt: outcome.attempt,
            worker: outcome.worker.clone(),
            submitted: outcome.submitted,
            started: outcome.started,
            finished: outcome.finished,
            code: outcome.code.clone(),
            cpu_ms: outcome.usage.cpu.and_then(|cpu| u64::try_from(cpu.as_millis()).ok()),
            rss_bytes: outcome.usage.rss_bytes,
            items: outcome.items,
            result: None,
            error: None,
        }
    }

    /// The facts with the result or the error.
    pub(crate) fn with_body(ended: &TaskOutcome) -> Self {
        let result = (ended.outcome.kind == OutcomeKind::Completed).then(|| as_json(&ended.body));
        Self { result, error: ended.error(), ..Self::of(&ended.outcome) }
    }
}

/// A body as a JSON value; one that is none as the text it looks like.
pub(crate) fn as_json(body: &Payload) -> Value {
    body.to_json().unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body.bytes).into_owned()))
}

/// The exit code an end leads to.
pub(crate) fn exit_of(kind: OutcomeKind) -> Exit {
    match kind {
        OutcomeKind::Completed => Exit::OK,
        OutcomeKind::Dead | OutcomeKind::Cancelled => Exit::DEAD,
    }
}

/// The same of a task that may be a bundle: it is as well as the worst of its items.
fn exit_of_all(outcome: &Outcome) -> Exit {
    match outcome.items {
        Some(items) if items.failed + items.cancelled > 0 => Exit::DEAD,
        _ => exit_of(outcome.kind),
    }
}

/// Shows an end: the result, or an error that says why there is none.
pub(crate) fn show_end(out: &Out, ended: &TaskOutcome) -> Result<Exit, Failure> {
    let outcome = &ended.outcome;
    if out.is_json() {
        out.json(&EndRow::with_body(ended))?;
        return Ok(exit_of_all(outcome));
    }
    let Some(error) = ended.error() else {
        show_body(out, &ended.body)?;
        if let Some(ItemCount { items, failed, .. }) = outcome.items.filter(|items| items.failed > 0) {
            let task = &outcome.task;
            out.say(format!("{failed} of {items} items failed; try them again: nova dead redrive {task}"));
        }
        return Ok(exit_of_all(outcome));
    };
    Err(failure_of(outcome, &error))
}

/// Why a task that ended has no result.
pub(crate) fn failure_of(outcome: &Outcome, error: &ErrorBody) -> Failure {
    if outcome.skill.as_str() == RUN_SKILL {
        return run_failure(&RunId::of(&outcome.task), outcome.kind, error);
    }
    let how = match outcome.kind {
        OutcomeKind::Cancelled => format!("task {} was cancelled", outcome.task),
        _ if outcome.attempt == 0 => format!("task {} is dead; it never ran", outcome.task),
        _ => format!("task {} is dead after attempt {}", outcome.task, outcome.attempt),
    };
    let message = if error.message.is_empty() { how } else { format!("{how}: {}", error.message) };
    let mut failure = Failure::new(Exit::DEAD, error.code.as_str(), message);
    if !error.details.is_null() {
        failure = failure.help(format!("details: {}", error.details));
    }
    if outcome.kind == OutcomeKind::Dead {
        failure = failure.help(format!(
            "what happened: nova dead show {}; try again: nova dead redrive {}",
            outcome.task, outcome.task
        ));
    }
    failure
}

/// Why a run has no result: the step, the attempts and the cause.
fn run_failure(run: &RunId, kind: OutcomeKind, error: &ErrorBody) -> Failure {
    let ended = if kind == OutcomeKind::Cancelled { "was cancelled" } else { "failed" };
    let step = error.details.get("step").and_then(Value::as_str).map(|step| format!(" at step {step}"));
    let attempts = error.details.get("attempts").and_then(Value::as_u64).filter(|attempts| *attempts > 1);
    let attempts = attempts.map(|attempts| format!(" after {attempts} attempts")).unwrap_or_default();
    let why = if error.message.is_empty() { String::new() } else { format!(": {}", error.message) };
    let text = format!("run {run} {ended}{}{attempts}{why}", step.clone().unwrap_or_default());
    let failure = Failure::new(Exit::DEAD, error.code.as_str(), text);
    // Without a step it may never have begun: then there is no history to show or to take over.
    match step {
        Some(_) => failure.help(format!("what happened: nova run show {run}; try again: nova run restart {run}")),
        None => failure.help(format!("what happened, if it began: nova run show {run}")),
    }
}

/// Writes a body: pretty for people, as it is into pipes, MessagePack as JSON.
pub(crate) fn show_body(out: &Out, body: &Payload) -> Result<(), Failure> {
    if out.shape() == Shape::Plain && body.content_type == ContentType::Json {
        let bytes = if body.bytes.is_empty() { &b"null"[..] } else { &body.bytes[..] };
        let end: &[u8] = if bytes.ends_with(b"\n") { b"" } else { b"\n" };
        return out.raw(&[bytes, end].concat());
    }
    let value = as_json(body);
    let text = if out.shape() == Shape::Table { pretty(&value) } else { value.to_string() };
    out.line(text)
}

/// JSON for people, on one line where it fits there.
pub(crate) fn readable(value: &Value) -> String {
    let short = value.to_string();
    if short.len() <= 80 { short } else { pretty(value) }
}

/// JSON for people.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value always encodes")
}
