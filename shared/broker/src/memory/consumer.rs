//! One durable pull consumer: what it has delivered, what is leased, what comes again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use nova_wire::Headers;

use super::clock::{Moment, date, moment};
use super::log::Log;
use super::pulls::{End, Pulls};
use super::refusal::Refusal;
use super::subjects::matches;
use super::token;
use crate::{ConsumerInfo, ConsumerSpec, Delivery, PauseState, Settle, Start};

/// The broker's shortest pause before a refused delivery comes again, when one was asked for.
const SHORTEST_NAK: Duration = Duration::from_millis(10);
/// How many acks can be forgotten later: far more than a killed broker was ever seen to forget.
const ACKS_REMEMBERED: usize = 10_000;
/// The broker's own limits where a spec names none.
const DEFAULT_ACK_PENDING: i64 = 1000;
const DEFAULT_WAITING: i64 = 512;

/// A delivery that is out.
#[derive(Debug, Clone, Copy)]
struct Lease {
    deliveries: u64,
    /// When it ends; `None` once it has, and the message waits to come again.
    due: Option<Moment>,
}

/// The consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    spec: ConsumerSpec,
    /// The next sequence to look at.
    cursor: u64,
    /// The last sequence delivered, or the one before the first to be.
    delivered: u64,
    /// Sequences below the cursor that count as never delivered, because the broker forgot.
    rewound: BTreeSet<u64>,
    /// Messages not delivered yet.
    pending: u64,
    out: BTreeMap<u64, Lease>,
    due: BTreeSet<(Moment, u64)>,
    again: VecDeque<u64>,
    waiting: VecDeque<u64>,
    acks: VecDeque<u64>,
    deliveries: u64,
    last_delivered: Option<Moment>,
    paused_until: Option<Moment>,
}

impl Consumer {
    pub(super) fn new(mut spec: ConsumerSpec, log: &Log) -> Self {
        let cursor = match spec.start {
            Start::First => log.first_sequence(),
            Start::New => log.last_sequence() + 1,
            Start::Sequence(sequence) => sequence.max(1),
        };
        fill_defaults(&mut spec);
        let pending = log.matching(&spec.filter, cursor).count() as u64;
        Self {
            spec,
            cursor,
            delivered: cursor.saturating_sub(1),
            rewound: BTreeSet::new(),
            pending,
            out: BTreeMap::new(),
            due: BTreeSet::new(),
            again: VecDeque::new(),
            waiting: VecDeque::new(),
            acks: VecDeque::new(),
            deliveries: 0,
            last_delivered: None,
            paused_until: None,
        }
    }

    /// Takes new settings; the position stays, so where it began stays, too.
    pub(super) fn change(&mut self, mut spec: ConsumerSpec, log: &Log) -> Result<(), Refusal> {
        fill_defaults(&mut spec);
        if spec.max_waiting != self.spec.max_waiting {
            return Err(Refusal::new(10012, "max waiting can not be updated"));
        }
        spec.start = self.spec.start;
        self.spec = spec;
        let fresh = log.matching(&self.spec.filter, self.cursor).count();
        self.pending = (fresh + self.rewound.len()) as u64;
        Ok(())
    }

    pub(super) fn info(&self, now: Moment) -> ConsumerInfo {
        let first_out = self.out.first_key_value().map(|(sequence, _)| *sequence);
        let delivered = self.rewound.first().map_or(self.delivered, |first| first - 1);
        ConsumerInfo {
            spec: self.spec.clone(),
            ack_floor: first_out.map_or(delivered, |first| delivered.min(first - 1)),
            delivered,
            deliveries: self.deliveries,
            last_delivered: self.last_delivered.map(date),
            ack_pending: self.out.len() as u64,
            redelivered: self.out.values().filter(|lease| lease.deliveries > 1).count() as u64,
            pending: self.pending,
            waiting: self.waiting.len() as u64,
            pause: PauseState { until: self.paused_until.map(date) },
            now: date(now),
            foreign: Vec::new(),
        }
    }

    pub(super) fn pause(&mut self, pause: PauseState, now: Moment) {
        self.paused_until = pause.until.map(moment).filter(|until| *until > now);
    }

    /// Notes a message that its stream has just stored.
    pub(super) fn see(&mut self, subject: &str) {
        if matches(&self.spec.filter, subject) {
            self.pending += 1;
        }
    }

    /// Forgets a message that its stream no longer holds.
    pub(super) fn unsee(&mut self, sequence: u64, subject: &str) {
        if self.release(sequence) || !matches(&self.spec.filter, subject) {
            return;
        }
        if self.rewound.remove(&sequence) || sequence >= self.cursor {
            self.pending -= 1;
        }
    }

    /// When something happens here by itself.
    pub(super) fn next_due(&self, pulls: &Pulls) -> Option<Moment> {
        let lease = self.due.first().map(|(at, _)| *at);
        let pull = self.waiting.iter().filter_map(|id| pulls.expiry(*id)).min();
        [lease, self.paused_until, pull].into_iter().flatten().min()
    }

