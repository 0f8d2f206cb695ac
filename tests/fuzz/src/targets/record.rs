//! Records as JSON in the bodies of messages.

use nova_types::{Code, UnixMillis, WorkerId};
use nova_wire::{
    AttemptRecord, BlobMeta, ContentType, CronState, FailedAttempt, KeyRecord, Settled, TaskEventRecord, Unsent,
    WorkerRow, limits,
};

use super::{Bounds, Held, Target, holds, json_record, read, refused, same};

pub const ATTEMPTS: Target = Target {
    name: "attempts",
    about: "the record of attempts: written and read again it is the same, and one more attempt can always fail",
    run: attempts,
    words: &[
        "\"failed\":",
        "\"failures\":[",
        "\"attempt\":",
        "\"worker\":\"w\"",
        "\"started\":0",
        "\"finished\":0",
        "\"code\":\"error\"",
        "\"message\":\"",
        "\"claim\":{",
        "\"nonce\":",
        "\"at\":",
        "\"checkpoint\":",
        "\"bundle\":{",
        "\"ended\":\"0-9\"",
        "\"ends\":\"",
        "\"spared\":{\"1\":2}",
        "\"snoozes\":",
        "\"unended\":",
        "4294967295",
        "\\u0000",
    ],
    longest: 32 * 1024,
    tries: 1500,
    // A long history is written again for each failure that is left out of it.
    bounds: Bounds { held: (256 * 1024, 512), steps: (4096, 64) },
};

pub const KEY: Target = Target {
    name: "key-record",
    about: "the record of a submit's key: written and read again it is the same, its task with it",
    run: key,
    words: &[
        "\"task\":\"_.a\"",
        "\"input\":\"",
        "\"outcome_kept_secs\":",
        "\"unsent\":{",
        "\"priority\":\"high\"",
        "\"headers\":[[\"a\",\"b\"]]",
        "\"body\":\"",
        "\"since\":",
        "\"sent\":{",
        "\"stream\":",
        "\"sequence\":",
        "\"keyed\":true",
        "\"ended\":{\"kind\":\"dead\",\"finished\":1}",
        "18446744073709551615",
    ],
    longest: 8 * 1024,
    tries: 2000,
    bounds: Bounds::USUAL,
};

pub const EVENT: Target = Target {
    name: "event",
    about: "the event of a task: written and read again it is the same",
    run: |bytes| plain::<TaskEventRecord>(bytes),
    words: &[
        "\"kind\":\"started\"",
        "\"task\":\"_.a\"",
        "\"skill\":\"echo\"",
        "\"attempt\":",
        "\"worker\":",
        "\"at\":",
        "\"code\":",
        "\"message\":",
        "\"fraction\":0.1",
        "\"next_at\":",
        "null",
        "1e39",
    ],
    longest: 4096,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const PRESENCE: Target = Target {
    name: "presence",
    about: "what a worker says of itself: written and read again it is the same",
    run: |bytes| plain::<WorkerRow>(bytes),
    words: &[
        "\"worker\":\"w\"",
        "\"pid\":",
        "\"host\":",
        "\"skills\":[{\"name\":\"echo\",\"version\":\"1\"}]",
        "\"version\":",
        "\"slots\":",
        "\"running\":",
        "\"draining\":",
        "\"nonce\":",
        "\"started\":",
        "\"seen\":",
        "\"http\":",
        "\"labels\":{",
    ],
    longest: 4096,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const CRON: Target = Target {
    name: "cron-state",
    about: "how far a recurring schedule has come: written and read again it is the same",
    run: |bytes| plain::<CronState>(bytes),
    words: &["\"schedule\":", "\"firing\":", "\"next\":", "\"last\":", "\"left_out\":{\"from\":1,\"until\":2}", "null"],
    longest: 512,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const OBJECT: Target = Target {
    name: "object",
    about: "the object store's record: written and read again it is the same, however many chunks it says it has",
    run: |bytes| plain::<BlobMeta>(bytes),
    words: &[
        "\"name\":",
        "\"bucket\":",
        "\"nuid\":",
        "\"size\":",
        "\"chunks\":",
        "\"digest\":\"SHA-256=",
        "\"deleted\":true",
    ],
    longest: 1024,
    tries: 2500,
    bounds: Bounds::USUAL,
};

fn plain<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) -> Held {
    match json_record::<T>(bytes)? {
        Ok(_) => read("record"),
        Err(error) => refused(error),
    }
}

fn attempts(bytes: &[u8]) -> Held {
    let mut record: AttemptRecord = match json_record(bytes)? {
        Ok(record) => record,
        Err(error) => return refused(error),
    };
    let before = record.failed;
    let next = record.next_attempt();
    holds("the next attempt is another one", next > before || before == u32::MAX)?;
    if let Some(state) = &record.bundle {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let _ = Settled::read(state, content_type, None);
        }
    }
    let worker = WorkerId::new("fuzz").expect("a worker's name");
    let message = "\u{0}\u{1f980}".repeat(limits::MESSAGE_BYTES);
    record.fail(FailedAttempt {
        attempt: next,
        worker,
        started: UnixMillis(i64::MIN),
        finished: UnixMillis(i64::MAX),
        code: Code::new("error"),
        message,
    });
    let line = record.history_json();
    holds("a failed attempt counts", record.failed >= before && record.claim.is_none())?;
    holds("the history is one line of a header", line.is_ascii() && !line.contains(['\r', '\n']))?;
    holds("the history fits into its header", line.len() <= limits::ATTEMPTS_HEADER_BYTES)?;
    let again: Vec<FailedAttempt> =
        serde_json::from_str(&line).map_err(|error| format!("a history written: {error}"))?;
    same("a history written", &again, &record.failures)?;
    read(format!("{} failures, {}", record.failures.len().min(4), record.bundle.is_some()))
}

fn key(bytes: &[u8]) -> Held {
    let record: KeyRecord = match json_record(bytes)? {
        Ok(record) => record,
        Err(error) => return refused(error),
    };
    let Some(unsent) = record.unsent else { return read("sent") };
    let Some(body) = unsent.body() else { return read("damaged") };
    let again = Unsent { since: unsent.since, ..Unsent::new(unsent.priority, &unsent.headers(), &body) };
    same("the headers of a task that is kept", &again.headers, &unsent.headers)?;
    same("its body", &again.body(), &Some(body))?;
    read("unsent")
}
