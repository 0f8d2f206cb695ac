//! What the last release wrote is read by this tree: messages of each kind, captured from its own processes
//! (`nova-chaos --upgrade --capture FILE`).

use std::collections::BTreeMap;

use bytes::Bytes;
use nova_chaos::order::{Answer, Order};
use nova_chaos::upgrade::capture::Captured;
use nova_types::{OutcomeKind, WorkerId};
use nova_wire::{
    AttemptRecord, BlobMeta, BlobRef, ContentType, DeadLetter, ErrorBody, Headers, Payload, Task, TaskEventRecord,
    WorkerRow, assets, name, parse_outcome, subject, write_outcome,
};

const RELEASED: [(&str, &str); 1] = [("0.1.0", include_str!("../released/0.1.0.jsonl"))];

/// Every message of a stream, or of a space of its subjects.
fn messages(of: &str, space: &str) -> Vec<(Captured, Headers, Bytes)> {
    let lines = RELEASED.iter().flat_map(|(_, text)| text.lines());
    let all = lines.map(|line| serde_json::from_str::<Captured>(line).expect("a captured message"));
    let wanted = all.filter(|message| message.stream == of && message.subject.starts_with(space));
    let found: Vec<_> = wanted
        .map(|message| {
            let headers = message.headers.iter().cloned().collect();
            let body = message.text.clone().map_or_else(|| Bytes::from(message.bytes.clone()), Bytes::from);
            (message, headers, body)
        })
        .collect();
    assert!(!found.is_empty(), "nothing of {of} {space} was captured");
    found
}

fn payload(headers: &Headers, body: Bytes) -> Payload {
    let text = headers.get(name::CONTENT_TYPE).unwrap_or("application/json");
    Payload { content_type: ContentType::from_media_type(text).expect("a content type"), bytes: body }
}

/// Reads JSON as a record, and holds what is written of that record against the JSON.
fn goes_both_ways<T: serde::de::DeserializeOwned + serde::Serialize>(body: &[u8]) -> T {
    let record: T = serde_json::from_slice(body).expect("the record is read");
    let (was, is): (serde_json::Value, serde_json::Value) =
        (serde_json::from_slice(body).expect("JSON"), serde_json::to_value(&record).expect("JSON"));
    assert_eq!(is, was, "nothing of it is lost");
    record
}

#[test]
fn its_tasks_are_read() {
    let (mut kinds, mut types) = (BTreeMap::new(), BTreeMap::new());
    for (message, headers, body) in messages("NOVA_TASKS_chaos", "nova.task.") {
        let task = Task::parse(&message.subject, message.sequence, headers.clone(), body).expect("a task");
        assert_eq!(task.skill.as_str(), "chaos");
        assert!(task.id.scope().as_str() == "old" || task.id.scope().as_str().starts_with('s'), "{}", task.id);
        *types.entry(task.payload.content_type.as_str()).or_insert(0) += 1;
        let kind = match (&task.blob, task.is_republished) {
            (Some(blob), _) => {
                assert_eq!(blob.to_header(), headers.get(name::BLOB).expect("a blob's header"));
                "large"
            }
            (None, true) => "republished",
            (None, false) => "plain",
        };
        // Some are no orders, on purpose.
        if task.blob.is_some() || task.payload.decode::<Order>().is_ok() {
            *kinds.entry(kind).or_insert(0) += 1;
        }
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["large", "plain", "republished"], "{kinds:?}");
    assert_eq!(types.len(), 2, "{types:?}");
}

