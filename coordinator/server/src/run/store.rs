//! A run's history: read, and appended to under compare-and-set.

use std::time::Duration;

use bytes::Bytes;
use nova_broker::{BrokerError, Expect, Message, PublishError, Purge, Scan, Stored};
use nova_types::UnixMillis;
use nova_wire::{Headers, assets, name};
use nova_workflow::{RECORD_VERSION, Transition};
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::Parts;

/// How many transitions are read at a time: one may be as large as a message.
const PAGE: usize = 64;
/// The pause before a publish of unknown fate is made again.
const AGAIN: Duration = Duration::from_millis(200);
/// How often a publish of unknown fate is made before the run is put off.
const TRIES: usize = 5;
/// The largest snapshot: above it the history alone is read.
const SNAPSHOT_BYTES: usize = 768 * 1024;
/// The version of snapshots: one of another version is passed over, the history says it all.
const SNAPSHOT_VERSION: u32 = 1;

/// Why a run's history could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("could not read the history of the run")]
    Read(#[from] BrokerError),
    #[error("could not append to the history of the run")]
    Write(#[source] PublishError),
    /// A record that this code must not guess at.
    #[error("transition at sequence {sequence} cannot be read: {why}")]
    Unreadable { sequence: u64, why: String },
}

/// One stored transition.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) at: UnixMillis,
    pub(crate) bytes: usize,
    pub(crate) headers: Headers,
    pub(crate) transition: Transition,
}

/// What became of an append.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// It stands.
    Ours {
        /// Its sequence.
        sequence: u64,
        /// Its size, headers aside.
        bytes: usize,
    },
    /// Another was first.
    Conflict,
}

/// The body of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot<R> {
    /// Its version.
    pub(crate) v: u32,
    /// The sequence of the last transition it covers.
    pub(crate) sequence: u64,
    /// The headers that the run's start carried.
    pub(crate) origin: Vec<(String, String)>,
    /// The transitions known to be carried out, above the run's own mark.
    pub(crate) emitted: String,
    /// The run as the engine keeps it.
    pub(crate) run: R,
}

impl<R> Snapshot<R> {
    pub(crate) fn new(sequence: u64, origin: &Headers, emitted: String, run: R) -> Self {
        let origin = origin.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { v: SNAPSHOT_VERSION, sequence, origin, emitted, run }
    }
}

#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

fn read(stored: Stored) -> Result<Record, StoreError> {
    let sequence = stored.sequence;
    let unreadable = |why: String| StoreError::Unreadable { sequence, why };
    let parsed: Result<Transition, _> = serde_json::from_slice(&stored.body);
    // What is of another version is told as that, whether it can be read or not; looked at again only then, for records can
    // be large.
    let version = match &parsed {
        Ok(transition) => transition.v,
        Err(_) => serde_json::from_slice::<Versioned>(&stored.body).map_or(RECORD_VERSION, |version| version.v),
    };
    if version != RECORD_VERSION {
        return Err(unreadable(format!("its version {version} is not {RECORD_VERSION}")));
    }
    let transition = parsed.map_err(|error| unreadable(error.to_string()))?;
    Ok(Record { sequence, at: stored.at, bytes: stored.body.len(), headers: stored.headers, transition })
}

/// The transitions of a run behind a sequence, oldest first; all of them, or `most`.
pub(crate) async fn tail(
    parts: &Parts,
    place: &Place,
    behind: u64,
    most: Option<usize>,
) -> Result<Vec<Record>, StoreError> {
    let mut all = Vec::new();
    let mut from = behind + 1;
    loop {
        let batch = most.map_or(PAGE, |most| PAGE.min(most - all.len()));
        let page = parts.broker.scan(Scan::all(assets::RUNS, place.history(), batch).from(from)).await?;
        let is_last = page.len() < batch;
        for stored in page {
            from = stored.sequence + 1;
            all.push(read(stored)?);
        }
        if is_last || most == Some(all.len()) {
            return Ok(all);
        }
    }
}

/// The last message of a run's history, unread.
pub(crate) async fn last(parts: &Parts, place: &Place) -> Result<Option<Stored>, StoreError> {
    Ok(parts.broker.last(assets::RUNS.to_owned(), place.history()).await?)
}

