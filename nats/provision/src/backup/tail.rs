//! What was written to a stream while its snapshot was taken, for streams from which messages go as others come.
//!
//! Of a key that is written anew meanwhile the old value is gone before the snapshot comes to it, and the new one is
//! behind its end. So what stands behind the end is read afterwards, and written again after a restore. Of a schedule that
//! fires meanwhile only the due task is left; it is kept as the schedule that it was, which fires as soon as it is back.
//! Written as lines of JSON: there are few, and a person can read them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nova_broker::{Broker, BrokerError, Expect, Inspected, Message, PublishError, Scan, Stored, StreamInfo};
use nova_wire::{Headers, assets, format_rfc3339, name, subject};
use serde::{Deserialize, Serialize};

/// What the streams of buckets are called.
const BUCKETS: &str = "KV_";
/// How the broker says that a schedule is gone now that it has fired.
const ONCE: &str = "purge";
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
    let is_schedules = info.spec.name == assets::SCHEDULES;
    let subject = if is_schedules { Some(subject::ALL_DUE) } else { info.spec.subjects.first().map(String::as_str) };
    let Some(subject) = subject else { return Ok(lines) };
    let mut from = behind + 1;
    loop {
        let page = match info.spec.name.starts_with(BUCKETS) {
            true => broker.scan(Scan::all(&*info.spec.name, subject, PAGE).from(from)).await?,
            // Anybody may cancel, with headers that no client can read; a cancel is all in its subject.
            false => {
                let found = broker.inspect(info.spec.name.clone(), subject.to_owned(), from).await?;
                let readable = |one: Inspected| match one.unreadable {
                    None => one.stored,
                    Some(_) => Stored { headers: Headers::new(), ..one.stored },
                };
                found.map(readable).into_iter().collect()
            }
        };
        let Some(last) = page.last() else { return Ok(lines) };
        from = last.sequence + 1;
        let kept = page.into_iter().filter_map(|stored| if is_schedules { unfired(stored) } else { Some(stored) });
        for stored in kept {
            lines += &write_line(stored);
            lines.push('\n');
        }
    }
}

/// The schedule of which a due task came; `None` for a recurring one, which stays and fires again.
fn unfired(mut due: Stored) -> Option<Stored> {
    if due.headers.get(name::SCHEDULE_NEXT) != Some(ONCE) {
        return None;
    }
    let schedule = due.headers.get(name::SCHEDULER)?.to_owned();
    for header in [name::SCHEDULE_NEXT, name::SCHEDULER] {
        due.headers.remove(header);
    }
    due.headers.set(name::SCHEDULE, format!("@at {}", format_rfc3339(due.at)));
    due.headers.set(name::SCHEDULE_TARGET, due.subject);
    Some(Stored { subject: schedule, ..due })
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

/// Writes the messages of a stream again.
pub(super) async fn write(broker: &dyn Broker, stream: &str, messages: Vec<Message>) -> Result<(), PublishError> {
    // A schedule that the snapshot did come to stands already.
    let expect = if stream == assets::SCHEDULES { Expect::NOTHING } else { Expect::Any };
    for message in messages {
        match broker.publish(message, expect).await {
            Ok(_) => {}
            Err(PublishError::Conflict { .. }) if expect == Expect::NOTHING => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nova_broker::memory::MemoryBroker;
    use nova_types::UnixMillis;

    use super::*;
    use crate::{ApplyOptions, Catalogue, Options, Profile, apply, desired};

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

    #[test]
    fn a_schedule_that_fired_once_is_kept_as_it_was_and_a_recurring_one_is_not() {
        let due = |next: &str| Stored {
            subject: "nova.due.echo.high".into(),
            sequence: 9,
            at: UnixMillis(1_796_000_000_000),
            headers: Headers::new()
                .with("Nats-Scheduler", "nova.schedule.echo.s.later")
                .with("Nats-Schedule-Next", next)
                .with("Nova-Id", "s.later"),
            body: bytes_of("1"),
        };
        assert_eq!(unfired(due("2026-11-30T00:53:22Z")), None);
        let kept = unfired(due("purge")).expect("it fires once");
        assert_eq!(kept.subject, "nova.schedule.echo.s.later");
        let headers: Vec<_> = kept.headers.iter().collect();
        let at = ("Nats-Schedule", "@at 2026-11-30T00:53:20.000Z");
        assert_eq!(headers, [("Nova-Id", "s.later"), at, ("Nats-Schedule-Target", "nova.due.echo.high")]);
    }

    async fn provisioned() -> MemoryBroker {
        let broker = MemoryBroker::new();
        let options = Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) };
        let wanted = desired(&Catalogue::built_in(), options);
        apply(&broker, &wanted, ApplyOptions::default(), |_| {}).await.expect("applied");
        broker
    }

    async fn due(broker: &MemoryBroker) -> Vec<Stored> {
        let until = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let found = broker.scan(Scan::all(assets::SCHEDULES, subject::ALL_DUE, 10)).await.expect("read");
            if !found.is_empty() || tokio::time::Instant::now() > until {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_fired_between_two_moments_of_a_pack_fires_on_the_other_broker() {
        let (old, new) = (provisioned().await, provisioned().await);
        let headers = Headers::new()
            .with(name::SCHEDULE, "@at 2020-01-01T00:00:00Z")
            .with(name::SCHEDULE_TARGET, "nova.due.echo.normal")
            .with(name::ID, "s.later");
        let schedule = Message::new("nova.schedule.echo.s.later", "1").with_headers(headers);
        old.publish(schedule, Expect::NOTHING).await.expect("stored");
        assert_eq!(due(&old).await.len(), 1);
        let info = old.stream(assets::SCHEDULES.to_owned()).await.expect("read").expect("it is there");
        // As if the pack had ended behind the schedule, which was gone before it came to it.
        let lines = read(&old, &info, 1).await.expect("read");
        let messages: Vec<Message> = lines.lines().map(|line| parse_line(line).expect("a line")).collect();
        assert_eq!(messages.len(), 1, "{lines}");
        write(&new, assets::SCHEDULES, messages).await.expect("written");
        let fired = due(&new).await;
        assert_eq!(fired.len(), 1);
        assert_eq!((fired[0].headers.get(name::ID), &fired[0].body[..]), (Some("s.later"), &b"1"[..]));
    }
}
