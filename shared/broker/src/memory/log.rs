//! The messages of one stream, by sequence and by subject.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use nova_wire::Headers;

use super::clock::{Moment, date};
use super::subjects::{is_literal, matches};
use crate::Stored;

/// One message as it lies in a stream.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) subject: String,
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    pub(super) at: Moment,
    pub(super) lives: Lives,
}

/// How long a message stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lives {
    /// As long as its stream says.
    AsStream,
    /// No longer than this.
    AtMost(Moment),
    /// For ever.
    Always,
}

impl Entry {
    /// Its size on the broker's disk: the limits in bytes count this.
    pub(super) fn size(&self) -> u64 {
        size(&self.subject, &self.headers, &self.body)
    }

    pub(super) fn stored(&self, sequence: u64) -> Stored {
        Stored {
            subject: self.subject.clone(),
            sequence,
            at: date(self.at),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }
}

/// What a message takes on the broker's disk: 30 bytes of frame, 4 more when it has headers.
pub(super) fn size(subject: &str, headers: &Headers, body: &Bytes) -> u64 {
    let framed = if headers.is_empty() { 30 } else { 34 };
    (framed + subject.len() + headers_size(headers) + body.len()) as u64
}

/// The bytes of a header block: the version line, `name: value` lines, an empty line.
pub(super) fn headers_size(headers: &Headers) -> usize {
    if headers.is_empty() {
        return 0;
    }
    12 + headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>()
}

/// The log itself.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: BTreeMap<u64, Entry>,
    by_subject: BTreeMap<String, BTreeSet<u64>>,
    expiries: BTreeSet<(Moment, u64)>,
    bytes: u64,
    last: u64,
}

impl Log {
    /// An empty log whose first message will get `sequence`.
    pub(super) fn beginning_at(sequence: u64) -> Self {
        Self { last: sequence.saturating_sub(1), ..Self::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn last_sequence(&self) -> u64 {
        self.last
    }

    /// The first sequence that is held; the next one to be given when none is.
    pub(super) fn first_sequence(&self) -> u64 {
        self.entries.first_key_value().map_or(self.last + 1, |(sequence, _)| *sequence)
    }

    pub(super) fn subjects(&self) -> u64 {
        self.by_subject.len() as u64
    }

    pub(super) fn get(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(&sequence)
    }

    pub(super) fn append(&mut self, entry: Entry, expires: Option<Moment>) -> u64 {
        self.last += 1;
        self.bytes += entry.size();
        self.by_subject.entry(entry.subject.clone()).or_default().insert(self.last);
        self.entries.insert(self.last, entry);
        self.expiries.extend(expires.map(|at| (at, self.last)));
        self.last
    }

    pub(super) fn remove(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.entries.remove(&sequence)?;
        self.bytes -= entry.size();
        if let Some(held) = self.by_subject.get_mut(&entry.subject) {
            held.remove(&sequence);
            if held.is_empty() {
                self.by_subject.remove(&entry.subject);
            }
        }
        Some(entry)
    }

    /// Computes all expiries anew, after the stream's settings have changed.
    pub(super) fn expire_by(&mut self, rule: impl Fn(&Entry) -> Option<Moment>) {
        self.expiries = self.entries.iter().filter_map(|(seq, entry)| Some((rule(entry)?, *seq))).collect();
    }

    pub(super) fn next_expiry(&self) -> Option<Moment> {
        self.expiries.first().map(|(at, _)| *at)
    }

    /// Takes a sequence off the list of expiries that is due.
    pub(super) fn pop_expired(&mut self, now: Moment) -> Option<u64> {
        let (at, sequence) = *self.expiries.first()?;
        (at <= now).then(|| self.expiries.remove(&(at, sequence)))?;
        Some(sequence)
    }

    /// The last sequence of exactly this subject.
    pub(super) fn last_of(&self, subject: &str) -> Option<u64> {
        self.by_subject.get(subject)?.last().copied()
    }

    /// How many messages exactly this subject holds, and the first of them.
    pub(super) fn held_by(&self, subject: &str) -> (u64, Option<u64>) {
        self.by_subject.get(subject).map_or((0, None), |held| (held.len() as u64, held.first().copied()))
    }

    /// The oldest messages of every subject that holds more than `most`.
    pub(super) fn crowded(&self, most: u64) -> Vec<u64> {
        let surplus = |held: &BTreeSet<u64>| held.len().saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
        self.by_subject.values().flat_map(|held| held.iter().take(surplus(held))).copied().collect()
    }

    /// The last message of those a filter means.
    pub(super) fn last_matching(&self, filter: &str) -> Option<u64> {
        if is_literal(filter) {
            return self.last_of(filter);
        }
        self.lasts(filter).into_iter().next_back()
    }

    /// The last sequence of every subject a filter means, in order.
    pub(super) fn lasts(&self, filter: &str) -> BTreeSet<u64> {
        let meant = self.by_subject.iter().filter(|(subject, _)| matches(filter, subject));
        meant.filter_map(|(_, held)| held.last().copied()).collect()
    }

    /// The first sequence from `from` on whose subject a filter means.
    pub(super) fn next_matching(&self, filter: &str, from: u64) -> Option<u64> {
        self.matching(filter, from).next()
    }

    /// All sequences from `from` on whose subject a filter means, in order.
    pub(super) fn matching<'a>(&'a self, filter: &'a str, from: u64) -> Box<dyn Iterator<Item = u64> + 'a> {
        if is_literal(filter) {
            return Box::new(self.by_subject.get(filter).into_iter().flat_map(move |held| held.range(from..).copied()));
        }
        let meant = self.entries.range(from..).filter(|(_, entry)| matches(filter, &entry.subject));
        Box::new(meant.map(|(sequence, _)| *sequence))
    }

    /// All sequences below `end`, in order.
    pub(super) fn below(&self, end: u64) -> Vec<u64> {
        self.entries.range(..end).map(|(sequence, _)| *sequence).collect()
    }

    /// Forgets nothing held, but gives no sequence below `sequence` any more.
    pub(super) fn skip_to(&mut self, sequence: u64) {
        self.last = self.last.max(sequence.saturating_sub(1));
    }
}
