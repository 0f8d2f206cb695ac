//! Ends messages whose headers no client can read.
//!
//! Whoever is delivered such a message loses its connection, so it is never settled and comes again for ever, taking down
//! one worker after the other. Only here can it be ended: it is read through the broker's JSON API, recorded as dead with
//! its bytes, and then deleted, exactly that message and no other.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nova_broker::{BrokerError, ConsumerInfo, Expect, Inspected, Message, PublishError, Purge, Stored};
use nova_engine::poison::{Cursor, Stretch, Walk};
use nova_runtime::Metric;
use nova_types::{Code, Skill, TaskId, codes};
use nova_wire::{Headers, Task, assets, subject};

use crate::Parts;
use crate::record::{Corpse, RecordError, bury};

/// How many messages of one consumer are looked at in a round: each is a round trip with the whole message.
const BUDGET: usize = 256;
/// The same while nothing has come again: what cannot be read will, and by then it is mostly the first.
const QUIET_BUDGET: usize = 16;
/// On a dead letter: the original header block as base64.
pub const RAW_HEADERS: &str = "Nova-Raw-Headers";
/// The longest block that is kept: with its base64 it stays well below the broker's limit for all headers.
const RAW_BYTES: usize = 24 * 1024;

/// Why a message could not be ended; the next round tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("could not look at the messages of {stream}")]
    Look {
        stream: String,
        #[source]
        source: BrokerError,
    },
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("could not write a cancel again")]
    Cancel(#[source] PublishError),
    #[error("could not delete message {sequence} of {stream}")]
    Delete {
        stream: String,
        sequence: u64,
        #[source]
        source: BrokerError,
    },
}

/// Looks for such messages, round after round.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    cursors: HashMap<(String, String), Cursor>,
}

impl Finder {
    /// Looks at what a consumer has out, and ends what nobody can read; says how many.
    pub(crate) async fn round(&mut self, parts: &Parts, consumer: &ConsumerInfo) -> Result<u64, Error> {
        let key = (consumer.spec.stream.clone(), consumer.spec.name.clone());
        if consumer.ack_pending == 0 {
            self.cursors.remove(&key);
            return Ok(0);
        }
        let cursor = self.cursors.entry(key).or_default();
        let stretch = Stretch { ack_floor: consumer.ack_floor, delivered: consumer.delivered };
        let mut ended = 0;
        let budget = if consumer.redelivered > 0 { BUDGET } else { QUIET_BUDGET };
        for walk in cursor.walks(stretch, budget).into_iter().filter(|walk| walk.most > 0) {
            let last = look(parts, consumer, walk, &mut ended).await?;
            cursor.advance(last);
        }
        Ok(ended)
    }
}

/// Walks, ending what is found; the last sequence looked at, `None` at the end of the stretch.
async fn look(parts: &Parts, consumer: &ConsumerInfo, walk: Walk, ended: &mut u64) -> Result<Option<u64>, Error> {
    let stream = &consumer.spec.stream;
    let mut from = walk.from;
    for _ in 0..walk.most {
        let found = parts.broker.inspect(stream.clone(), consumer.spec.filter.clone(), from).await;
        let found = found.map_err(|source| Error::Look { stream: stream.clone(), source })?;
        let Some(Inspected { stored, unreadable }) = found else { return Ok(None) };
        if stored.sequence > walk.to {
            return Ok(None);
        }
        from = stored.sequence + 1;
        if let Some(block) = unreadable {
            end(parts, stream, stored, &block).await?;
            *ended += 1;
        }
    }
    Ok(Some(from - 1))
}

async fn end(parts: &Parts, stream: &str, stored: Stored, block: &Bytes) -> Result<(), Error> {
    let sequence = stored.sequence;
    tracing::error!(stream, sequence, subject = stored.subject, "ending a message that no client can read");
    if stream == assets::CONTROL {
        return restate_cancel(parts, &stored).await;
    }
    let by_sequence = TaskId::from_sequence(sequence);
    let (skill, id) = match assets::skill_of_stream(stream) {
        Some(skill) => (skill, id_of(&stored)),
        None => {
            let skill = subject::parse_due(&stored.subject).map(|(skill, _)| skill);
            let unknown = || Skill::new("unknown").expect("the word is a skill's name");
            (skill.unwrap_or_else(unknown), by_sequence.clone())
        }
    };
    let corpse = corpse(stream, stored, block);
    let (code, why) = (Code::new(codes::BAD_HEADER), "its headers cannot be read by any client");
    // Under an id that has another end already it would be lost: then it goes under its sequence.
    if bury(parts, &skill, &id, &code, why, &corpse).await? && id != by_sequence {
        bury(parts, &skill, &by_sequence, &code, why, &corpse).await?;
    }
    nova_runtime::failpoint::hit("poison-buried");
    let deleted = parts.broker.purge(stream.to_owned(), Purge::Sequence(sequence)).await;
    deleted.map_err(|source| Error::Delete { stream: stream.to_owned(), sequence, source })?;
    parts.metrics.inc(Metric::TasksSwept, &[skill.as_str()]);
    Ok(())
}

/// A cancel is all in its subject: a clean one takes the place of the other, as its stream holds one for each task.
async fn restate_cancel(parts: &Parts, stored: &Stored) -> Result<(), Error> {
    let message = Message::new(stored.subject.clone(), Bytes::new());
    match parts.broker.publish(message, Expect::Last(stored.sequence)).await {
        Ok(_) | Err(PublishError::Conflict { .. }) => Ok(()),
        Err(error) => Err(Error::Cancel(error)),
    }
}

/// The id the task would have had, where it can be made out.
fn id_of(stored: &Stored) -> TaskId {
    match Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), Bytes::new()) {
        Ok(task) => task.id,
        Err(bad) => bad.id,
    }
}

fn corpse(stream: &str, stored: Stored, block: &Bytes) -> Corpse {
    // What could be made out may still not be what a header can carry.
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let mut headers: Headers = stored
        .headers
        .iter()
        .filter(|(name, value)| is_name(name) && !value.contains(char::is_control))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    headers.set(RAW_HEADERS, STANDARD.encode(&block[..block.len().min(RAW_BYTES)]));
    Corpse { stream: stream.to_owned(), sequence: stored.sequence, at: stored.at, headers, body: stored.body }
}

#[cfg(test)]
mod tests {
    use nova_types::UnixMillis;

    use super::*;

    fn stored(headers: Headers) -> Stored {
        let subject = "nova.task.echo".to_owned();
        Stored { subject, sequence: 7, at: UnixMillis(1), headers, body: Bytes::new() }
    }

    #[test]
    fn an_id_that_survived_is_kept() {
        let id = |value: &str| id_of(&stored(Headers::new().with("Nats-Msg-Id", value))).to_string();
        assert_eq!((id("cli.a"), id("cli.\u{fffd}")), ("cli.a".into(), "_seq.7".into()));
        assert_eq!(id_of(&stored(Headers::new())).to_string(), "_seq.7");
    }

    #[test]
    fn a_letter_carries_only_what_a_header_can() {
        let headers = Headers::new().with("A b", "1").with("Fine", "2").with("B\u{e9}", "3");
        let kept = corpse("S", stored(headers), &Bytes::from_static(b"NATS/1.0\r\nx")).headers;
        let names: Vec<&str> = kept.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Fine", RAW_HEADERS]);
        assert_eq!(kept.get(RAW_HEADERS), Some("TkFUUy8xLjANCng="));
    }
}
