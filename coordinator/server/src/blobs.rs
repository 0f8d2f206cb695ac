//! Deletes payloads of the object store that nothing names any more.
//!
//! The rule is on the safe side. A result (`out-`) goes a day after its outcome must have aged out. An input (`in-`) goes
//! a day after outcome and dead letter must have aged out, and only when no waiting or running task and no schedule names
//! it. What a run keeps (`run-`) goes a day after it was stored at the earliest, and never before its run. Other objects
//! are not Nova's and stay.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use nova_broker::{BlobError, Blobs, BrokerError, Scan};
use nova_runtime::Metric;
use nova_wire::{BlobMeta, BlobRef, Headers, assets, name, subject};

use crate::Parts;
use crate::queues;
use crate::run::shelf;

/// How long an orphan stays.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);
/// How many messages are looked at for names before a round is given up as too dear.
const LOOKED_AT: usize = 20_000;
/// How many objects one round looks at.
const OBJECTS: usize = 5_000;

/// Why the store was not looked through.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not read what names payloads")]
    Read(#[from] BrokerError),
    #[error("could not delete a payload")]
    Delete(#[from] BlobError),
}

/// How far rounds have come: the store may hold more than one looks at.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    from: u64,
}

/// One round.
pub(crate) async fn expire(parts: &Parts, walk: &mut Walk) -> Result<(), Error> {
    let Some(outcomes) = kept(parts, assets::OUTCOMES).await? else { return Ok(()) };
    let Some(dead) = kept(parts, assets::DEAD).await? else { return Ok(()) };
    let [_, metas] = BlobMeta::space();
    let stream = assets::object_stream(assets::BLOBS_BUCKET);
    let now = parts.clock.now();
    let (mut results, mut inputs) = (Vec::new(), Vec::new());
    let mut runs = HashMap::new();
    for _ in 0..OBJECTS {
        let found = match parts.broker.inspect(stream.clone(), metas.clone(), walk.from.max(1)).await {
            Ok(Some(found)) => found.stored,
            Ok(None) | Err(BrokerError::NotFound { .. }) => {
                walk.from = 1;
                break;
            }
            Err(error) => return Err(error.into()),
        };
        walk.from = found.sequence + 1;
        let Some(object) = BlobMeta::name_of_subject(&found.subject) else { continue };
        let age = now.since(found.at);
        if object.starts_with("out-") && age > outcomes + ORPHAN_AGE {
            results.push(object);
        } else if object.starts_with("in-") && age > outcomes.max(dead) + ORPHAN_AGE {
            inputs.push(object);
        } else if let Some(run) = shelf::owner(&object).filter(|_| age > ORPHAN_AGE) {
            let is_kept = match runs.get(&run) {
                Some(is_kept) => *is_kept,
                None => {
                    let history = Scan::all(assets::RUNS, subject::run_of_any_partition(&run), 1);
                    let is_kept = !parts.broker.scan(history).await?.is_empty();
                    runs.insert(run, is_kept);
                    is_kept
                }
            };
            if !is_kept {
                results.push(object);
            }
        }
    }
    if !inputs.is_empty() {
        match named(parts).await? {
            Some(named) => inputs.retain(|object| !named.contains(object)),
            None => {
                tracing::warn!(objects = inputs.len(), "old payloads stay: too much waits to know what names them");
                inputs.clear();
            }
        }
    }
    let blobs = Blobs::new(parts.broker.clone());
    for object in results.into_iter().chain(inputs) {
        blobs.delete(&object).await?;
        parts.metrics.inc(Metric::BlobsExpired, &[]);
        tracing::info!(object, "payload expired");
    }
    Ok(())
}

/// How long a stream keeps a record; `None` when for ever.
async fn kept(parts: &Parts, stream: &str) -> Result<Option<Duration>, BrokerError> {
    let info = parts.broker.stream(stream.to_owned()).await?;
    Ok(info.map(|info| info.spec.max_age).filter(|age| !age.is_zero()))
}

