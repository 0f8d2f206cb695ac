//! Streams and consumers as they are wanted and as they are.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_types::UnixMillis;
use serde::{Deserialize, Serialize};

/// What a full stream does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discard {
    /// Drops its oldest messages.
    Old,
    /// Refuses new ones.
    New,
}

/// What a stream makes of the subjects it takes before it stores and delivers: the broker's own `subject_transform`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transform {
    /// Which subjects, wildcards allowed; others are stored as they are.
    pub from: String,
    /// What becomes of them, with `{{wildcard(n)}}` and `{{partition(count,n)}}` for what their wildcards stood for.
    pub to: String,
}

/// A stream as Nova wants it: file storage, limits retention, direct get allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSpec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The subjects it owns.
    pub subjects: Vec<String>,
    /// What it does when full.
    pub discard: Discard,
    /// The most bytes it holds; -1 without limit.
    pub max_bytes: i64,
    /// The most messages it holds; -1 without limit.
    pub max_messages: i64,
    /// The most messages it holds of one subject; -1 without limit.
    pub max_messages_per_subject: i64,
    /// How long it holds a message; zero for ever.
    pub max_age: Duration,
    /// How long a dedupe key is remembered.
    pub duplicate_window: Duration,
    /// On how many servers it is kept.
    pub replicas: usize,
    /// Whether messages may carry their own time to live.
    pub allow_ttl: bool,
    /// Whether it runs schedules.
    pub allow_schedules: bool,
    /// Whether a message may replace what its subject held.
    pub allow_rollup: bool,
    /// Whether messages may come in atomic batches, each synced once.
    pub allow_batches: bool,
    /// How long the mark of an expired last message stays; zero for no mark.
    pub delete_marker_ttl: Duration,
    /// The first sequence it gives.
    pub first_sequence: Option<u64>,
    /// What it makes of subjects, if anything.
    pub transform: Option<Transform>,
    /// Notes that travel with it.
    pub metadata: BTreeMap<String, String>,
}

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At the first message.
    First,
    /// Behind the last message.
    New,
    /// At a sequence.
    Sequence(u64),
}

/// A durable pull consumer with explicit acks as Nova wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerSpec {
    /// Its stream.
    pub stream: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Which subject it reads.
    pub filter: String,
    /// How long a delivery is leased.
    pub ack_wait: Duration,
    /// The most deliveries out at once.
    pub max_ack_pending: i64,
    /// The most pulls that wait at once.
    pub max_waiting: i64,
    /// Where it begins; no part of its drift.
    pub start: Start,
    /// Notes that travel with it: the skill's policy.
    pub metadata: BTreeMap<String, String>,
}

/// Whether a consumer is paused, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PauseState {
    /// The end of the pause.
    pub until: Option<UnixMillis>,
}

/// A stream as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// How it is set up.
    pub spec: StreamSpec,
    /// When it was made, by the broker's clock.
    pub created: UnixMillis,
    /// How many messages it holds.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Its first sequence.
    pub first_sequence: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// How many sequences between are gone.
    pub deleted: u64,
    /// How many subjects it holds.
    pub subjects: u64,
    /// Settings that Nova does not use and that differ from the broker's default, as `name=value`.
    pub foreign: Vec<String>,
}

/// A consumer as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// How it is set up.
    pub spec: ConsumerSpec,
    /// Everything up to this stream sequence is acked or not its own.
    pub ack_floor: u64,
    /// The last stream sequence it delivered.
    pub delivered: u64,
    /// How many times it delivered; a message that came again counts again.
    pub deliveries: u64,
    /// When it last delivered.
    pub last_delivered: Option<UnixMillis>,
    /// Deliveries out and not acked.
    pub ack_pending: u64,
    /// Deliveries out again.
    pub redelivered: u64,
    /// Messages not delivered yet.
    pub pending: u64,
    /// Pulls that wait.
    pub waiting: u64,
    /// Whether it is paused.
    pub pause: PauseState,
    /// The broker's clock when it said so.
    pub now: UnixMillis,
    /// Settings that Nova does not use and that differ from the broker's default, as `name=value`.
    pub foreign: Vec<String>,
}

/// What to delete from a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purge {
    /// Everything below a sequence.
    Below(u64),
    /// Everything of a subject, wildcards allowed.
    Subject(String),
    /// One message.
    Sequence(u64),
}

/// The server at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The largest message it takes, in bytes.
    pub max_payload: usize,
    /// Its address, without credentials.
    pub url: String,
}
