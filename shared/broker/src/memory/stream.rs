//! One stream: what it takes and refuses, what expires, which schedules fire, and its consumers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use nova_wire::{Headers, name};

use super::clock::{Moment, date};
use super::consumer::Consumer;
use super::dedupe::Dedupe;
use super::duration::parse_ttl;
use super::log::{self, Entry, Lives, Log};
use super::pulls::Pulls;
use super::refusal::{Refusal, STORE_FAILED, WRONG_LAST_SEQUENCE};
use super::schedule::{OVER, Plan, Schedules, fired_headers};
use super::stream_spec;
use super::transform;
use crate::{Discard, Message, Purge, Scan, Stored, StreamInfo, StreamSpec};

/// On the mark of an expired last message: why it is there.
const MARKER_REASON: &str = "Nats-Marker-Reason";
/// Names another subject for the expected sequence.
const EXPECTED_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The stream.
#[derive(Debug)]
pub(super) struct Stream {
    spec: StreamSpec,
    created: Moment,
    log: Log,
    dedupe: Dedupe,
    schedules: Schedules,
    pub(super) consumers: BTreeMap<String, Consumer>,
}

impl Stream {
    pub(super) fn new(spec: StreamSpec, now: Moment) -> Result<Self, Refusal> {
        let spec = stream_spec::complete(spec)?;
        Ok(Self {
            log: Log::beginning_at(spec.first_sequence.unwrap_or(1)),
            spec,
            created: now,
            dedupe: Dedupe::default(),
            schedules: Schedules::default(),
            consumers: BTreeMap::new(),
        })
    }

