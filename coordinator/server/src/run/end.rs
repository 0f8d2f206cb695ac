//! The end of a run: its outcome under compare-and-set, whoever waits is told, and its room is handed on.

use bytes::Bytes;
use nova_broker::{Blobs, Expect, Message};
use nova_engine::run::Run;
use nova_runtime::Metric;
use nova_types::{Code, DurationText, Outcome, OutcomeKind, RunStatus, TaskId, Usage, codes, run_skill};
use nova_wire::{ErrorBody, Headers, assets, limits, name, parse_outcome, subject, write_outcome};
use nova_workflow::RunEnd;
use serde_json::{Value, json};

use super::effects::{Halted, Sent, publish};
use super::place::Place;
use super::shared::Shared;
use super::shelf::ShelfError;

/// A run that ends.
pub(crate) struct Ending<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) place: &'a Place,
    pub(crate) run: &'a Run,
    pub(crate) origin: &'a Headers,
    /// Whether its workflow says how many runs may be under way at once.
    pub(crate) is_capped: bool,
}

/// Writes the outcome, unless there is one, and tells it; every step is safe to repeat.
pub(crate) async fn carry_out(ending: &Ending<'_>, end: RunEnd, result: Value) -> Result<(), Halted> {
    let shared = ending.shared;
    let Some(started) = ending.run.started() else { return Ok(()) };
    let (kind, error) = verdict(&end, ending.place);
    let mut headers = Headers::new();
    let (kind, error, body) = match error {
        Some(error) => (kind, Some(error.code.clone()), encode(&error)),
        None => match store(ending, &result).await? {
            Ok((body, blob)) => {
                if let Some(blob) = blob {
                    headers.push(name::BLOB, blob);
                }
                (kind, None, body)
            }
            Err(error) => (OutcomeKind::Dead, Some(error.code.clone()), encode(&error)),
        },
    };
    let outcome = Outcome {
        kind,
        task: started.task.clone(),
        skill: run_skill(),
        attempt: 1,
        worker: Some(shared.parts.name.clone()),
        nonce: None,
        submitted: ending.run.started_at(),
        started: ending.run.started_at(),
        finished: shared.parts.clock.now(),
        code: error,
        usage: Usage::default(),
        items: None,
    };
    headers.push(name::OUTCOME, write_outcome(&outcome));
    if let Some(trace) = ending.origin.get(name::TRACEPARENT) {
        headers.push(name::TRACEPARENT, trace);
    }
    let told = headers.clone();
    if let Some(ttl) = ending.origin.get(name::OUTCOME_TTL).and_then(|text| text.parse::<DurationText>().ok()) {
        headers.push(name::TTL, limits::ttl_text(ttl.0));
    }
    let message = Message::new(subject::outcome(&run_skill(), &started.task), body).with_headers(headers);
    let sent = publish(shared, message.clone(), Expect::NOTHING).await?;
    nova_runtime::failpoint::hit("run-outcome");
    match sent {
        Sent::Stored => {
            tell(ending, &started.task, message.with_headers(told)).await;
            shared.parts.metrics.inc(Metric::RunsEnded, &[end.status.as_str()]);
            // As with tasks: what went well is in the history, and an event of it would be one more write for each run.
            if kind != OutcomeKind::Completed {
                event(ending, end.status).await;
            }
        }
        // Written by a round that broke off, or by someone else: what stands there counts.
        Sent::Conflict => tell_again(ending, &started.task).await?,
        Sent::NoStream | Sent::TooLarge => {
            tracing::error!(run = %ending.place.run, ?sent, "the outcome of a run cannot be stored");
            return Err(Halted::Stopped { what: message.subject });
        }
    }
    if ending.is_capped {
        shared.slots.release(&started.workflow, &ending.place.run).await?;
    }
    Ok(())
}

