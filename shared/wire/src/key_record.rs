//! What is kept of a key that holds a task: who has it, and the task itself until the broker has taken it.
//!
//! A record is written under compare-and-set before its task is sent, and rewritten without the task once it is in its
//! queue: whoever finds it in between sends the very same task again, so that a submitter that dies loses nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nova_types::{OutcomeKind, Priority, Scope, Skill, TaskId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::blob::hex;
use crate::{Headers, Payload};

/// The longest key, in bytes: enough for a URL or two ids, little enough for millions of them.
const KEY_BYTES: usize = 256;
/// The longest key that stands in a subject as it is.
const PLAIN_BYTES: usize = 64;

/// A text that can be no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key has 1 to {KEY_BYTES} bytes and no control characters")]
pub struct InvalidKey;

/// What a submitter calls a task that must not be there twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubmitKey(String);

impl SubmitKey {
    /// Checks `text` and wraps it.
    ///
    /// # Errors
    /// [`InvalidKey`].
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidKey> {
        let text = text.into();
        let fits = (1..=KEY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text)) } else { Err(InvalidKey) }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as one token of a subject: itself where it is made of `A-Z a-z 0-9 _ -` and short, else `=` and 32 hex
    /// digits of its SHA-256.
    #[must_use]
    pub fn token(&self) -> String {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if self.0.len() <= PLAIN_BYTES && self.0.bytes().all(is_plain) {
            return self.0.clone();
        }
        format!("={}", &hex(&Sha256::digest(&self.0))[..32])
    }

    /// Where the record of an idempotency key is, in `nova-keys`.
    #[must_use]
    pub fn once(&self, skill: &Skill, scope: &Scope) -> String {
        format!("once.{skill}.{scope}.{}", self.token())
    }

    /// Where the record of a unique task is, in `nova-keys`.
    #[must_use]
    pub fn unique(&self, skill: &Skill, scope: &Scope) -> String {
        format!("unique.{skill}.{scope}.{}", self.token())
    }
}

/// The record of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The task that has the key.
    pub task: TaskId,
    /// What its input was, see [`KeyRecord::fingerprint`].
    pub input: String,
    /// For how long its outcome is kept, in seconds.
    pub outcome_kept_secs: u64,
    /// The task, until the broker has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsent: Option<Unsent>,
    /// Where it was put, once the broker has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// How it ended, where somebody saw that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// A task that may not have reached its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsent {
    /// Its priority.
    pub priority: Priority,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, in base64.
    pub body: String,
    /// When the record was first written, by the broker's clock, where somebody other than its writer saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<UnixMillis>,
}

/// Where a task was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The stream.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Its priority.
    pub priority: Priority,
    /// Whether it lies in a partition of a keyed skill.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyed: bool,
}

/// How a task ended, for after its outcome is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How.
    pub kind: OutcomeKind,
    /// When.
    pub finished: UnixMillis,
}

impl KeyRecord {
    /// What tells one input from another: the SHA-256 of its content type, a line break and its bytes, in hex digits.
    #[must_use]
    pub fn fingerprint(payload: &Payload) -> String {
        let hash = Sha256::new().chain_update(payload.content_type.as_str()).chain_update("\n");
        hex(&hash.chain_update(&payload.bytes).finalize())
    }
}

impl Unsent {
    /// Keeps a task.
    #[must_use]
    pub fn new(priority: Priority, headers: &Headers, body: &Bytes) -> Self {
        let headers = headers.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { priority, headers, body: STANDARD.encode(body), since: None }
    }

    /// Its headers.
    #[must_use]
    pub fn headers(&self) -> Headers {
        self.headers.iter().cloned().collect()
    }

    /// Its body; `None` when it is damaged.
    #[must_use]
    pub fn body(&self) -> Option<Bytes> {
        STANDARD.decode(&self.body).ok().map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_becomes_one_token() {
        let token = |text: &str| SubmitKey::new(text).expect("a key").token();
        assert_eq!(token("order-17_A"), "order-17_A");
        assert_eq!(token("order 17"), "=0bcc920e3938c1b86e3483fc9888c6d6");
        for odd in ["order 17", "a.b", "*", ">", "ä", "=x", &"k".repeat(65)] {
            let token = token(odd);
            assert!(token.len() == 33 && token.starts_with('='), "{odd:?} becomes {token}");
        }
        let skill = Skill::new("echo").expect("a skill");
        let key = SubmitKey::new("a").expect("a key");
        assert_eq!(key.once(&skill, &Scope::plain()), "once.echo._.a");
        assert_eq!(key.unique(&skill, &Scope::plain()), "unique.echo._.a");
        for bad in ["", "a\nb", &"k".repeat(257)] {
            assert_eq!(SubmitKey::new(bad), Err(InvalidKey), "{bad:?}");
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let headers = Headers::new().with("Nova-Timeout", "5s");
        let unsent = Unsent::new(Priority::High, &headers, &Bytes::from_static(b"\x81\xff"));
        assert_eq!((unsent.headers(), unsent.body()), (headers, Some(Bytes::from_static(b"\x81\xff"))));
        let record = KeyRecord {
            task: "a.b".parse().expect("an id"),
            input: KeyRecord::fingerprint(&Payload::json("1")),
            outcome_kept_secs: 86_400,
            unsent: None,
            sent: Some(Sent { stream: "S".into(), sequence: 7, priority: Priority::Normal, keyed: false }),
            ended: None,
        };
        let golden = r#"{"task":"a.b","input":"65a4492d014b4a77f830dcfcabdf24da89261df484ca4aee62a51a46eb02adae","outcome_kept_secs":86400,"sent":{"stream":"S","sequence":7,"priority":"normal"}}"#;
        assert_eq!(serde_json::to_string(&record).expect("encodes"), golden);
        assert_eq!(serde_json::from_str::<KeyRecord>(golden).expect("decodes"), record);
    }

    #[test]
    fn another_content_type_is_another_input() {
        let json = Payload::json("1");
        let pack = Payload { content_type: crate::ContentType::MsgPack, ..json.clone() };
        assert_ne!(KeyRecord::fingerprint(&json), KeyRecord::fingerprint(&pack));
    }
}