    pub(super) fn spec(&self) -> &StreamSpec {
        &self.spec
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn change(&mut self, spec: StreamSpec) -> Result<(), Refusal> {
        self.spec = stream_spec::change(&self.spec, spec)?;
        let spec = &self.spec;
        self.log.expire_by(|entry| expiry(spec, entry));
        let crowded = bound(spec.max_messages_per_subject).map(|most| self.log.crowded(most));
        crowded.into_iter().flatten().for_each(|sequence| drop(self.drop_one(sequence)));
        self.keep_limits();
        Ok(())
    }

    pub(super) fn info(&self) -> StreamInfo {
        let (first, last) = (self.log.first_sequence(), self.log.last_sequence());
        StreamInfo {
            spec: self.spec.clone(),
            created: date(self.created),
            messages: self.log.len(),
            bytes: self.log.bytes(),
            // A stream that never held anything says 0 for both.
            first_sequence: if last == 0 { 0 } else { first },
            last_sequence: last,
            deleted: (last + 1).saturating_sub(first).saturating_sub(self.log.len()),
            subjects: self.log.subjects(),
            foreign: Vec::new(),
        }
    }

    /// Stores a message; says its sequence and whether it was there before.
    pub(super) fn publish(&mut self, message: &Message, now: Moment) -> Result<(u64, bool), Refusal> {
        let Message { subject, headers, body, .. } = message;
        let stored_as = self.spec.transform.as_ref().and_then(|transform| transform::apply(transform, subject));
        let subject = stored_as.as_ref().unwrap_or(subject);
        let lives = self.lives(headers)?;
        let plan = self.plan(subject, headers, now)?;
        // Before the dedupe key: who repeats a compare-and-set publish is told of a conflict with its own first copy.
        self.check_expected(subject, headers)?;
        if let Some(id) = headers.get(name::MSG_ID)
            && let Some(sequence) = self.dedupe.find(id, now, self.spec.duplicate_window)
        {
            return Ok((sequence, true));
        }
        let rollup = self.rollup(headers)?;
        self.check_room(subject, headers, body)?;
        let (subject, headers, body) = (subject.clone(), headers.clone(), body.clone());
        let id = headers.get(name::MSG_ID).map(str::to_owned);
        let sequence = self.append(Entry { subject: subject.clone(), headers, body, at: now, lives });
        if let Some(id) = id {
            self.dedupe.note(id, sequence, now);
        }
        if rollup || plan.is_some() {
            self.drop_matching(&subject, sequence);
        }
        if let Some(plan) = plan {
            self.schedules.add(sequence, plan);
        }
        self.keep_limits();
        Ok((sequence, false))
    }

    fn lives(&self, headers: &Headers) -> Result<Lives, Refusal> {
        match headers.get(name::TTL) {
            None => Ok(Lives::AsStream),
            Some(_) if !self.spec.allow_ttl => Err(Refusal::new(10166, "per-message TTL is disabled")),
            Some(text) => parse_ttl(text),
        }
    }

    fn plan(&self, subject: &str, headers: &Headers, now: Moment) -> Result<Option<Plan>, Refusal> {
        if headers.get(name::SCHEDULE).is_some() && !self.spec.allow_schedules {
            return Err(Refusal::new(10188, "message schedules is disabled"));
        }
        Plan::read(subject, headers, &self.spec.subjects, now)
    }

    fn check_expected(&self, subject: &str, headers: &Headers) -> Result<(), Refusal> {
        let Some(text) = headers.get(name::EXPECTED_LAST_SUBJECT_SEQUENCE) else { return Ok(()) };
        let expected: u64 = text.parse().unwrap_or(0);
        let place = headers.get(EXPECTED_SUBJECT).unwrap_or(subject);
        match self.log.last_matching(place).unwrap_or(0) {
            last if last == expected => Ok(()),
            last => Err(Refusal::new(WRONG_LAST_SEQUENCE, format!("wrong last sequence: {last}"))),
        }
    }

    fn rollup(&self, headers: &Headers) -> Result<bool, Refusal> {
        match headers.get(name::ROLLUP) {
            None => Ok(false),
            Some(_) if !self.spec.allow_rollup => Err(Refusal::new(10111, "rollup not permitted")),
            Some("sub") => Ok(true),
            Some(other) => Err(Refusal::new(10111, format!("rollup value invalid: {other:?}"))),
        }
    }

    fn check_room(&self, subject: &str, headers: &Headers, body: &Bytes) -> Result<(), Refusal> {
        if self.spec.discard == Discard::Old {
            return Ok(());
        }
        let (held, first) = self.log.held_by(subject);
        // A message that pushes out one of its own subject needs no place of its own.
        let pushed = first.filter(|_| bound(self.spec.max_messages_per_subject).is_some_and(|most| held >= most));
        if bound(self.spec.max_messages).is_some_and(|most| self.log.len() >= most) && pushed.is_none() {
            return Err(Refusal::new(STORE_FAILED, "maximum messages exceeded"));
        }
        let size = log::size(subject, headers, body);
        let freed = pushed.and_then(|sequence| self.log.get(sequence)).map_or(0, Entry::size);
        if bound(self.spec.max_bytes).is_some_and(|most| self.log.bytes() + size > most + freed) {
            return Err(Refusal::new(STORE_FAILED, "maximum bytes exceeded"));
        }
        Ok(())
    }

    fn append(&mut self, entry: Entry) -> u64 {
        let expires = expiry(&self.spec, &entry);
        let over = (entry.headers.get(name::SCHEDULE_NEXT) == Some(OVER))
            .then(|| entry.headers.get(name::SCHEDULER).map(str::to_owned))
            .flatten();
        let subject = entry.subject.clone();
        let sequence = self.log.append(entry, expires);
        for consumer in self.consumers.values_mut() {
            consumer.see(&subject);
        }
        if let (held, Some(first)) = self.log.held_by(&subject)
            && bound(self.spec.max_messages_per_subject).is_some_and(|most| held > most)
        {
            self.drop_one(first);
        }
        // Whoever publishes a schedule's last message, its own timer or a client, ends the schedule with it.
        if let Some(schedule) = over.filter(|schedule| *schedule != subject) {
            self.drop_matching(&schedule, sequence);
        }
        sequence
    }

    /// Removes one message everywhere.
    fn drop_one(&mut self, sequence: u64) -> Option<Entry> {
        let entry = self.log.remove(sequence)?;
        self.schedules.remove(sequence);
        for consumer in self.consumers.values_mut() {
            consumer.unsee(sequence, &entry.subject);
        }
        Some(entry)
    }

    fn drop_matching(&mut self, filter: &str, end: u64) -> u64 {
        let meant: Vec<u64> = self.log.matching(filter, 0).take_while(|sequence| *sequence < end).collect();
        meant.into_iter().filter_map(|sequence| self.drop_one(sequence)).count() as u64
    }

    /// Drops the oldest until the limits hold; a stream that refuses new ones never exceeds them.
    fn keep_limits(&mut self) {
        let exceeds = |stream: &Self| {
            bound(stream.spec.max_messages).is_some_and(|most| stream.log.len() > most)
                || bound(stream.spec.max_bytes).is_some_and(|most| stream.log.bytes() > most)
        };
        while self.spec.discard == Discard::Old && exceeds(self) && self.log.len() > 0 {
            self.drop_one(self.log.first_sequence());
        }
    }

    pub(super) fn purge(&mut self, what: &Purge) -> u64 {
        match what {
            Purge::Below(end) => {
                self.log.skip_to(*end);
                let doomed = self.log.below(*end);
                doomed.into_iter().filter_map(|sequence| self.drop_one(sequence)).count() as u64
            }
            Purge::Subject(filter) => self.drop_matching(filter, u64::MAX),
            Purge::Sequence(sequence) => u64::from(self.drop_one(*sequence).is_some()),
        }
    }

    pub(super) fn last(&self, subject: &str) -> Option<Stored> {
        self.get(self.log.last_matching(subject)?)
    }

    pub(super) fn get(&self, sequence: u64) -> Option<Stored> {
        self.log.get(sequence).map(|entry| entry.stored(sequence))
    }

    pub(super) fn scan(&self, scan: &Scan) -> Vec<Stored> {
        let found: Vec<u64> = if scan.last_per_subject {
            let lasts: BTreeSet<u64> = self.log.lasts(&scan.subject);
            lasts.range(scan.from..).copied().take(scan.limit).collect()
        } else {
            self.log.matching(&scan.subject, scan.from).take(scan.limit).collect()
        };
        found.into_iter().filter_map(|sequence| self.get(sequence)).collect()
    }

    /// Lets every consumer go back to an older state of itself.
    pub(super) fn forget(&mut self, acks: usize) {
        for consumer in self.consumers.values_mut() {
            consumer.forget(acks, &self.log);
        }
    }

    /// When something happens here by itself.
    pub(super) fn next_due(&self, pulls: &Pulls) -> Option<Moment> {
        let consumers = self.consumers.values().filter_map(|consumer| consumer.next_due(pulls)).min();
        [self.log.next_expiry(), self.schedules.next_due(), consumers].into_iter().flatten().min()
    }

    /// Does everything that is due by `now`, each at its own moment, and gives pulls what they can have.
    pub(super) fn advance(&mut self, now: Moment, pulls: &mut Pulls) {
        while let Some(due) = self.next_due(pulls).filter(|due| *due <= now) {
            self.expire(due);
            self.fire(due);
            for consumer in self.consumers.values_mut() {
                consumer.tick(due, pulls);
            }
            self.dispatch(due, pulls);
        }
        self.dispatch(now, pulls);
    }

    /// Gives pulls what they can have.
    pub(super) fn dispatch(&mut self, now: Moment, pulls: &mut Pulls) {
        for consumer in self.consumers.values_mut() {
            consumer.dispatch(&self.log, pulls, now);
        }
    }

    fn expire(&mut self, now: Moment) {
        while let Some(sequence) = self.log.pop_expired(now) {
            let Some(entry) = self.drop_one(sequence) else { continue };
            let is_mark = entry.headers.get(MARKER_REASON).is_some();
            let ttl = self.spec.delete_marker_ttl;
            if !is_mark && !ttl.is_zero() && self.log.last_of(&entry.subject).is_none() {
                self.append(mark(entry.subject, ttl, now));
            }
        }
    }

    fn fire(&mut self, now: Moment) {
        while let Some((sequence, next)) = self.schedules.pop_due(now) {
            let Some(entry) = self.log.get(sequence) else { continue };
            let Some(target) = entry.headers.get(name::SCHEDULE_TARGET) else { continue };
            let headers = fired_headers(&entry.subject, &entry.headers, next);
            let lives = headers.get(name::TTL).and_then(|text| parse_ttl(text).ok()).unwrap_or(Lives::AsStream);
            let fired = Entry { subject: target.to_owned(), headers, body: entry.body.clone(), at: now, lives };
            self.append(fired);
            self.keep_limits();
        }
    }
}

/// A limit as a number, when there is one.
fn bound(limit: i64) -> Option<u64> {
    u64::try_from(limit).ok().filter(|limit| *limit > 0)
}

fn expiry(spec: &StreamSpec, entry: &Entry) -> Option<Moment> {
    let by_age = (!spec.max_age.is_zero()).then(|| entry.at + spec.max_age);
    match entry.lives {
        Lives::AsStream => by_age,
        Lives::AtMost(ttl) => Some(by_age.map_or(entry.at + ttl, |age| age.min(entry.at + ttl))),
        Lives::Always => None,
    }
}

/// The mark that a subject's last message has expired.
fn mark(subject: String, ttl: Duration, now: Moment) -> Entry {
    let headers = Headers::new().with(MARKER_REASON, "MaxAge").with(name::TTL, format!("{}s", ttl.as_secs()));
    Entry { subject, headers, body: Bytes::new(), at: now, lives: Lives::AtMost(ttl) }
}
