//! A firing of a recurring schedule: a task for each moment it stands for, as the schedule's policy says.
//!
//! First the tasks, then the note how far it came, then the ack. Each task's id and dedupe key are its moment's, so
//! whatever breaks off in between is done again without harm.

use nova_broker::{BrokerError, Delivery, Expect, Message, PublishError, Settle, Stored};
use nova_engine::recur::{Before, Firing, Plan, nominal, plan};
use nova_types::{CatchUp, Generation, Priority, Skill, TaskId, UnixMillis};
use nova_wire::{Calendar, CronState, Headers, LeftOut, Task, assets, format_rfc3339, name, subject};

use super::forward::{Forward, RETRY, source};
use crate::Parts;
use crate::record::{Corpse, RecordError, outcome_of};

/// How many tasks are published at once, before the note is moved: so much is looked at again when it breaks off.
const STRIDE: usize = 100;
/// How often the note is written when others write it, too.
const TRIES: usize = 5;

/// A recurring schedule that has fired.
pub(super) struct Recurring {
    pub(super) skill: Skill,
    pub(super) priority: Priority,
    pub(super) base: TaskId,
    pub(super) next: UnixMillis,
}

/// What could not be done now; the firing comes again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the schedule could not be read")]
    Schedule(#[source] BrokerError),
    #[error("how far it came could not be read")]
    Read(#[source] BrokerError),
    #[error("how far it came could not be noted")]
    Write(#[source] PublishError),
    #[error("a moment's outcome could not be read")]
    Outcome(#[source] RecordError),
}

/// The schedule behind a firing, and how far it had come.
pub(super) struct Known {
    /// The schedule's own sequence.
    schedule: u64,
    pub(super) calendar: Calendar,
    pub(super) before: Before,
    state: Option<CronState>,
    /// The sequence of the note.
    revision: u64,
}

impl Forward {
    pub(super) async fn recur(&self, delivery: &Delivery, fired: Recurring) -> Settle {
        match self.make_up(delivery, &fired).await {
            Ok(settle) => settle,
            Err(error) => {
                let (task, skill) = (&fired.base, &fired.skill);
                tracing::warn!(%task, %skill, error = &error as &dyn std::error::Error, "firing is not dealt with yet");
                Settle::Nak { delay: RETRY }
            }
        }
    }

    async fn make_up(&self, delivery: &Delivery, fired: &Recurring) -> Result<Settle, Error> {
        let source = source(delivery);
        let Some(known) = known(&self.parts, delivery, fired).await? else {
            // Fired before it was removed: there is nothing to make up for, and nothing to note.
            return Ok(self.submit(&source, fired, nominal(delivery.at, fired.next)).await);
        };
        let firing = Firing { at: delivery.at, next: fired.next, sequence: delivery.sequence };
        let moments = known.calendar.back_from(fired.next);
        let plan = plan(catch_up(&delivery.headers), firing, known.before, moments);
        self.carry_out(&source, fired, &known, plan, delivery.sequence).await
    }

    /// Submits the tasks and notes that everything before the schedule's next moment, and this firing, is dealt with.
    pub(super) async fn carry_out(
        &self,
        source: &Corpse,
        fired: &Recurring,
        known: &Known,
        Plan { run, missed }: Plan,
        firing: u64,
    ) -> Result<Settle, Error> {
        if run.is_empty() && missed.is_none() {
            return Ok(Settle::Ack);
        }
        if let Some(missed) = missed {
            let (task, skill) = (&fired.base, &fired.skill);
            let (from, until) = (format_rfc3339(missed.from), format_rfc3339(missed.until));
            tracing::warn!(%task, %skill, from, until, "missed moments of a schedule are left out");
        }
        let mut noted = CronState {
            schedule: known.schedule,
            firing: known.before.firing,
            next: known.before.next,
            last: known.state.and_then(|state| state.last),
            left_out: known.state.and_then(|state| state.left_out),
        };
        let mut revision = known.revision;
        let is_gap = run.len() > 1;
        let mut rest = run.as_slice();
        while let Some(moments) = rest.get(..STRIDE.min(rest.len())).filter(|moments| !moments.is_empty()) {
            rest = &rest[moments.len()..];
            let mut submits = Vec::with_capacity(moments.len());
            for moment in moments {
                submits.push(self.submit_once(source, fired, *moment, is_gap));
            }
            for settle in futures_util::future::join_all(submits).await {
                match settle? {
                    Settle::Ack => {}
                    other => return Ok(other),
                }
            }
            noted.last = noted.last.max(moments.last().copied());
            if let Some(next) = rest.first() {
                noted.next = *next;
                revision = note(&self.parts, &fired.skill, &fired.base, noted, revision).await?;
            }
        }
        nova_runtime::failpoint::hit("due-forwarded");
        noted.next = noted.next.max(fired.next);
        noted.firing = firing;
        noted.left_out = missed.map(|missed| LeftOut { from: missed.from, until: missed.until }).or(noted.left_out);
        note(&self.parts, &fired.skill, &fired.base, noted, revision).await?;
        nova_runtime::failpoint::hit("due-noted");
        Ok(Settle::Ack)
    }

    async fn submit_once(
        &self,
        source: &Corpse,
        fired: &Recurring,
        moment: UnixMillis,
        is_gap: bool,
    ) -> Result<Settle, Error> {
        // Another may have made up for it, or fired it on time and be behind.
        if is_gap && self.has_ended(fired, moment).await? {
            return Ok(Settle::Ack);
        }
        Ok(self.submit(source, fired, moment).await)
    }

    async fn submit(&self, source: &Corpse, fired: &Recurring, moment: UnixMillis) -> Settle {
        let id = fired.base.of_moment(moment);
        let mut headers = Task::republished_headers(&source.headers, &id, Generation::of_moment(moment));
        headers.remove(name::CATCH_UP);
        headers.set(name::NOMINAL, format_rfc3339(moment));
        self.publish(source, &fired.skill, fired.priority, &id, headers).await
    }

    async fn has_ended(&self, fired: &Recurring, moment: UnixMillis) -> Result<bool, Error> {
        let outcome = outcome_of(&self.parts, &fired.skill, &fired.base.of_moment(moment)).await;
        outcome.map(|outcome| outcome.is_some()).map_err(Error::Outcome)
    }
}

pub(super) fn catch_up(headers: &Headers) -> CatchUp {
    // Checked when the schedule was made; a word of a later version is no reason to lose a firing.
    headers.get(name::CATCH_UP).and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// What is known of the schedule; `None` when it is gone, or another one stands in its place.
async fn known(parts: &Parts, delivery: &Delivery, fired: &Recurring) -> Result<Option<Known>, Error> {
    let stored = parts.broker.last(assets::SCHEDULES.to_owned(), subject::schedule(&fired.skill, &fired.base)).await;
    let Some(schedule) = stored.map_err(Error::Schedule)? else { return Ok(None) };
    if schedule.sequence > delivery.sequence {
        return Ok(None);
    }
    known_at(parts, &schedule, fired).await
}

/// The same of a schedule as it stands.
pub(super) async fn known_at(parts: &Parts, schedule: &Stored, fired: &Recurring) -> Result<Option<Known>, Error> {
    let Some(when) = schedule.headers.get(name::SCHEDULE) else { return Ok(None) };
    let calendar = match Calendar::new(when, schedule.headers.get(name::SCHEDULE_TIME_ZONE), schedule.at) {
        Ok(Some(calendar)) => calendar,
        Ok(None) => return Ok(None),
        Err(error) => {
            // The broker knows the zone, this machine does not.
            tracing::warn!(task = %fired.base, skill = %fired.skill, %error, "missed moments cannot be told");
            return Ok(None);
        }
    };
    let (revision, state) = read(parts, &fired.skill, &fired.base).await?;
    let state = state.filter(|state| state.schedule == schedule.sequence);
    let before = match state {
        Some(state) => Before { next: state.next, firing: state.firing },
        None => Before { next: calendar.first(schedule.at).unwrap_or(schedule.at), firing: 0 },
    };
    let calendar = calendar.counted_from(before.next);
    Ok(Some(Known { schedule: schedule.sequence, calendar, before, state, revision }))
}

/// The note, and the sequence to write over.
async fn read(parts: &Parts, skill: &Skill, base: &TaskId) -> Result<(u64, Option<CronState>), Error> {
    let stream = assets::bucket_stream(assets::CONFIG_BUCKET);
    let stored = parts.broker.last(stream, subject::cron_state(skill, base)).await.map_err(Error::Read)?;
    // The mark of a deleted key has no body; what another version wrote begins anew.
    Ok(stored.map_or((0, None), |stored| (stored.sequence, serde_json::from_slice(&stored.body).ok())))
}

/// Writes the note unless one that is further on stands there. Says which sequence stands.
async fn note(parts: &Parts, skill: &Skill, base: &TaskId, state: CronState, mut over: u64) -> Result<u64, Error> {
    let body = bytes::Bytes::from(serde_json::to_vec(&state).expect("a plain record always encodes"));
    let mut tries = 1;
    loop {
        let message = Message::new(subject::cron_state(skill, base), body.clone());
        match parts.broker.publish(message, Expect::Last(over)).await {
            Ok(receipt) => return Ok(receipt.sequence),
            Err(PublishError::Conflict { .. }) if tries < TRIES => {
                let (revision, stands) = read(parts, skill, base).await?;
                let is_ahead = stands.is_some_and(|stands| {
                    (stands.schedule, stands.next, stands.firing) >= (state.schedule, state.next, state.firing)
                });
                if is_ahead {
                    return Ok(revision);
                }
                (over, tries) = (revision, tries + 1);
            }
            Err(error) => return Err(Error::Write(error)),
        }
    }
}

/// Notes when a schedule that was just made is due first, so that this moment, too, can be seen to be missed.
///
/// Only a help: without the note the first firing makes it.
pub(crate) async fn begin(parts: &Parts, skill: &Skill, base: &TaskId) {
    if let Err(error) = try_begin(parts, skill, base).await {
        tracing::debug!(task = %base, %skill, error = &error as &dyn std::error::Error, "first moment is not noted");
    }
}

async fn try_begin(parts: &Parts, skill: &Skill, base: &TaskId) -> Result<(), Error> {
    let stored = parts.broker.last(assets::SCHEDULES.to_owned(), subject::schedule(skill, base)).await;
    let Some(schedule) = stored.map_err(Error::Schedule)? else { return Ok(()) };
    let when = schedule.headers.get(name::SCHEDULE).unwrap_or_default();
    let zone = schedule.headers.get(name::SCHEDULE_TIME_ZONE);
    let Ok(Some(calendar)) = Calendar::new(when, zone, schedule.at) else { return Ok(()) };
    let Some(next) = calendar.first(schedule.at) else { return Ok(()) };
    let state = CronState { schedule: schedule.sequence, firing: 0, next, last: None, left_out: None };
    note(parts, skill, base, state, 0).await.map(|_| ())
}
