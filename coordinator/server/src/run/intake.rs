//! What moves runs: outcomes of their tasks, orders, timers and cancels, each handed to its run.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nova_broker::{Delivery, Settle};
use nova_types::{RunId, StepId, TaskId};
use nova_wire::{BlobRef, ContentType, Payload, name, parse_outcome, subject};
use nova_workflow::{Approved, Event, Order, Timer};

use super::mail::{Ended, News, Verdict};
use super::runs::Runs;
use super::shelf::{self, INLINE};
use super::store;

/// How often something for a run that does not exist is looked at: a replica may be behind.
const LOOKS: u64 = 4;
/// The pause between.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// The pause after something that failed and may work later.
const RETRY: Duration = Duration::from_secs(1);
/// The pause before an outcome that cannot be read is looked at again: someone has to act.
const UNREADABLE: Duration = Duration::from_secs(30);
/// How long an order waits for its run to begin.
const PATIENCE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Handles the outcome of a task of some run.
pub(crate) async fn outcome(runs: &Arc<Runs>, delivery: Delivery) -> Settle {
    let Some((_, id)) = subject::parse_outcome(&delivery.subject) else { return Settle::Ack };
    let Some(run) = RunId::of_part(id.name()) else { return Settle::Ack };
    // A mark of the broker's, when an outcome expired, has no such header.
    let Some(text) = delivery.headers.get(name::OUTCOME) else { return Settle::Ack };
    let outcome = match parse_outcome(text) {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(task = %id, %run, %error, "outcome of a run's task cannot be read");
            return Settle::Nak { delay: UNREADABLE };
        }
    };
    if *id.scope() != nova_types::partition_scope(runs.shared.place(run.clone()).partition) {
        tracing::warn!(task = %id, %run, "outcome of a task that no run has");
        return Settle::Ack;
    }
    let content_type = delivery.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type);
    let ended = Ended {
        name: id.name().clone(),
        kind: outcome.kind,
        attempt: outcome.attempt,
        code: outcome.code,
        payload: Payload { content_type: content_type.unwrap_or_default(), bytes: delivery.body.clone() },
        blob: delivery.headers.get(name::BLOB).and_then(|text| BlobRef::parse(text).ok()),
        items: outcome.items.map(|counted| counted.items),
    };
    let verdict = runs.tell(&run, News::Outcome(Box::new(ended)), delivery.deliveries > 1).await;
    settle_part(verdict, &delivery)
}

/// Handles a timer that has fired.
pub(crate) async fn timer(runs: &Arc<Runs>, delivery: &Delivery) -> Settle {
    let timer = delivery.headers.get(name::TIMER).and_then(|text| serde_json::from_str::<Timer>(text).ok());
    let run = delivery.headers.get(name::RUN).and_then(|text| RunId::new(text).ok());
    let (Some(timer), Some(run)) = (timer, run) else {
        tracing::error!(sequence = delivery.sequence, "a timer of runs cannot be read");
        return Settle::Nak { delay: UNREADABLE };
    };
    let news = News::Event(Box::new(Event::Fired(timer)));
    let verdict = runs.tell(&run, news, delivery.deliveries > 1).await;
    settle_part(verdict, delivery)
}

/// What becomes of something that only a run itself can have asked for.
fn settle_part(verdict: Verdict, delivery: &Delivery) -> Settle {
    match verdict {
        Verdict::Done | Verdict::Taken => Settle::Ack,
        Verdict::Later(delay) => Settle::Nak { delay },
        Verdict::NoRun if delivery.deliveries < LOOKS => Settle::Nak { delay: LOOK_AGAIN },
        // Its run was deleted, or never was.
        Verdict::NoRun => Settle::Ack,
    }
}

