//! Waits for time, a signal or an approval.

use nova_types::{StepId, UnixMillis, codes};
use nova_workflow::definition::Wait;
use nova_workflow::{Approved, Datum, Decision, Kind, Timer};
use serde_json::{Map, Value, json};

use crate::run::scope::Scope;
use crate::run::state::{Active, Answer, WaitState, failure};
use crate::run::turn::{Turn, own};
use crate::run::value::bad;
use crate::run::{Stuck, moment};

/// The code of an approval that was refused.
const REJECTED: &str = "rejected";

pub(in crate::run) fn begin(turn: &mut Turn<'_>, id: &StepId, wait: &Wait) -> Result<(), Stuck> {
    let mut hash = None;
    let mut until = wait.timeout.map(|patience| turn.at.plus(patience.0));
    if let Some(duration) = wait.duration {
        until = Some(turn.at.plus(duration.0));
    } else if let Some(expr) = &wait.until {
        let moment = own(turn.plan.eval(expr, &Scope::of(turn)))?;
        match moment.and_then(|value| moment_of(&value).ok_or_else(|| bad(format!("`until` is {value}, not a moment"))))
        {
            Ok(moment) => until = Some(moment),
            Err(failure) => {
                turn.fail(id, failure, 0);
                return Ok(());
            }
        }
    } else if let Some(approval) = &wait.approval {
        match own(turn.plan.fill(&approval.of, &Scope::of(turn)))? {
            Ok(of) => hash = Some(nova_workflow::hash_of(&of)),
            Err(failure) => {
                turn.fail(id, failure, 0);
                return Ok(());
            }
        }
    } else if let Some(data) = wait.signal.as_ref().and_then(|name| take_signal(turn, name.as_str())) {
        turn.complete(id, Answer::Value(data));
        return Ok(());
    }
    let is_timed = wait.duration.is_some() || wait.until.is_some();
    if is_timed && until.is_some_and(|until| until <= turn.at) {
        turn.complete(id, Answer::NULL);
        return Ok(());
    }
    turn.activate(id, Active::Wait(WaitState { hash: hash.clone() }));
    turn.decisions.push(Decision::Wait { step: id.clone(), hash });
    if let Some(until) = until {
        turn.set_timer(id, Timer::Wait(id.clone()), until);
    }
    Ok(())
}

fn moment_of(value: &Value) -> Option<UnixMillis> {
    match value {
        Value::Number(number) => number.as_i64().map(UnixMillis),
        Value::String(text) => moment::parse(text),
        _ => None,
    }
}

/// Takes the oldest signal of this name that no step took.
fn take_signal(turn: &mut Turn<'_>, name: &str) -> Option<Datum> {
    let at = turn.run.signals.iter().position(|signal| signal.name == name)?;
    Some(turn.run.signals.to_mut().remove(at).data)
}

/// Folds the moment a wait was set for.
pub(in crate::run) fn fired(turn: &mut Turn<'_>, id: &StepId, wait: &Wait) {
    if wait.duration.is_some() || wait.until.is_some() {
        turn.complete(id, Answer::NULL);
    } else {
        let what = if wait.signal.is_some() { "signal" } else { "approval" };
        turn.fail(id, failure(codes::TIMEOUT, format!("no {what} came in time")), 0);
    }
}

/// Hands a signal to the first step that waits for it; says whether one did.
pub(in crate::run) fn signalled(turn: &mut Turn<'_>, name: &str, data: &Datum) -> bool {
    let waiting = waits_for(turn, name).find(|id| turn.run.is_active(id)).cloned();
    if let Some(id) = &waiting {
        turn.complete(id, Answer::Value(data.clone()));
    }
    waiting.is_some()
}

/// The steps that wait for this signal now or later.
pub(in crate::run) fn waits_for<'t>(turn: &'t Turn<'_>, name: &'t str) -> impl Iterator<Item = &'t StepId> {
    turn.plan.order().iter().filter(move |id| {
        let is_of = |wait: &Wait| wait.signal.as_ref().is_some_and(|signal| signal.as_str() == name);
        matches!(turn.plan.kind(id), Kind::Wait(wait) if is_of(wait)) && turn.run.ended_step(id).is_none()
    })
}

/// Folds an answer to an approval.
pub(in crate::run) fn approved(turn: &mut Turn<'_>, answer: &Approved) {
    let id = &answer.step;
    let by = answer.by.as_deref().unwrap_or("someone");
    let waiting = turn.run.steps.get(id).filter(|_| turn.run.is_active(id)).and_then(|step| step.wait());
    let Some(hash) = waiting.and_then(|wait| wait.hash.clone()) else {
        turn.ignore(format!("step `{id}` does not wait for an approval: {by} came too late or too early"));
        return;
    };
    if hash != answer.hash {
        turn.ignore(format!("{by} answered for {}, step `{id}` asks about {hash}", answer.hash));
        return;
    }
    if !answer.yes {
        let note = answer.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        turn.fail(id, failure(REJECTED, format!("rejected by {by}{note}")), 0);
        return;
    }
    let mut result = Map::new();
    result.insert("approved".into(), true.into());
    result.insert("by".into(), json!(answer.by));
    result.insert("note".into(), json!(answer.note));
    result.insert("at".into(), turn.at.0.into());
    result.insert("hash".into(), hash.into());
    turn.complete(id, Answer::Value(Value::Object(result).into()));
}