#[test]
fn its_outcomes_are_read() {
    let mut kinds = BTreeMap::new();
    for (message, headers, body) in messages(assets::OUTCOMES, "nova.outcome.") {
        let header = headers.get(name::OUTCOME).expect("an outcome's header");
        let outcome = parse_outcome(header).expect("an outcome");
        assert_eq!(write_outcome(&outcome), header, "nothing of it is lost");
        assert_eq!(subject::parse_outcome(&message.subject), Some((outcome.skill.clone(), outcome.task.clone())));
        let payload = payload(&headers, body);
        match outcome.kind {
            OutcomeKind::Completed if headers.get(name::BLOB).is_some() => {
                BlobRef::parse(headers.get(name::BLOB).unwrap_or_default()).expect("where its result is");
            }
            OutcomeKind::Completed => drop(payload.decode::<Answer>().expect("a result")),
            OutcomeKind::Dead => {
                let error: ErrorBody = payload.decode().expect("an error");
                assert_eq!(Some(error.code), outcome.code);
            }
            OutcomeKind::Cancelled => {}
        }
        *kinds.entry(outcome.kind.as_str()).or_insert(0) += 1;
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["cancelled", "completed", "dead"], "{kinds:?}");
}

#[test]
fn its_dead_letters_are_read() {
    for (message, headers, body) in messages(assets::DEAD, "nova.dead.") {
        let letter = DeadLetter::parse(&headers, body).expect("a dead letter");
        assert_eq!(subject::parse_dead(&message.subject), Some((letter.skill.clone(), letter.task.clone())));
        assert_eq!(letter.stream, "NOVA_TASKS_chaos");
        assert_eq!(letter.attempts_listed().failures.len(), letter.attempts as usize, "{message:?}");
        let again = letter.to_headers();
        for (name, value) in headers.iter().filter(|(name, _)| !name.starts_with("Nats-")) {
            assert_eq!(again.get(name), Some(value), "{name}");
        }
    }
}

#[test]
fn its_notes_of_attempts_are_read() {
    let mut has_checkpoint = false;
    for (message, _, body) in messages(assets::ATTEMPTS, "nova.attempt.") {
        let record: AttemptRecord = goes_both_ways(&body);
        assert!(subject::parse_attempt(&message.subject).is_some());
        assert!(record.failed > 0 || record.snoozes > 0 || record.checkpoint.is_some(), "{record:?}");
        has_checkpoint |= record.checkpoint.is_some();
    }
    assert!(has_checkpoint);
}

#[test]
fn its_events_are_read() {
    let mut kinds = BTreeMap::new();
    for (message, _, body) in messages(assets::EVENTS, "nova.event.task.") {
        let event: TaskEventRecord = goes_both_ways(&body);
        assert_eq!(message.subject, subject::task_event(event.kind.as_str(), &event.skill, &event.task));
        *kinds.entry(event.kind.as_str()).or_insert(0) += 1;
    }
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["cancelled", "dead", "fenced", "retried"], "{kinds:?}");
}

#[test]
fn its_cancels_and_schedules_are_read() {
    for (message, ..) in messages(assets::CONTROL, "nova.control.cancel.") {
        assert!(subject::parse_cancel(&message.subject).is_some(), "{}", message.subject);
    }
    for (message, ..) in messages(assets::SCHEDULES, "nova.schedule.") {
        assert!(subject::parse_schedule(&message.subject).is_some(), "{}", message.subject);
    }
}

#[test]
fn its_presence_leadership_and_blobs_are_read() {
    for (message, _, body) in messages(&assets::bucket_stream(assets::WORKERS_BUCKET), "$KV.") {
        let row: WorkerRow = goes_both_ways(&body);
        assert_eq!(message.subject, subject::presence(&row.worker));
        assert_eq!(row.version, "0.1.0");
    }
    let leader = subject::bucket_key(assets::CONFIG_BUCKET, "leader");
    for (.., body) in messages(&assets::bucket_stream(assets::CONFIG_BUCKET), &leader) {
        WorkerId::new(std::str::from_utf8(&body).expect("a name")).expect("a coordinator's name");
    }
    for (message, _, body) in messages("OBJ_nova-blobs", "$O.nova-blobs.M.") {
        let meta: BlobMeta = serde_json::from_slice(&body).expect("the record of an object");
        assert_eq!(BlobMeta::subject(&meta.name), message.subject);
    }
}
