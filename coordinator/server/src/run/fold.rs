//! Makes the events of one transition out of what arrived meanwhile: ends of a map's tasks become one record.

use std::collections::BTreeMap;

use nova_broker::Blobs;
use nova_types::{Code, OutcomeKind, RunId, StepId, codes};
use nova_wire::{ErrorBody, ItemEnd, Payload, limits, read_ends};
use nova_workflow::{Datum, End, Event, Failure, Items, Kind, Lost, Part, Plan, Role, Segment};
use serde_json::Value;

use super::mail::Ended;
use super::shelf::{self, INLINE, SEGMENT, Shelf, ShelfError};
use crate::Parts;

/// How many ends one transition holds: its record has a part for each. Those of a bundle's items, 1,000 at most, stay
/// together.
pub(super) const FOLD: usize = 1000;
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
    count: usize,
}

#[derive(Debug, Default)]
struct Mapped {
    items: Vec<u32>,
    results: Vec<Value>,
    failed: Vec<Lost>,
}

impl Mapped {
    fn add(&mut self, item: u32, attempts: u32, told: Told) {
        match told {
            Told::Result(value) => {
                self.items.push(item);
                self.results.push(value);
            }
            Told::Failure(mut failure) => {
                failure.message = limits::clip(&failure.message, ITEM_MESSAGE).to_owned();
                self.failed.push(Lost { item, attempts, error: failure });
            }
        }
    }
}

/// What an outcome says, decoded.
#[derive(Clone)]
pub(crate) enum Told {
    Result(Value),
    Failure(Failure),
}

impl Fold {
    /// Whether what comes next is for the next transition.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= FOLD
    }

    /// Adds an end that needs no reading.
    pub(crate) fn push(&mut self, end: End) {
        self.count += 1;
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
        self.count += 1;
        if part.role == Role::Work && matches!(plan.kind(&part.step), Kind::Map(_)) {
            self.maps.entry(part.step).or_default().add(part.index, ended.attempt, told);
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

    /// Adds an outcome of a bundle: what it says of each of its items.
    pub(crate) async fn add_bundle(
        &mut self,
        parts: &Parts,
        step: StepId,
        items: Vec<u32>,
        ended: &Ended,
    ) -> Result<(), ShelfError> {
        let told = told_each(parts, ended, items.len()).await?;
        self.count += items.len();
        let map = self.maps.entry(step).or_default();
        items.into_iter().zip(told).for_each(|(item, (attempts, told))| map.add(item, attempts, told));
        Ok(())
    }

    /// Adds the failure of a bundle as that of each of its items.
    pub(crate) fn fail_all(&mut self, step: &StepId, items: Vec<u32>, failure: &Failure) {
        self.count += items.len();
        let map = self.maps.entry(step.clone()).or_default();
        items.into_iter().for_each(|item| map.add(item, 0, Told::Failure(failure.clone())));
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
    Ok(match body(parts, ended).await? {
        Ok(body) if ended.kind == OutcomeKind::Completed => result(&body),
        Ok(body) => failure(ended.kind, ended.code.as_ref(), &body),
        Err(lost) => lost,
    })
}

/// Reads what the outcome of a bundle says of each of its items, and after how many attempts.
async fn told_each(parts: &Parts, ended: &Ended, items: usize) -> Result<Vec<(u32, Told)>, ShelfError> {
    let all = |told: Told| Ok(vec![(ended.attempt, told); items]);
    let body = match body(parts, ended).await? {
        Ok(body) => body,
        Err(lost) => return all(lost),
    };
    if ended.kind != OutcomeKind::Completed {
        return all(failure(ended.kind, ended.code.as_ref(), &body));
    }
    if ended.items.is_none() {
        return all(fail(codes::UNSUPPORTED, "its worker knows no bundles: upgrade it".to_owned()));
    }
    let ends = match read_ends(&body) {
        Ok(ends) if ends.len() == items => ends,
        Ok(ends) => {
            return all(fail(codes::BAD_RESULT, format!("the outcome lists {} items, not {items}", ends.len())));
        }
        Err(error) => return all(fail(codes::BAD_RESULT, format!("the outcome cannot be read: {error}"))),
    };
    let told = |end: ItemEnd| match end.kind {
        OutcomeKind::Completed => (end.attempt, result(&end.body)),
        kind => (end.attempt, failure(kind, None, &end.body)),
    };
    Ok(ends.into_iter().map(told).collect())
}

/// The body of an outcome, wherever it is; why it is lost when it will not come back.
async fn body(parts: &Parts, ended: &Ended) -> Result<Result<Payload, Told>, ShelfError> {
    let bytes = match &ended.blob {
        None => ended.payload.bytes.clone(),
        Some(blob) => match Blobs::new(parts.broker.clone()).get(blob).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_transient() => return Err(error.into()),
            // Gone or damaged.
            Err(error) => return Ok(Err(fail(codes::BAD_BLOB, format!("the result cannot be read: {error}")))),
        },
    };
    Ok(Ok(Payload { content_type: ended.payload.content_type, bytes }))
}

fn result(body: &Payload) -> Told {
    match body.to_json() {
        Ok(value) => Told::Result(value),
        Err(error) => fail(codes::BAD_RESULT, format!("the result is no JSON value: {error}")),
    }
}

fn failure(kind: OutcomeKind, code: Option<&Code>, body: &Payload) -> Told {
    let body: Option<ErrorBody> = body.decode().ok();
    let code = code.or(body.as_ref().map(|body| &body.code));
    let code = code.map_or(codes::ERROR, |code| code.as_str()).to_owned();
    let message = body.map_or_else(|| kind.to_string(), |body| body.message);
    fail(&code, message)
}

fn fail(code: &str, message: String) -> Told {
    Told::Failure(Failure { code: code.into(), message })
}
