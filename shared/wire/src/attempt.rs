//! What is known of a task's attempts: the last record on its attempt subject holds all of it.

use nova_types::{Code, UnixMillis, WorkerId};
use serde::{Deserialize, Serialize};

use crate::{BundleState, limits};

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who ran it.
    pub worker: WorkerId,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub finished: UnixMillis,
    /// Why it failed.
    pub code: Code,
    /// The same, for a person.
    pub message: String,
}

/// An attempt of a costly skill that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its number, from 1.
    pub attempt: u32,
    /// Who began it.
    pub worker: WorkerId,
    /// Which process of that name.
    pub nonce: String,
    /// When.
    pub at: UnixMillis,
}

/// Everything known of a task's attempts; each record replaces the one before, under compare-and-set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// How many attempts have failed.
    pub failed: u32,
    /// Those attempts, oldest first; in a long row the middle is dropped, never the first or the newest.
    #[serde(default)]
    pub failures: Vec<FailedAttempt>,
    /// The attempt of a costly skill that has begun and is not known to have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What an attempt left for the next, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
    /// Of a bundle: what of it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleState>,
    /// How often the task was snoozed or handed back.
    #[serde(default)]
    pub snoozes: u32,
    /// How many starts in a row have no known end; noted from the first that follows a lost worker.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unended: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl AttemptRecord {
    /// The number of the next attempt.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.failed.saturating_add(1)
    }

    /// Notes that the attempt under way came to a known end: its claim is over, and its worker was not lost.
    pub fn ended(&mut self) {
        self.claim = None;
        self.unended = 0;
    }

    /// Adds a failure and ends its claim.
    pub fn fail(&mut self, mut failure: FailedAttempt) {
        let short = limits::clip(&failure.message, limits::MESSAGE_BYTES).len();
        failure.message.truncate(short);
        self.failed = self.failed.max(failure.attempt);
        self.ended();
        self.failures.push(failure);
        while self.failures.len() > 2 && self.history_json().len() > limits::ATTEMPTS_HEADER_BYTES {
            self.failures.remove(self.failures.len() / 2);
        }
        // Even two can be too long, for an escaped character takes up to six times its room.
        let mut most = limits::MESSAGE_BYTES;
        while most > 0 && self.history_json().len() > limits::ATTEMPTS_HEADER_BYTES {
            most /= 2;
            for failure in &mut self.failures {
                let short = limits::clip(&failure.message, most).len();
                failure.message.truncate(short);
            }
        }
    }

    /// The failures as JSON, one line, at most [`limits::ATTEMPTS_HEADER_BYTES`] once the record has been kept short.
    #[must_use]
    pub fn history_json(&self) -> String {
        // A header is one line of ASCII: what JSON leaves as UTF-8 is escaped.
        let json = serde_json::to_string(&self.failures).expect("plain records always encode");
        let mut line = String::with_capacity(json.len());
        for c in json.chars() {
            if c.is_ascii() {
                line.push(c);
            } else {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    line.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(attempt: u32, message: &str) -> FailedAttempt {
        FailedAttempt {
            attempt,
            worker: WorkerId::new("w").expect("an id"),
            started: UnixMillis(1),
            finished: UnixMillis(2),
            code: Code::new("exit"),
            message: message.into(),
        }
    }

    #[test]
    fn a_long_history_keeps_its_ends_within_the_limit() {
        let mut record = AttemptRecord::default();
        for n in 1..=200 {
            record.fail(failure(n, &"é\n\"".repeat(200)));
        }
        assert_eq!((record.failed, record.next_attempt()), (200, 201));
        assert!(record.history_json().len() <= limits::ATTEMPTS_HEADER_BYTES);
        assert!(record.history_json().is_ascii());
        let numbers: Vec<u32> = record.failures.iter().map(|f| f.attempt).collect();
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&200)));
    }

    #[test]
    fn messages_that_grow_when_escaped_still_fit() {
        let mut record = AttemptRecord::default();
        for n in 1..=3 {
            record.fail(failure(n, &"\u{1}".repeat(4000)));
        }
        assert!(record.history_json().len() <= limits::ATTEMPTS_HEADER_BYTES, "{}", record.history_json().len());
        assert!(record.failures.iter().all(|failure| !failure.message.is_empty()));
    }

    #[test]
    fn a_record_of_a_later_version_can_be_read() {
        let record: AttemptRecord =
            serde_json::from_str(r#"{"failed":2,"later":true}"#).expect("unknown fields are passed over");
        assert_eq!(record.next_attempt(), 3);
    }
}
