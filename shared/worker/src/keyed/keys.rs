//! The tasks of one partition by their keys: which may start next, which wait for another of their key; pure.
//!
//! Of each key the first unfinished tasks, as many as the key may run at once, hold its places: one that runs, one that
//! comes again after a pause and one that an earlier owner still works keep theirs, so a key goes on in the order of its
//! queue and no other key notices. Keys that can start something take turns.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nova_broker::{AckToken, Delivery, Stored};
use nova_types::{Priority, TaskId, UnixMillis};
use nova_wire::subject;
use tokio::time::Instant;

use super::line::{Entry, Line, Parked, startable};
use crate::rate::KeyLimits;
use crate::rota::Rota;

/// How many tasks of a key are kept at hand behind those that may run: enough that a key never waits for its next.
const AT_HAND: usize = 8;
/// With fewer than this at hand, more of what was parked is fetched.
const REFILL: usize = 4;
/// The most tasks at hand in one partition; only those whose turn it is come on top.
const AT_HAND_IN_ALL: usize = 1024;
/// How much longer what was parked stays away for each task of its key before it.
const PARK_STEP: Duration = Duration::from_millis(5);
/// The longest it stays away: an owner that dies leaves it to the broker for as long.
const PARK_MOST: Duration = Duration::from_secs(60);
/// How many tasks that may be with an earlier owner are looked up at once for one key: the first ones decide.
const LOOK_UP: usize = 32;

/// Something to be read before a key can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// What an earlier owner may have of a key.
    Clear { key: Arc<str> },
    /// The bodies of a key's parked tasks, from this sequence on.
    Fetch { key: Arc<str>, from: u64, most: usize },
}

/// A task that is put off at the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Park {
    pub(super) token: AckToken,
    pub(super) pause: Duration,
}

/// All keys of a partition that have something unfinished.
#[derive(Debug)]
pub(super) struct Keys {
    concurrency: usize,
    lease: Duration,
    /// Whether an earlier owner may still have something of any key.
    is_gated: bool,
    rota: Rota,
    lines: HashMap<Arc<str>, Line>,
    places: HashMap<u64, Arc<str>>,
    ready: [VecDeque<Arc<str>>; 3],
    /// How often a key may start something, and the keys that must wait for it.
    rate: Option<KeyLimits>,
    asleep: BTreeSet<(Instant, Arc<str>)>,
    wants: Vec<Want>,
    held: usize,
    elsewhere: usize,
}

impl Keys {
    /// No tasks; `is_gated` when an earlier owner may have some.
    pub(super) fn new(concurrency: u32, lease: Duration, is_gated: bool) -> Self {
        Self {
            concurrency: usize::try_from(concurrency).unwrap_or(usize::MAX).max(1),
            lease,
            is_gated,
            rota: Rota::default(),
            lines: HashMap::new(),
            places: HashMap::new(),
            ready: Default::default(),
            rate: None,
            asleep: BTreeSet::new(),
            wants: Vec::new(),
            held: 0,
            elsewhere: 0,
        }
    }

    /// The same with a limit of how often each key may start something.
    pub(super) fn with_rate(self, rate: Option<KeyLimits>) -> Self {
        Self { rate, ..self }
    }

    /// When a key may start something again that started as often as it may.
    pub(super) fn wakes(&self) -> Option<Instant> {
        self.asleep.first().map(|(at, _)| *at)
    }