/// How the task of a run ends, and why when it does not complete.
fn verdict(end: &RunEnd, place: &Place) -> (OutcomeKind, Option<ErrorBody>) {
    let (kind, code, words) = match end.status {
        RunStatus::Completed => return (OutcomeKind::Completed, None),
        RunStatus::Cancelled => (OutcomeKind::Cancelled, codes::CANCELLED, "the run was cancelled"),
        _ => (OutcomeKind::Dead, codes::ERROR, "the run failed"),
    };
    let code = end.failure.as_ref().map_or_else(|| Code::new(code), |failure| failure.code.clone());
    let message = end.failure.as_ref().map_or(words, |failure| &failure.message);
    let mut error = ErrorBody::new(code, message);
    error.details = json!({ "run": place.run });
    if let Some(step) = &end.step {
        error.details["step"] = json!(step);
        error.details["attempts"] = json!(end.attempts);
    }
    if !end.not_undone.is_empty() {
        error.details["not_undone"] = json!(end.not_undone);
    }
    (kind, Some(error))
}

fn encode(error: &ErrorBody) -> Bytes {
    serde_json::to_vec(error).expect("a plain record always encodes").into()
}

/// The result as the outcome holds it; a large one goes to the object store, one that is too large is an error.
async fn store(ending: &Ending<'_>, result: &Value) -> Result<Result<(Bytes, Option<String>), ErrorBody>, Halted> {
    let body: Bytes = serde_json::to_vec(result).expect("a JSON value always encodes").into();
    if body.len() <= limits::INLINE_BYTES {
        return Ok(Ok((body, None)));
    }
    // An outcome's object, not the run's: it expires with the outcome.
    let object = format!("out-run-{}-{:08x}", ending.place.run, fastrand::u32(..));
    match Blobs::new(ending.shared.parts.broker.clone()).put(&object, &body).await {
        Ok(blob) => Ok(Ok((Bytes::new(), Some(blob.to_header())))),
        Err(error) if error.is_transient() => Err(Halted::Shelf(ShelfError::Blob(error))),
        Err(error) => Ok(Err(ErrorBody::new(codes::BAD_RESULT, &error.to_string()))),
    }
}

/// Tells waiters. Only a courtesy: the record stands.
async fn tell(ending: &Ending<'_>, task: &TaskId, outcome: Message) {
    let done = subject::done(&run_skill(), task);
    for to in [Some(&*done), ending.origin.get(name::REPLY)].into_iter().flatten() {
        let message = Message { subject: to.to_owned(), ..outcome.clone() };
        if let Err(error) = ending.shared.parts.broker.tell(message).await {
            tracing::debug!(run = %ending.place.run, %error, "the end of a run was not told");
        }
    }
}

async fn tell_again(ending: &Ending<'_>, task: &TaskId) -> Result<(), Halted> {
    let subject = subject::outcome(&run_skill(), task);
    let Some(stored) = ending.shared.parts.broker.last(assets::OUTCOMES.to_owned(), subject).await? else {
        return Ok(());
    };
    if stored.headers.get(name::OUTCOME).is_some_and(|text| parse_outcome(text).is_ok()) {
        let mut headers = stored.headers;
        headers.retain(|key| !key.starts_with(name::NATS_PREFIX));
        tell(ending, task, Message::new(stored.subject, stored.body).with_headers(headers)).await;
    }
    Ok(())
}

/// Tells watchers that a run failed or was cancelled; nothing depends on it.
async fn event(ending: &Ending<'_>, status: RunStatus) {
    let (run, place, parts) = (ending.run, ending.place, &ending.shared.parts);
    let Some(started) = run.started() else { return };
    let body = json!({
        "kind": status,
        "run": place.run,
        "workflow": started.workflow,
        "task": started.task,
        "n": run.n(),
        "at": parts.clock.now(),
        "step": run.end().and_then(|end| end.step.as_ref()),
    });
    let subject = subject::run_event(status.as_str(), &started.workflow, &place.run);
    if let Err(error) = parts.broker.tell(Message::new(subject, body.to_string())).await {
        tracing::debug!(run = %place.run, %error, "an event of a run was not told");
    }
}
