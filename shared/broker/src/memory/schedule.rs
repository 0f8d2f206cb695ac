//! The broker's own schedules: a message on a subject that is published again, to its target, when it is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nova_types::UnixMillis;
use nova_wire::{Headers, format_rfc3339, name, parse_rfc3339};

use super::clock::{Moment, date, moment};
use super::duration::parse_go_duration;
use super::refusal::Refusal;
use super::subjects::{is_literal, matches};

/// No schedule fires sooner than this after it was stored: the broker's timer looks no more often.
const SOONEST: Duration = Duration::from_millis(250);
/// The shortest repetition.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);
/// What a fired message says when its schedule is over.
pub(super) const OVER: &str = "purge";
/// How long a fired message lives.
const FIRED_TTL: &str = "Nats-Schedule-TTL";

/// When a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    due: Moment,
    every: Option<Duration>,
}

impl Plan {
    /// Reads a schedule message's headers; `None` when it is none.
    pub(super) fn read(
        subject: &str,
        headers: &Headers,
        owned: &[String],
        now: Moment,
    ) -> Result<Option<Self>, Refusal> {
        let Some(text) = headers.get(name::SCHEDULE) else { return Ok(None) };
        let plan = Self::parse(text, now).ok_or_else(|| Refusal::new(10189, "message schedule pattern is invalid"))?;
        let target = headers.get(name::SCHEDULE_TARGET).unwrap_or_default();
        let is_owned = owned.iter().any(|pattern| matches(pattern, target));
        if !is_owned || !is_literal(target) || target == subject {
            return Err(Refusal::new(10190, "message schedule target is invalid"));
        }
        Ok(Some(plan))
    }

    /// Cron lines are refused: this broker keeps no calendar.
    fn parse(text: &str, now: Moment) -> Option<Self> {
        if let Some(at) = text.strip_prefix("@at ") {
            let due = moment(parse_rfc3339(at.trim())?).max(now + SOONEST);
            return Some(Self { due, every: None });
        }
        let every = parse_go_duration(text.strip_prefix("@every ")?.trim()).filter(|every| *every >= SHORTEST_EVERY)?;
        Some(Self { due: next_tick(now, every), every: Some(every) })
    }

    fn after_firing(self, now: Moment) -> Option<Self> {
        self.every.map(|every| Self { due: next_tick(now, every), ..self })
    }
}

/// Repetitions begin on whole seconds of the broker's clock.
fn next_tick(now: Moment, every: Duration) -> Moment {
    let millis = date(now).0;
    let whole = (millis + 500).div_euclid(1000) * 1000;
    (moment(UnixMillis(whole)) + every).max(now + Duration::from_millis(1))
}

/// All schedules of one stream, by the sequence of their message.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    plans: BTreeMap<u64, Plan>,
    due: BTreeSet<(Moment, u64)>,
}

impl Schedules {
    pub(super) fn add(&mut self, sequence: u64, plan: Plan) {
        self.plans.insert(sequence, plan);
        self.due.insert((plan.due, sequence));
    }

    pub(super) fn remove(&mut self, sequence: u64) {
        if let Some(plan) = self.plans.remove(&sequence) {
            self.due.remove(&(plan.due, sequence));
        }
    }

    pub(super) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the next schedule that is due: its message's sequence, and when it fires again.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<(u64, Option<Moment>)> {
        let (at, sequence) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, sequence));
        let next = self.plans.remove(&sequence).and_then(|plan| plan.after_firing(now));
        if let Some(plan) = next {
            self.add(sequence, plan);
        }
        Some((sequence, next.map(|plan| plan.due)))
    }
}

/// The headers of a fired message: those of its schedule less the broker's orders, plus where it comes from.
pub(super) fn fired_headers(schedule: &str, original: &Headers, next: Option<Moment>) -> Headers {
    let mut headers = original.clone();
    headers.retain(|line| {
        let line = line.to_ascii_lowercase();
        let orders = ["nats-schedule", "nats-expected-", "nats-msg-id", "nats-rollup", "nats-ttl"];
        !orders.iter().any(|order| line.starts_with(order))
    });
    headers.push(name::SCHEDULER, schedule);
    headers.push(name::SCHEDULE_NEXT, next.map_or_else(|| OVER.to_owned(), |at| format_rfc3339(date(at))));
    if let Some(ttl) = original.get(FIRED_TTL) {
        headers.push(name::TTL, ttl);
    }
    headers
}
