//! The values of a run: results put together from the pieces they were recorded in.

use std::sync::Arc;

use nova_types::{StepId, codes};
use nova_workflow::{BlobName, Datum, EvalError, Failure, Kind, Plan};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::scope::Scope;
use super::state::{Answer, Ended, List, failure};
use super::turn::{Turn, own};
use super::{Data, Memo, Run, StepStatus, Stuck};

/// The code of an expression that came to nothing.
pub(super) const BAD_EXPRESSION: &str = "bad_expression";

/// The most that one expression may need of stored results at once, in bytes as stored: as values they take several times
/// that, and a coordinator moves many runs.
pub const MOST_AT_ONCE: u64 = 128 * 1024 * 1024;

/// A failure of an expression.
pub(super) fn bad(message: impl Into<String>) -> Failure {
    failure(BAD_EXPRESSION, message)
}

/// A datum's value; wants its object when that is not loaded.
pub(super) fn value(data: &dyn Data, datum: &Datum) -> Result<Value, EvalError> {
    match datum {
        Datum::Inline(value) => Ok(value.clone()),
        Datum::Blob(blob) => Ok((*loaded(data, blob)?).clone()),
    }
}

fn loaded(data: &dyn Data, blob: &BlobName) -> Result<Arc<Value>, EvalError> {
    data.get(blob).ok_or_else(|| EvalError::Wants(vec![blob.clone()]))
}

/// How many bytes must be loaded to put the result of a step together. Only the record counts, not what is loaded already:
/// whoever asks is told the same.
pub(super) fn weight_of(run: &Run, ended: &Ended) -> u64 {
    if ended.status == StepStatus::Completed { weight_of_answer(run, ended) } else { 0 }
}

fn weight_of_answer(run: &Run, ended: &Ended) -> u64 {
    let size = |datum: &Datum| super::state::blob_of(datum).map_or(0, |blob| blob.size);
    match &ended.answer {
        Answer::Value(datum) => size(datum),
        Answer::List(list) => list.segments.iter().map(|segment| size(&segment.results)).sum(),
        Answer::Joined(of) => {
            let come = of.iter().filter(|(_, has_come)| **has_come);
            come.filter_map(|(id, _)| Some(weight_of(run, run.ended_step(id)?))).sum()
        }
    }
}

/// Refuses what no coordinator holds at once.
pub(super) fn bearable(bytes: u64) -> Result<(), EvalError> {
    if bytes <= MOST_AT_ONCE {
        return Ok(());
    }
    let message = format!("it needs {bytes} bytes of results at once, more than the {MOST_AT_ONCE} there may be");
    Err(EvalError::Failed(failure(codes::TOO_LARGE, message)))
}

/// The result of a step that ended; null unless it completed.
pub(super) fn result_of(run: &Run, data: &dyn Data, ended: &Ended) -> Result<Value, EvalError> {
    if ended.status != StepStatus::Completed {
        return Ok(Value::Null);
    }
    answer_of(run, data, ended)
}

/// What a step that ended has done, however it ended.
pub(super) fn answer_of(run: &Run, data: &dyn Data, ended: &Ended) -> Result<Value, EvalError> {
    bearable(weight_of_answer(run, ended))?;
    match &ended.answer {
        Answer::Value(datum) => value(data, datum),
        Answer::List(list) => list_of(data, list).map(Value::Array),
        Answer::Joined(of) => {
            let (mut results, mut wants) = (Map::new(), Vec::new());
            for (id, has_come) in of {
                let ended = run.ended_step(id).filter(|_| *has_come);
                match ended.map_or(Ok(Value::Null), |ended| result_of(run, data, ended)) {
                    Ok(result) => drop(results.insert(id.to_string(), result)),
                    Err(EvalError::Wants(blobs)) => wants.extend(blobs),
                    Err(failed) => return Err(failed),
                }
            }
            if wants.is_empty() { Ok(Value::Object(results)) } else { Err(EvalError::Wants(wants)) }
        }
    }
}

/// A map's results in the order of its items, null for those that failed.
fn list_of(data: &dyn Data, list: &List) -> Result<Vec<Value>, EvalError> {
    let missing: Vec<_> = list
        .segments
        .iter()
        .filter_map(|segment| super::state::blob_of(&segment.results))
        .filter(|blob| data.get(blob).is_none())
        .cloned()
        .collect();
    if !missing.is_empty() {
        return Err(EvalError::Wants(missing));
    }
    let mut results = vec![Value::Null; list.count as usize];
    for segment in list.segments.iter() {
        let held;
        let values = match &segment.results {
            Datum::Inline(value) => value,
            Datum::Blob(blob) => {
                held = loaded(data, blob)?;
                &*held
            }
        };
        for (item, value) in segment.items.iter().zip(values.as_array().into_iter().flatten()) {
            if let Some(place) = results.get_mut(*item as usize) {
                *place = value.clone();
            }
        }
    }
    Ok(results)
}

/// What `steps.<id>` is to an expression.
pub(super) fn step_value(run: &Run, data: &dyn Data, ended: &Ended) -> Result<Value, EvalError> {
    let mut value = told(ended);
    value["result"] = result_of(run, data, ended)?;
    Ok(value)
}

/// The same without the result, for which nothing has to be loaded.
pub(super) fn told(ended: &Ended) -> Value {
    let mut value = json!({"status": ended.status.as_str()});
    if let Some(failure) = &ended.failure {
        value["error"] = json!({"code": failure.code.as_str(), "message": failure.message});
    }
    if let Answer::List(list) = &ended.answer {
        value["count"] = list.count.into();
        value["failed"] = list.failed.len().into();
    }
    value
}

/// What a person is asked to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// What the approver is asked.
    pub ask: String,
    /// What is approved.
    pub of: Value,
    /// Its hash; the approval names it.
    pub hash: String,
}

/// What a step waits to have approved, when it does.
///
/// # Errors
/// [`Stuck::Wants`] names values to load before asking again.
pub fn asked(run: &Run, plan: &Plan, step: &StepId, data: &dyn Data, memo: &mut Memo) -> Result<Option<Asked>, Stuck> {
    let hash = run.steps.get(step).filter(|_| run.is_active(step)).and_then(|step| step.wait()?.hash.clone());
    let Some(hash) = hash.filter(|_| plan.workflow().steps.contains_key(step)) else { return Ok(None) };
    let Kind::Wait(wait) = plan.kind(step) else { return Ok(None) };
    let Some(approval) = &wait.approval else { return Ok(None) };
    let turn = Turn::new(run, plan, run.started_at, data, memo);
    let of = own(plan.fill(&approval.of, &Scope::of(&turn)))?;
    Ok(of.ok().map(|of| Asked { ask: approval.ask.clone(), of, hash }))
}
