//! What was written to a stream while its snapshot was taken, for streams that keep one message of a subject.
//!
//! Of a key that is written anew meanwhile the old value is gone before the snapshot comes to it, and the new one is
//! behind its end. So what stands behind the end is read afterwards, and written again after a restore. Written as lines
//! of JSON: there are few, and a person can read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nova_broker::{Broker, BrokerError, Expect, Inspected, Message, PublishError, Scan, Stored, StreamInfo};
use nova_wire::{Headers, name};
use serde::{Deserialize, Serialize};

/// What the streams of buckets are called.
const BUCKETS: &str = "KV_";
/// How many are read at once.
const PAGE: usize = 1_000;
/// How a message says what its subject had to hold when it was first written; that no longer counts.
const EXPECTED: &str = "Nats-Expected-";
/// What the broker writes in place of a key that expired.
const MARKER: &str = "Nats-Marker-Reason";
/// What a client writes in place of a key that it deletes.
const OPERATION: &str = "KV-Operation";

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    subject: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Every message of a stream behind a sequence, as lines; empty when there is none.
pub(super) async fn read(broker: &dyn Broker, info: &StreamInfo, behind: u64) -> Result<String, BrokerError> {
    let mut lines = String::new();
    let Some(subject) = info.spec.subjects.first() else { return Ok(lines) };
    let mut from = behind + 1;
    loop {
        let page = match info.spec.name.starts_with(BUCKETS) {
            true => broker.scan(Scan::all(&*info.spec.name, &**subject, PAGE).from(from)).await?,
            // Anybody may cancel, with headers that no client can read; a cancel is all in its subject.
            false => {
                let found = broker.inspect(info.spec.name.clone(), subject.clone(), from).await?;
                let readable = |one: Inspected| match one.unreadable {
                    None => one.stored,
                    Some(_) => Stored { headers: Headers::new(), ..one.stored },
                };
                found.map(readable).into_iter().collect()
            }
        };
        let Some(last) = page.last() else { return Ok(lines) };
        from = last.sequence + 1;
        for stored in page {
            lines += &write_line(stored);
            lines.push('\n');
        }
    }
}

fn write_line(stored: Stored) -> String {
    let headers = stored.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let line = Line { subject: stored.subject, headers, body: STANDARD.encode(stored.body) };
    serde_json::to_string(&line).expect("a line has text keys only")
}

/// The message of a line, as it is to be written again.
pub(super) fn parse_line(text: &str) -> Result<Message, serde_json::Error> {
    let line: Line = serde_json::from_str(text)?;
    let body = STANDARD.decode(line.body).map_err(serde::de::Error::custom)?;
    let mut headers: Headers = line.headers.into_iter().collect();
    headers.retain(|name| !name.starts_with(EXPECTED));
    // The dedupe window would take it for a copy of what the snapshot brought.
    headers.remove(name::MSG_ID);
    if headers.get(MARKER).is_some() {
        headers.remove(MARKER);
        headers.set(OPERATION, "DEL");
    }
    Ok(Message::new(line.subject, body).with_headers(headers))
}

/// Writes the messages again.
pub(super) async fn write(broker: &dyn Broker, messages: Vec<Message>) -> Result<(), PublishError> {
    for message in messages {
        broker.publish(message, Expect::Any).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nova_types::UnixMillis;

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expect: &[(&str, &str)]) {
        let headers = headers.iter().fold(Headers::new(), |all, (name, value)| all.with(name, *value));
        let stored = Stored {
            subject: "$KV.nova-keys.a".into(),
            sequence: 7,
            at: UnixMillis(1),
            headers,
            body: bytes_of("\u{0}\n1"),
        };
        let line = write_line(stored);
        assert!(!line.contains('\n'));
        let message = parse_line(&line).expect("a line");
        assert_eq!((&*message.subject, &message.body[..]), ("$KV.nova-keys.a", &b"\0\n1"[..]));
        assert_eq!(message.headers.iter().collect::<Vec<_>>(), expect);
    }

    fn bytes_of(text: &str) -> bytes::Bytes {
        bytes::Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn a_message_is_written_again_without_what_held_only_then() {
        check(&[("Nats-TTL", "30s"), ("Nats-Rollup", "sub")], &[("Nats-TTL", "30s"), ("Nats-Rollup", "sub")]);
        check(&[("Nats-Expected-Last-Subject-Sequence", "3"), ("Nats-Msg-Id", "x"), ("Mine", "1")], &[("Mine", "1")]);
        check(&[("Nats-Marker-Reason", "MaxAge")], &[("KV-Operation", "DEL")]);
    }
}
