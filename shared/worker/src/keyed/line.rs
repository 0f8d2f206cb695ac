//! The tasks of one key, and where each of them is; pure.

use std::collections::{BTreeMap, BTreeSet};

use nova_broker::{AckToken, Delivery};
use nova_types::TaskId;
use tokio::time::Instant;

/// Where one task is.
#[derive(Debug)]
pub(super) enum Entry {
    /// At hand, under lease since then.
    Held(Box<Delivery>, Instant, u64),
    /// Put off at the broker, because others of its key come first; its body is read again when its turn comes.
    Parked(Parked),
    /// At work.
    Running,
    /// Comes again by itself.
    Away,
    /// Delivered to an earlier owner, who may still work on it.
    Elsewhere(TaskId),
}

#[derive(Debug)]
pub(super) struct Parked {
    pub(super) token: AckToken,
    pub(super) deliveries: u64,
    pub(super) order: u64,
    pub(super) pending: u64,
    pub(super) parks: u64,
}

/// The tasks of one key, in the order of the queue.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) parked: BTreeSet<u64>,
    /// Whether it stands in one of the lists of keys that can start something.
    pub(super) is_listed: bool,
    /// Whether it is known what an earlier owner has of it.
    pub(super) is_cleared: bool,
    pub(super) is_asked: bool,
    pub(super) is_fetching: bool,
}

/// The first of a key's tasks that holds one of its places and is at hand.
pub(super) fn startable(line: &Line, concurrency: usize) -> Option<u64> {
    if !line.is_cleared {
        return None;
    }
    let places = line.entries.iter().take(concurrency);
    places.filter(|(_, entry)| matches!(entry, Entry::Held(..))).map(|(sequence, _)| *sequence).next()
}