/// Handles an order.
pub(crate) async fn order(runs: &Arc<Runs>, delivery: Delivery) -> Settle {
    let Some((verb, task)) = subject::parse_order(&delivery.subject) else {
        tracing::warn!(subject = delivery.subject, "order names no run");
        return Settle::Ack;
    };
    let run = RunId::of(&task);
    // Most that come again came too early. That is found out before anything is made of them.
    if delivery.deliveries > 1 {
        match store::last(&runs.shared.parts, &runs.shared.place(run.clone())).await {
            Ok(Some(_)) => {}
            Ok(None) => return not_begun(runs, &task, verb, &delivery).await,
            Err(_) => return Settle::Nak { delay: RETRY },
        }
    }
    let event = match event_of(runs, &run, verb, &delivery).await {
        Ok(event) => event,
        Err(Some(why)) => {
            tracing::warn!(%task, verb, why, "order is not understood and means nothing");
            return Settle::Ack;
        }
        Err(None) => return Settle::Nak { delay: RETRY },
    };
    match runs.tell(&run, News::Order(Box::new((task.clone(), event))), delivery.deliveries > 1).await {
        Verdict::Done => Settle::Ack,
        Verdict::Later(delay) => Settle::Nak { delay },
        Verdict::Taken => {
            tracing::warn!(%task, %run, verb, "order is for a task whose run is another's");
            Settle::Ack
        }
        Verdict::NoRun => not_begun(runs, &task, verb, &delivery).await,
    }
}

/// An order may come before its run; one for a run that ended and was deleted is too late.
async fn not_begun(runs: &Runs, task: &TaskId, verb: &str, delivery: &Delivery) -> Settle {
    let parts = &runs.shared.parts;
    let waited = parts.clock.now().since(delivery.at);
    match crate::record::outcome_of(parts, &nova_types::run_skill(), task).await {
        Err(_) => Settle::Nak { delay: RETRY },
        Ok(None) if waited < PATIENCE => {
            let mut early = runs.shared.early.lock().unwrap_or_else(PoisonError::into_inner);
            Settle::Nak { delay: early.pause(waited, parts.clock.now()) }
        }
        Ok(_) => {
            tracing::warn!(%task, verb, "order came to no run and means nothing");
            Settle::Ack
        }
    }
}

/// What an order says; `Err(None)` when that cannot be told now.
async fn event_of(runs: &Runs, run: &RunId, verb: &str, delivery: &Delivery) -> Result<Event, Option<String>> {
    let bytes = if delivery.body.is_empty() { "{}".into() } else { delivery.body.clone() };
    let content_type = delivery.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type);
    let payload = Payload { content_type: content_type.unwrap_or_default(), bytes };
    let said: Order = payload.decode().map_err(|error| Some(error.to_string()))?;
    let order = delivery.sequence;
    match verb {
        "signal" => {
            let name = said.signal.ok_or_else(|| Some("it names no signal".to_owned()))?;
            let data = shelf::keep(&runs.shared.parts, run, &said.data, INLINE).await;
            let data = data.map_err(|error| (!error.is_transient()).then(|| error.to_string()))?;
            Ok(Event::Signalled { order, name, data, by: said.by })
        }
        "approve" | "reject" => {
            let step: StepId = said.step.ok_or_else(|| Some("it names no step".to_owned()))?;
            let hash = said.hash.ok_or_else(|| Some("it does not say what is approved".to_owned()))?;
            let yes = verb == "approve";
            Ok(Event::Approved(Approved { order, step, hash, yes, by: said.by, note: said.note }))
        }
        "pause" => Ok(Event::Paused { order }),
        "resume" => Ok(Event::Resumed { order }),
        other => Err(Some(format!("no order is called `{other}`"))),
    }
}

/// Tells a run that it is cancelled; `None` when there is no such run.
pub(crate) async fn cancel(runs: &Arc<Runs>, task: &TaskId, is_again: bool) -> Option<Settle> {
    let event = Event::Cancelled { why: "someone asked for it".to_owned() };
    match runs.tell(&RunId::of(task), News::Order(Box::new((task.clone(), event))), is_again).await {
        Verdict::Done => Some(Settle::Ack),
        Verdict::Later(delay) => Some(Settle::Nak { delay }),
        // The task itself never ran: another one has the run.
        Verdict::NoRun | Verdict::Taken => None,
    }
}