    /// Does what is due: leases end, the pause ends, pulls end.
    pub(super) fn tick(&mut self, now: Moment, pulls: &mut Pulls) {
        while let Some((at, sequence)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, sequence));
            if let Some(lease) = self.out.get_mut(&sequence) {
                lease.due = None;
                self.again.push_back(sequence);
            }
        }
        self.paused_until = self.paused_until.filter(|until| *until > now);
        self.waiting.retain(|id| {
            let is_over = pulls.expiry(*id).is_none_or(|expires| expires <= now);
            if is_over {
                pulls.end(*id, End::Whole);
            }
            !is_over
        });
    }

    /// Takes in a pull; says no by `Err` when too many wait.
    pub(super) fn admit(&mut self, id: u64) -> Result<(), Refusal> {
        if self.waiting.len() as u64 >= u64::try_from(self.spec.max_waiting).unwrap_or(u64::MAX) {
            return Err(Refusal::new(409, "Exceeded MaxWaiting"));
        }
        self.waiting.push_back(id);
        Ok(())
    }

    /// Lets go of a pull.
    pub(super) fn dismiss(&mut self, id: u64) {
        self.waiting.retain(|other| *other != id);
    }

    /// Ends all its pulls, for it is about to be deleted.
    pub(super) fn close(&mut self, pulls: &mut Pulls) {
        for id in self.waiting.drain(..) {
            pulls.end(id, End::Gone);
        }
    }

    /// Gives what can be given to the pulls that wait: one message each in turn, as the broker does.
    pub(super) fn dispatch(&mut self, log: &Log, pulls: &mut Pulls, now: Moment) {
        while let Some(id) = self.waiting.front().copied() {
            let Some(pull) = pulls.owed(id) else {
                self.waiting.pop_front();
                continue;
            };
            let Some(delivery) = self.deliver(log, now) else { return };
            pull.ready.push_back(delivery);
            pull.left -= 1;
            self.waiting.pop_front();
            if pull.left == 0 {
                pull.end = Some(End::Whole);
            } else {
                self.waiting.push_back(id);
            }
        }
    }

    /// Leases the next message, if there is one to give.
    pub(super) fn deliver(&mut self, log: &Log, now: Moment) -> Option<Delivery> {
        if self.paused_until.is_some() {
            return None;
        }
        let sequence = self.next_again().or_else(|| self.next_new(log))?;
        let entry = log.get(sequence)?;
        let due = now + self.spec.ack_wait;
        let lease = self.out.entry(sequence).or_insert(Lease { deliveries: 0, due: None });
        lease.deliveries += 1;
        lease.due = Some(due);
        self.due.insert((due, sequence));
        self.deliveries += 1;
        self.delivered = self.delivered.max(sequence);
        self.last_delivered = Some(now);
        let place = token::Place { stream: &self.spec.stream, consumer: &self.spec.name, sequence };
        let counts = token::Counts { deliveries: lease.deliveries, order: self.deliveries, pending: self.pending };
        Some(Delivery {
            subject: entry.subject.clone(),
            sequence,
            deliveries: lease.deliveries,
            order: self.deliveries,
            pending: self.pending,
            at: date(entry.at),
            headers: Headers::clone(&entry.headers),
            body: entry.body.clone(),
            token: token::write(&place, &counts, date(entry.at)),
        })
    }

    /// What comes again goes first, and needs no free place: it still holds its own.
    fn next_again(&mut self) -> Option<u64> {
        self.again.pop_front()
    }

    fn next_new(&mut self, log: &Log) -> Option<u64> {
        if self.out.len() as u64 >= u64::try_from(self.spec.max_ack_pending).unwrap_or(u64::MAX) {
            return None;
        }
        if let Some(sequence) = self.rewound.pop_first() {
            self.pending -= 1;
            return Some(sequence);
        }
        let found = log.next_matching(&self.spec.filter, self.cursor);
        self.cursor = found.map_or(self.cursor.max(log.last_sequence() + 1), |sequence| sequence + 1);
        self.pending -= u64::from(found.is_some());
        found
    }

    /// Settles a delivery by its sequence alone: who holds the lease now is not asked.
    pub(super) fn settle(&mut self, sequence: u64, settle: Settle, now: Moment) {
        let Some(lease) = self.out.get_mut(&sequence) else { return };
        let until = match settle {
            Settle::Ack => {
                self.release(sequence);
                self.acks.push_back(sequence);
                if self.acks.len() > ACKS_REMEMBERED {
                    self.acks.pop_front();
                }
                return;
            }
            Settle::Extend => Some(now + self.spec.ack_wait),
            Settle::Nak { delay } if delay.is_zero() => None,
            Settle::Nak { delay } => Some(now + delay.max(SHORTEST_NAK)),
        };
        match lease.due {
            Some(at) => drop(self.due.remove(&(at, sequence))),
            // A lease that has ended comes again, whatever its old holder says, but he can still put it off.
            None if matches!(settle, Settle::Nak { .. }) => self.again.retain(|other| *other != sequence),
            None => return,
        }
        lease.due = until;
        match until {
            Some(at) => drop(self.due.insert((at, sequence))),
            None => self.again.push_back(sequence),
        }
    }

    /// Ends a lease for good; says whether there was one.
    fn release(&mut self, sequence: u64) -> bool {
        let Some(lease) = self.out.remove(&sequence) else { return false };
        match lease.due {
            Some(at) => drop(self.due.remove(&(at, sequence))),
            None => self.again.retain(|other| *other != sequence),
        }
        true
    }

    /// Goes back to an older state of itself, as a killed broker does: the last acks and all leases were never written.
    pub(super) fn forget(&mut self, acks: usize, log: &Log) {
        let kept = self.acks.len().saturating_sub(acks);
        let forgotten = self.acks.split_off(kept);
        self.rewound.extend(forgotten.into_iter().filter(|sequence| log.get(*sequence).is_some()));
        self.rewound.extend(std::mem::take(&mut self.out).into_keys());
        self.due.clear();
        self.again.clear();
        let fresh = log.matching(&self.spec.filter, self.cursor).count();
        self.pending = (fresh + self.rewound.len()) as u64;
    }
}

fn fill_defaults(spec: &mut ConsumerSpec) {
    if spec.max_ack_pending == 0 {
        spec.max_ack_pending = DEFAULT_ACK_PENDING;
    }
    if spec.max_waiting <= 0 {
        spec.max_waiting = DEFAULT_WAITING;
    }
}