/// Appends a transition behind the message `after` (0 for none).
pub(crate) async fn append(
    parts: &Parts,
    place: &Place,
    transition: &Transition,
    headers: Headers,
    after: u64,
) -> Result<Appended, StoreError> {
    let body: Bytes = serde_json::to_vec(transition).expect("a plain record always encodes").into();
    let message = Message::new(place.history(), body.clone()).with_headers(headers);
    let mut is_unsure = false;
    let mut tries = 0;
    loop {
        match parts.broker.publish(message.clone(), Expect::Last(after)).await {
            Ok(receipt) => return Ok(Appended::Ours { sequence: receipt.sequence, bytes: body.len() }),
            Err(PublishError::Conflict { .. }) if !is_unsure => return Ok(Appended::Conflict),
            Err(PublishError::Conflict { .. }) => {
                // What stands right behind is ours, or another's.
                let scan = Scan::all(assets::RUNS, place.history(), 1).from(after + 1);
                let found = parts.broker.scan(scan).await?.into_iter().next();
                match found {
                    Some(stored) if stored.body == body => {
                        return Ok(Appended::Ours { sequence: stored.sequence, bytes: body.len() });
                    }
                    Some(_) => return Ok(Appended::Conflict),
                    // A replica that is behind: it will know.
                    None if tries < TRIES => {}
                    None => return Ok(Appended::Conflict),
                }
            }
            Err(error @ PublishError::Unknown { .. }) if tries < TRIES => {
                is_unsure = true;
                tracing::debug!(run = %place.run, %error, "it is not known whether a transition stands");
            }
            Err(error) => return Err(StoreError::Write(error)),
        }
        tries += 1;
        tokio::time::sleep(AGAIN).await;
    }
}

/// The run's snapshot and its own sequence; `None` as well when this code cannot read it.
pub(crate) async fn snapshot<R: for<'de> Deserialize<'de>>(
    parts: &Parts,
    place: &Place,
) -> Result<Option<(Snapshot<R>, u64)>, StoreError> {
    let stored = parts.broker.last(assets::RUNS.to_owned(), place.snapshot()).await?;
    Ok(stored.and_then(|stored| match serde_json::from_slice::<Snapshot<R>>(&stored.body) {
        Ok(snapshot) => (snapshot.v == SNAPSHOT_VERSION).then_some((snapshot, stored.sequence)),
        Err(error) => {
            tracing::warn!(run = %place.run, %error, "snapshot cannot be read, its history is");
            None
        }
    }))
}

/// Writes a snapshot in place of the one at `before`; says its sequence and size. Only a courtesy: nothing depends on it.
pub(crate) async fn put_snapshot<R: Serialize>(
    parts: &Parts,
    place: &Place,
    snapshot: &Snapshot<R>,
    before: Option<u64>,
) -> Option<(u64, usize)> {
    let body = serde_json::to_vec(snapshot).ok().filter(|body| body.len() <= SNAPSHOT_BYTES)?;
    let bytes = body.len();
    match parts.broker.publish(Message::new(place.snapshot(), body), Expect::Any).await {
        Ok(receipt) => {
            if let Some(before) = before
                && let Err(error) = parts.broker.purge(assets::RUNS.to_owned(), Purge::Sequence(before)).await
            {
                tracing::debug!(run = %place.run, %error, "an old snapshot stays");
            }
            Some((receipt.sequence, bytes))
        }
        Err(error) => {
            tracing::debug!(run = %place.run, %error, "no snapshot was written");
            None
        }
    }
}

/// The headers of a run's start that are kept with its first transition: they are needed at its end, and by its tasks.
pub(crate) const ORIGIN: [&str; 5] = [name::REPLY, name::OUTCOME_TTL, name::TRACEPARENT, name::TRACESTATE, name::DEPTH];

/// How many runs stand above the one that began with these headers; what cannot be read is as deep as can be.
pub(crate) fn depth(headers: &Headers) -> u32 {
    headers.get(name::DEPTH).map_or(0, |text| text.parse().unwrap_or(u32::MAX))
}

/// Those of `headers` that are kept.
pub(crate) fn origin(headers: &Headers) -> Headers {
    headers
        .iter()
        .filter(|(key, _)| ORIGIN.iter().any(|kept| key.eq_ignore_ascii_case(kept)))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