/// The objects that open tasks and schedules name; `None` when there is too much to look at.
async fn named(parts: &Parts) -> Result<Option<HashSet<String>>, BrokerError> {
    let mut names = HashSet::new();
    let mut left = LOOKED_AT;
    let mut stretches = vec![(assets::SCHEDULES.to_owned(), subject::SCHEDULE_SPACE.to_owned(), 1)];
    stretches.push((assets::SCHEDULES.to_owned(), subject::DUE_SPACE.to_owned(), 1));
    for (skill, _) in queues::all(&parts.broker).await? {
        let lanes = queues::lanes(&parts.broker, &skill).await?;
        let open =
            lanes.into_iter().map(|lane| (lane.info.spec.stream, lane.info.spec.filter, lane.info.ack_floor + 1));
        stretches.extend(open);
    }
    for (stream, subject, mut from) in stretches {
        while let Some(found) = parts.broker.inspect(stream.clone(), subject.clone(), from).await? {
            from = found.stored.sequence + 1;
            names.extend(name_in(&found.stored.headers));
            left -= 1;
            if left == 0 {
                return Ok(None);
            }
        }
    }
    Ok(Some(names))
}

fn name_in(headers: &Headers) -> Option<String> {
    BlobRef::parse(headers.get(name::BLOB)?).ok().map(|blob| blob.name)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use nova_broker::memory::MemoryBroker;
    use nova_broker::{Broker as _, Expect, Message};
    use nova_provision::{ApplyOptions, Catalogue, Options, Profile, apply, desired};
    use nova_runtime::ManualClock;
    use nova_types::{UnixMillis, WorkerId};

    use super::*;

    async fn left(parts: &Parts) -> Vec<String> {
        let [_, metas] = BlobMeta::space();
        let scan = nova_broker::Scan::all(assets::object_stream(assets::BLOBS_BUCKET), metas, 100);
        let stored = parts.broker.scan(scan).await.expect("readable");
        let mut names: Vec<String> = stored.iter().filter_map(|s| BlobMeta::name_of_subject(&s.subject)).collect();
        names.sort();
        names
    }

    const KEPT: &str = "run-kept-0123456789abcdef";
    const GONE: &str = "run-gone-0123456789abcdef";

    #[tokio::test]
    async fn only_old_payloads_that_nothing_names_expire() {
        let memory = MemoryBroker::new();
        let catalogue = Catalogue::parse("tests", "echo = {}").expect("a catalogue");
        let options = Options { profile: Profile::Fast, now: UnixMillis(1) };
        apply(&memory, &desired(&catalogue, options), ApplyOptions::default(), |_| {}).await.expect("provisioned");
        let blobs = Blobs::new(Arc::new(memory.clone()));
        let mut refs = Vec::new();
        for name in ["in-task", "in-schedule", "in-orphan", "out-a", "mine", KEPT, GONE] {
            refs.push(blobs.put(name, &Bytes::from_static(b"x")).await.expect("stored"));
        }
        let task =
            Message::new("nova.task.echo.low", "").with_headers(Headers::new().with(name::BLOB, refs[0].to_header()));
        memory.publish(task, Expect::Any).await.expect("stored");
        let later = Headers::new()
            .with(name::BLOB, refs[1].to_header())
            .with(name::SCHEDULE, "@every 9999h")
            .with(name::SCHEDULE_TARGET, "nova.due.echo.low");
        let later = Message::new("nova.schedule.echo.a.b", "").with_headers(later);
        memory.publish(later, Expect::Any).await.expect("stored");
        memory.publish(Message::new("nova.run.0.kept", "{}"), Expect::Any).await.expect("stored");
        let clock = ManualClock::at(memory.now().plus(Duration::from_secs(3600)));
        let mut parts = Parts::new(Arc::new(memory.clone()), WorkerId::new("c").expect("a name"));
        parts.clock = clock.clone();
        expire(&parts, &mut Walk::default()).await.expect("looked through");
        assert_eq!(left(&parts).await.len(), 7);
        clock.advance(Duration::from_secs(3 * 24 * 3600));
        expire(&parts, &mut Walk::default()).await.expect("looked through");
        assert_eq!(left(&parts).await, ["in-orphan", "in-schedule", "in-task", "mine", KEPT]);
        clock.advance(Duration::from_secs(40 * 24 * 3600));
        expire(&parts, &mut Walk::default()).await.expect("looked through");
        assert_eq!(left(&parts).await, ["in-schedule", "in-task", "mine", KEPT]);
    }
}
