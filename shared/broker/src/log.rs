//! Streams as append-only logs with compare-and-set.

use bytes::Bytes;
use nova_types::UnixMillis;
use nova_wire::Headers;

/// What a subject must hold for a publish to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// Anything.
    #[default]
    Any,
    /// As its last message the one with this sequence; 0 means none at all.
    Last(u64),
}

impl Expect {
    /// Nothing may have been written there.
    pub const NOTHING: Self = Self::Last(0);
}

/// The broker's receipt: the message is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The stream that took it.
    pub stream: String,
    /// Its sequence there; of the first copy when it is a duplicate.
    pub sequence: u64,
    /// Whether its dedupe key was seen before, so that this copy was not stored.
    pub is_duplicate: bool,
}

/// A message read back from a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its subject.
    pub subject: String,
    /// Its sequence.
    pub sequence: u64,
    /// When the broker stored it, by the broker's clock.
    pub at: UnixMillis,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
}

/// A message looked at with its bytes as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The message; of headers that no client can read, only what could be made out.
    pub stored: Stored,
    /// Its header block, when no client can read it: whoever is delivered the message loses its connection.
    pub unreadable: Option<Bytes>,
}

/// Which messages to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The stream.
    pub stream: String,
    /// A subject, wildcards allowed.
    pub subject: String,
    /// The first sequence that counts.
    pub from: u64,
    /// The most messages to return; the broker itself gives 1,000 at most at a time.
    pub limit: usize,
    /// Only the last message of every subject.
    pub last_per_subject: bool,
}

impl Scan {
    /// Every message of `subject`, oldest first.
    #[must_use]
    pub fn all(stream: impl Into<String>, subject: impl Into<String>, limit: usize) -> Self {
        Self { stream: stream.into(), subject: subject.into(), from: 1, limit, last_per_subject: false }
    }

    /// The last message of every subject that matches.
    #[must_use]
    pub fn last_of_each(stream: impl Into<String>, subject: impl Into<String>, limit: usize) -> Self {
        Self { last_per_subject: true, ..Self::all(stream, subject, limit) }
    }

    /// The same from a sequence on.
    #[must_use]
    pub fn from(mut self, sequence: u64) -> Self {
        self.from = sequence;
        self
    }
}