    /// Lists the keys that may start something again.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.asleep.pop_first() {
            if at > now {
                self.asleep.insert((at, key));
                return;
            }
            if let Some(line) = self.lines.get_mut(&key) {
                line.is_listed = false;
            }
            self.refresh(&key);
        }
    }

    /// How many keys can start something.
    pub(super) fn ready(&self) -> usize {
        self.ready.iter().map(VecDeque::len).sum()
    }

    /// The tasks behind a sequence that the broker has leased or put off for this owner.
    pub(super) fn mine_behind(&self, delivered: u64) -> Vec<u64> {
        self.places.keys().copied().filter(|sequence| *sequence > delivered && self.is_mine(*sequence)).collect()
    }

    /// Whether a task is with this owner.
    pub(super) fn is_mine(&self, sequence: u64) -> bool {
        let line = self.places.get(&sequence).and_then(|key| self.lines.get(key));
        line.is_some_and(|line| !matches!(line.entries.get(&sequence), None | Some(Entry::Elsewhere(_))))
    }

    /// What must be read, once each.
    pub(super) fn wants(&mut self) -> Vec<Want> {
        std::mem::take(&mut self.wants)
    }

    /// Takes in what the broker delivered; what has no place at hand is to be parked.
    pub(super) fn take_in(&mut self, mut delivery: Delivery, now: Instant) -> Option<Park> {
        let sequence = delivery.sequence;
        let key = match self.places.get(&sequence) {
            Some(key) => Arc::clone(key),
            None => {
                let token = subject::parse_place(&delivery.subject).and_then(|place| place.token).unwrap_or_default();
                let key = self.lines.get_key_value(token).map_or_else(|| Arc::from(token), |(key, _)| Arc::clone(key));
                self.places.insert(sequence, Arc::clone(&key));
                key
            }
        };
        let line = self.lines.entry(Arc::clone(&key)).or_default();
        let before = line.entries.range(..sequence).take(self.concurrency + AT_HAND).count();
        // Only deliveries that may have been worked count: the others were ours to put off.
        let mut parks = 0;
        match line.entries.get(&sequence) {
            // Its lease ended here or the broker forgot it; who works on it finds out himself.
            Some(Entry::Running) => return None,
            Some(Entry::Held(_, _, parked)) => {
                parks = *parked;
                self.held -= 1;
            }
            Some(Entry::Parked(parked)) => {
                parks = parked.parks;
                line.parked.remove(&sequence);
            }
            Some(Entry::Elsewhere(_)) => self.elsewhere -= 1,
            Some(Entry::Away) | None => {}
        }
        delivery.deliveries = delivery.deliveries.saturating_sub(parks).max(1);
        let is_near = before < self.concurrency + AT_HAND && self.held < AT_HAND_IN_ALL;
        let park = if before < self.concurrency || is_near {
            self.held += 1;
            line.entries.insert(sequence, Entry::Held(Box::new(delivery), now, parks));
            None
        } else {
            let length = u32::try_from(line.entries.range(..sequence).count()).unwrap_or(u32::MAX);
            let pause = self.lease.saturating_add(PARK_STEP.saturating_mul(length)).min(PARK_MOST);
            let Delivery { token, deliveries, order, pending, .. } = delivery;
            let park = Park { token: token.clone(), pause };
            line.parked.insert(sequence);
            let parked = Parked { token, deliveries, order, pending, parks: parks + 1 };
            line.entries.insert(sequence, Entry::Parked(parked));
            Some(park)
        };
        self.refresh(&key);
        park
    }

    /// The next task to start: of the key whose turn it is, with the moment its lease began. `clock` is the broker's.
    pub(super) fn next(&mut self, now: Instant, clock: UnixMillis) -> Option<(Delivery, Instant)> {
        for priority in self.rota.next() {
            while let Some(key) = self.ready[priority as usize].pop_front() {
                let Some(line) = self.lines.get_mut(&key) else { continue };
                line.is_listed = false;
                let Some(sequence) = startable(line, self.concurrency) else { continue };
                if let Some(Err(pause)) = self.rate.as_mut().map(|rate| rate.take(&key, clock)) {
                    // Listed, but where time and not a turn is waited for.
                    line.is_listed = true;
                    self.asleep.insert((now + pause, key));
                    continue;
                }
                let Some(Entry::Held(delivery, at, _)) = line.entries.insert(sequence, Entry::Running) else {
                    unreachable!("what can start is held");
                };
                self.held -= 1;
                self.refresh(&key);
                return Some((*delivery, at));
            }
        }
        None
    }

    /// A task is done with.
    pub(super) fn finish(&mut self, sequence: u64) {
        let Some(key) = self.places.remove(&sequence) else { return };
        if let Some(line) = self.lines.get_mut(&key) {
            line.parked.remove(&sequence);
            match line.entries.remove(&sequence) {
                Some(Entry::Held(..)) => self.held -= 1,
                Some(Entry::Elsewhere(_)) => self.elsewhere -= 1,
                _ => {}
            }
        }
        self.refresh(&key);
    }

    /// A task that ran comes again by itself, and its key waits for it.
    pub(super) fn put_off(&mut self, sequence: u64) {
        let Some(line) = self.places.get(&sequence).and_then(|key| self.lines.get_mut(key)) else { return };
        if let Some(entry @ Entry::Running) = line.entries.get_mut(&sequence) {
            *entry = Entry::Away;
        }
    }

    /// What an earlier owner may have of a key is known now.
    pub(super) fn clear(&mut self, key: &Arc<str>, elsewhere: Vec<(u64, TaskId)>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        for (sequence, task) in elsewhere.into_iter().filter(|_| self.is_gated) {
            if let std::collections::btree_map::Entry::Vacant(free) = line.entries.entry(sequence) {
                free.insert(Entry::Elsewhere(task));
                self.places.insert(sequence, Arc::clone(key));
                self.elsewhere += 1;
            }
        }
        line.is_cleared = true;
        self.refresh(key);
    }

    /// The tasks whose end at an earlier owner would let a key go on.
    pub(super) fn awaited(&self) -> Vec<(u64, TaskId)> {
        if self.elsewhere == 0 {
            return Vec::new();
        }
        let of = |line: &Line| -> Vec<(u64, TaskId)> {
            let first = line.entries.iter().take(self.concurrency + LOOK_UP);
            let task = |(sequence, entry): (&u64, &Entry)| match entry {
                Entry::Elsewhere(task) => Some((*sequence, task.clone())),
                _ => None,
            };
            first.filter_map(task).collect()
        };
        let mut all: Vec<_> = self.lines.values().flat_map(of).collect();
        all.sort_unstable_by_key(|(sequence, _)| *sequence);
        all
    }

    /// Something may be out that is not here: no key goes on before it is known what of it is.
    pub(super) fn close(&mut self) {
        self.is_gated = true;
        let keys = self.sorted();
        for line in self.lines.values_mut() {
            (line.is_cleared, line.is_asked) = (false, false);
        }
        keys.iter().for_each(|key| self.refresh(key));
    }

    /// No earlier owner has anything any more.
    pub(super) fn open(&mut self) {
        self.is_gated = false;
        let mut gone = Vec::new();
        let keys = self.sorted();
        for line in self.lines.values_mut() {
            line.is_cleared = true;
            let elsewhere = line.entries.iter().filter(|(_, entry)| matches!(entry, Entry::Elsewhere(_)));
            gone.extend(elsewhere.map(|(sequence, _)| *sequence));
        }
        gone.into_iter().for_each(|sequence| self.finish(sequence));
        keys.iter().for_each(|key| self.refresh(key));
    }

    /// All keys; what is done for each is done in this order, and not in that of a table.
    fn sorted(&self) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = self.lines.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// Bodies of parked tasks have been read, all there are up to a sequence; says which leases begin anew.
    pub(super) fn fetched(&mut self, key: &Arc<str>, upto: u64, found: Vec<Stored>, now: Instant) -> Vec<AckToken> {
        let mut leased = Vec::new();
        let Some(line) = self.lines.get_mut(key) else { return leased };
        line.is_fetching = false;
        for stored in found {
            let Some(Entry::Parked(parked)) = line.entries.get(&stored.sequence) else { continue };
            let Stored { subject, sequence, at, headers, body } = stored;
            let Parked { ref token, deliveries, order, pending, parks } = *parked;
            leased.push(token.clone());
            let token = token.clone();
            let delivery = Delivery { subject, sequence, deliveries, order, pending, at, headers, body, token };
            line.entries.insert(sequence, Entry::Held(Box::new(delivery), now, parks));
            line.parked.remove(&sequence);
            self.held += 1;
        }
        // Deleted meanwhile: the broker brings them no more.
        let gone: Vec<u64> = line.parked.range(..=upto).copied().collect();
        gone.into_iter().for_each(|sequence| self.finish(sequence));
        self.refresh(key);
        leased
    }

    /// Bodies could not be read; they are asked for again.
    pub(super) fn not_fetched(&mut self, key: &Arc<str>) {
        if let Some(line) = self.lines.get_mut(key) {
            line.is_fetching = false;
        }
        self.refresh(key);
    }

    /// What an earlier owner has of a key could not be read; it is asked for again.
    pub(super) fn not_cleared(&mut self, key: &Arc<str>) {
        if let Some(line) = self.lines.get_mut(key) {
            line.is_asked = false;
        }
        self.refresh(key);
    }

    /// The leases of what is at hand, to be extended: those that have not begun since.
    pub(super) fn leases(&mut self, since: Instant, now: Instant) -> Vec<AckToken> {
        let mut tokens = BTreeMap::new();
        for (sequence, entry) in self.lines.values_mut().flat_map(|line| &mut line.entries) {
            if let Entry::Held(delivery, at, _) = entry
                && *at <= since
            {
                *at = now;
                tokens.insert(*sequence, delivery.token.clone());
            }
        }
        tokens.into_values().collect()
    }

    /// Everything not begun, to be handed back in the order of the queue.
    pub(super) fn hand_back(&mut self) -> Vec<AckToken> {
        let mut tokens = BTreeMap::new();
        for (sequence, entry) in self.lines.values().flat_map(|line| &line.entries) {
            match entry {
                Entry::Held(delivery, ..) => drop(tokens.insert(*sequence, delivery.token.clone())),
                Entry::Parked(parked) => drop(tokens.insert(*sequence, parked.token.clone())),
                Entry::Running | Entry::Away | Entry::Elsewhere(_) => {}
            }
        }
        tokens.into_values().collect()
    }

    /// Lists a key that can start something, asks for what it needs, forgets it when it is empty.
    fn refresh(&mut self, key: &Arc<str>) {
        let Some(line) = self.lines.get_mut(key) else { return };
        if line.entries.is_empty() {
            self.lines.remove(key);
            return;
        }
        line.is_cleared |= !self.is_gated;
        if !line.is_cleared {
            if !line.is_asked {
                line.is_asked = true;
                self.wants.push(Want::Clear { key: Arc::clone(key) });
            }
            return;
        }
        if let Some(first) = line.parked.first().copied().filter(|_| !line.is_fetching) {
            let near = self.concurrency + REFILL;
            if line.entries.range(..first).take(near).count() < near {
                line.is_fetching = true;
                let most = self.concurrency.min(256) + AT_HAND;
                self.wants.push(Want::Fetch { key: Arc::clone(key), from: first, most });
            }
        }
        if !line.is_listed
            && let Some(sequence) = startable(line, self.concurrency)
            && let Some(Entry::Held(delivery, ..)) = line.entries.get(&sequence)
        {
            line.is_listed = true;
            let priority = subject::parse_task(&delivery.subject).map_or(Priority::Normal, |(_, priority)| priority);
            self.ready[priority as usize].push_back(Arc::clone(key));
        }
    }
}

#[cfg(test)]
mod tests;
