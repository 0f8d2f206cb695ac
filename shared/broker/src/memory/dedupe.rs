//! The dedupe keys one stream remembers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::clock::Moment;

/// Keys with the sequence they were stored under.
#[derive(Debug, Default)]
pub(super) struct Dedupe {
    seen: BTreeMap<String, u64>,
    order: VecDeque<(Moment, String)>,
}

impl Dedupe {
    /// The sequence a key was stored under, unless that is longer ago than `window`.
    pub(super) fn find(&mut self, id: &str, now: Moment, window: Duration) -> Option<u64> {
        while let Some((_, id)) = self.order.pop_front_if(|(at, _)| *at + window <= now) {
            self.seen.remove(&id);
        }
        self.seen.get(id).copied()
    }

    pub(super) fn note(&mut self, id: String, sequence: u64, now: Moment) {
        self.order.push_back((now, id.clone()));
        self.seen.insert(id, sequence);
    }
}
