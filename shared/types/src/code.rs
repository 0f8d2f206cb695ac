//! Error codes: short words that people search for and programs match on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A code of an error or a dead letter, `[a-z0-9_]{1,48}`; what a skill gives is made to fit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Code(String);

impl Code {
    /// Makes a code: letters are lowered, anything outside `[a-z0-9_]` becomes `_`, an empty one `error`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let made: String = text
            .chars()
            .take(48)
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
            .collect();
        Self(if made.is_empty() { codes::ERROR.into() } else { made })
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Code {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<&str> for Code {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> String {
        code.0
    }
}

/// The codes Nova itself gives; docs/protocol.md says what to do about each.
pub mod codes {
    /// A skill failed without naming a code.
    pub const ERROR: &str = "error";
    /// A skill's code panicked.
    pub const PANIC: &str = "panic";
    /// An attempt ran longer than its timeout.
    pub const TIMEOUT: &str = "timeout";
    /// The task's deadline passed.
    pub const EXPIRED: &str = "expired";
    /// The task was cancelled.
    pub const CANCELLED: &str = "cancelled";
    /// The body is not what its content type or the skill's input says.
    pub const BAD_INPUT: &str = "bad_input";
    /// The body of a bundle is not a list of as many items as its header says.
    pub const BAD_BUNDLE: &str = "bad_bundle";
    /// Items of a bundle failed for different causes.
    pub const ITEMS_FAILED: &str = "items_failed";
    /// A Nova header is malformed or repeated.
    pub const BAD_HEADER: &str = "bad_header";
    /// The task's id is malformed or reserved.
    pub const BAD_ID: &str = "bad_id";
    /// The content type is neither JSON nor MessagePack.
    pub const BAD_CONTENT_TYPE: &str = "bad_content_type";
    /// The task asks for a wire version this worker does not know.
    pub const BAD_VERSION: &str = "bad_version";
    /// The task asks for something its skill is not provisioned for, such as a key.
    pub const UNSUPPORTED: &str = "unsupported";
    /// A body or a header is larger than the limit.
    pub const TOO_LARGE: &str = "too_large";
    /// A body is nested deeper than the limit.
    pub const TOO_DEEP: &str = "too_deep";
    /// A referenced blob is missing, or its size or hash differ.
    pub const BAD_BLOB: &str = "bad_blob";
    /// The task took its workers down time and again.
    pub const POISON: &str = "poison";
    /// A redelivery older than the time outcomes are kept: its outcome can no longer be known.
    pub const STALE: &str = "stale";
    /// A costly task's attempt began and nobody knows how it ended.
    pub const INTERRUPTED: &str = "interrupted";
    /// The result could not be encoded or stored.
    pub const BAD_RESULT: &str = "bad_result";
    /// The key is missing, malformed, or not the one in the subject.
    pub const BAD_KEY: &str = "bad_key";
    /// A subject of the task streams that names no queue.
    pub const BAD_SUBJECT: &str = "bad_subject";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_makes_a_code() {
        for (text, code) in [("Exit", "exit"), ("", "error"), ("a b\n\"c", "a_b__c"), ("http_404", "http_404")] {
            assert_eq!(Code::new(text).as_str(), code);
        }
        assert_eq!(Code::new(&"x".repeat(100)).as_str().len(), 48);
    }
}
