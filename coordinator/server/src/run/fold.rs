//! Makes the events of one transition out of what arrived meanwhile: ends of a map's tasks become one record.

use std::collections::BTreeMap;

use nova_broker::Blobs;
use nova_types::{OutcomeKind, RunId, StepId, codes};
use nova_wire::{ErrorBody, Payload, limits};
use nova_workflow::{Datum, End, Event, Failure, Items, Kind, Lost, Part, Plan, Role, Segment};
use serde_json::Value;

use super::mail::Ended;
use super::shelf::{self, INLINE, SEGMENT, Shelf, ShelfError};
use crate::Parts;

/// How much the results of one transition may take inside it, in bytes; beyond it they go to the object store.
const TRANSITION: usize = 256 * 1024;
/// The longest message kept of a failed item: a thousand of them stand in one record.
const ITEM_MESSAGE: usize = 256;

/// The ends of tasks on their way into one transition.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    ends: Vec<End>,
    maps: BTreeMap<StepId, Mapped>,
    inline: usize,
}

#[derive(Debug, Default)]
struct Mapped {
    items: Vec<u32>,
    results: Vec<Value>,
    failed: Vec<Lost>,
}

/// What an outcome says, decoded.
pub(crate) enum Told {
    Result(Value),
    Failure(Failure),
}

impl Fold {
    /// Adds an end that needs no reading.
    pub(crate) fn push(&mut self, end: End) {
        self.ends.push(end);
    }

    /// Adds an outcome of a part.
    pub(crate) async fn add(
        &mut self,
        parts: &Parts,
        run: &RunId,
        plan: &Plan,
        shelf: &mut Shelf,
        part: Part,
        ended: &Ended,
    ) -> Result<(), ShelfError> {
        let told = told(parts, ended).await?;
        if part.role == Role::Work && matches!(plan.kind(&part.step), Kind::Map(_)) {
            let map = self.maps.entry(part.step).or_default();
            match told {
                Told::Result(value) => {
                    map.items.push(part.index);
                    map.results.push(value);
                }
                Told::Failure(mut failure) => {
                    failure.message = limits::clip(&failure.message, ITEM_MESSAGE).to_owned();
                    map.failed.push(Lost { item: part.index, attempts: ended.attempt, error: failure });
                }
            }
            return Ok(());
        }
        let (kind, result, error) = match told {
            Told::Result(value) => {
                let limit = if self.inline >= TRANSITION { 0 } else { INLINE };
                let datum = shelf::keep(parts, run, &value, limit).await?;
                match &datum {
                    Datum::Inline(_) => self.inline += ended.payload.bytes.len(),
                    Datum::Blob(_) => shelf.hold(&datum, value),
                }
                (OutcomeKind::Completed, datum, None)
            }
            Told::Failure(failure) => {
                let kind = if ended.kind == OutcomeKind::Completed { OutcomeKind::Dead } else { ended.kind };
                (kind, Datum::NULL, Some(failure))
            }
        };
        self.ends.push(End { part, kind, attempt: ended.attempt, result, error });
        Ok(())
    }

    /// The events, in an order of their own.
    pub(crate) async fn events(self, parts: &Parts, run: &RunId, shelf: &mut Shelf) -> Result<Vec<Event>, ShelfError> {
        let mut events = Vec::new();
        if !self.ends.is_empty() {
            events.push(Event::Ended(self.ends));
        }
        for (step, map) in self.maps {
            let results = Value::Array(map.results);
            let datum = shelf::keep(parts, run, &results, SEGMENT).await?;
            shelf.hold(&datum, results);
            let done = Segment { items: map.items, results: datum };
            events.push(Event::Items(Items { step, done, failed: map.failed }));
        }
        Ok(events)
    }
}

/// Reads an outcome, and its result where that is large.
async fn told(parts: &Parts, ended: &Ended) -> Result<Told, ShelfError> {
    let fail = |code: &str, message: String| Told::Failure(Failure { code: code.into(), message });
    let bytes = match &ended.blob {
        None => ended.payload.bytes.clone(),
        Some(blob) => match Blobs::new(parts.broker.clone()).get(blob).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_transient() => return Err(error.into()),
            // Gone or damaged: it will not come back.
            Err(error) => return Ok(fail(codes::BAD_BLOB, format!("the result cannot be read: {error}"))),
        },
    };
    let payload = Payload { content_type: ended.payload.content_type, bytes };
    if ended.kind == OutcomeKind::Completed {
        return Ok(match payload.to_json() {
            Ok(value) => Told::Result(value),
            Err(error) => fail(codes::BAD_RESULT, format!("the result is no JSON value: {error}")),
        });
    }
    let body: Option<ErrorBody> = payload.decode().ok();
    let code = ended.code.as_ref().or(body.as_ref().map(|body| &body.code));
    let code = code.map_or(codes::ERROR, |code| code.as_str()).to_owned();
    let message = body.map_or_else(|| ended.kind.to_string(), |body| body.message);
    Ok(fail(&code, message))
}
