//! Makes up for moments that the broker will not fire any more: one that was killed goes on with the next moment.
//!
//! On the leader only, to spare the others the work. A moment counts as missed when its time has passed by more than a
//! firing is ever late and nothing the schedule fired is still under way. A firing that comes all the same finds the note
//! moved on, or makes tasks of the same ids.

use std::time::Duration;

use nova_broker::{BrokerError, Scan, Settle};
use nova_engine::recur::{EARLY, Firing, LATE, plan};
use nova_runtime::Shutdown;
use nova_types::{Skill, TaskId, UnixMillis};
use nova_wire::{CronState, assets, name, subject};

use super::forward::Forward;
use super::recur::{self, Recurring, catch_up, known_at};
use crate::Parts;
use crate::leader::Leadership;
use crate::record::Corpse;

/// How many notes are read at a time.
const PAGE: usize = 1000;
/// How many firings under way are looked through for one of the schedule itself.
const UNDER_WAY: usize = 1000;

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// The pause between rounds. Default 3 s.
    pub(crate) every: Duration,
}

/// The part.
pub(crate) struct Service {
    forward: Forward,
    options: Options,
    leadership: Leadership,
}

impl Service {
    pub(crate) fn new(parts: Parts, options: Options, leadership: Leadership) -> Self {
        let full_pause = super::Options::default().full_pause;
        Self { forward: Forward { parts, full_pause }, options, leadership }
    }

    /// Looks while it leads, until told to stop.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        loop {
            if self.leadership.is_held()
                && let Err(error) = self.round().await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "missed moments are not made up for yet");
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(self.options.every) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn round(&self) -> Result<(), recur::Error> {
        let broker = &self.forward.parts.broker;
        let due = broker.consumer(assets::SCHEDULES.to_owned(), assets::DUE_CONSUMER.to_owned()).await;
        let Some(due) = due.map_err(recur::Error::Read)? else { return Ok(()) };
        let overdue = UnixMillis(due.now.0.saturating_sub(i64::try_from(LATE.as_millis()).unwrap_or(i64::MAX)));
        let mut from = 1;
        loop {
            let scan = Scan::all(assets::bucket_stream(assets::CONFIG_BUCKET), subject::all_cron_states(), PAGE);
            let page = broker.scan(scan.from(from)).await.map_err(recur::Error::Read)?;
            let Some(last) = page.last() else { return Ok(()) };
            from = last.sequence + 1;
            for note in page {
                let state = serde_json::from_slice::<CronState>(&note.body).ok();
                let Some((skill, task)) = subject::parse_cron_state(&note.subject) else { continue };
                if state.is_some_and(|state| state.next < overdue) {
                    self.look(skill, task, due.ack_floor, due.now).await?;
                }
            }
        }
    }

    /// Looks at one schedule whose next moment has passed unseen.
    async fn look(&self, skill: Skill, task: TaskId, floor: u64, now: UnixMillis) -> Result<(), recur::Error> {
        let parts = &self.forward.parts;
        let subject = subject::schedule(&skill, &task);
        let stored = parts.broker.last(assets::SCHEDULES.to_owned(), subject.clone()).await;
        let Some(schedule) = stored.map_err(recur::Error::Schedule)? else { return Ok(()) };
        let target = schedule.headers.get(name::SCHEDULE_TARGET).and_then(subject::parse_due);
        let Some((_, priority)) = target.filter(|(target, _)| *target == skill) else { return Ok(()) };
        if self.is_under_way(&subject, floor).await.map_err(recur::Error::Schedule)? {
            return Ok(());
        }
        // What is due just now is the broker's to fire.
        let at = UnixMillis(now.0.saturating_sub(1000));
        let fired = |next| Recurring { skill: skill.clone(), priority, base: task.clone(), next };
        let Some(known) = known_at(parts, &schedule, &fired(at)).await? else { return Ok(()) };
        let Some(next) = known.calendar.after(at.plus(EARLY)) else { return Ok(()) };
        let fired = fired(next);
        let firing = Firing { at, next, sequence: known.before.firing + 1 };
        let plan = plan(catch_up(&schedule.headers), firing, known.before, known.calendar.back_from(next));
        if !plan.run.is_empty() {
            tracing::info!(%task, %skill, moments = plan.run.len(), "making up for missed moments of a schedule");
        }
        let source = Corpse {
            stream: assets::SCHEDULES.to_owned(),
            sequence: schedule.sequence,
            at: schedule.at,
            headers: schedule.headers,
            body: schedule.body,
        };
        let done = self.forward.carry_out(&source, &fired, &known, plan, known.before.firing).await?;
        if !matches!(done, Settle::Ack) {
            tracing::warn!(%task, %skill, "missed moments wait for room in their queue");
        }
        Ok(())
    }

    /// Whether something the schedule fired is not dealt with: then that decides.
    async fn is_under_way(&self, schedule: &str, floor: u64) -> Result<bool, BrokerError> {
        let scan = Scan::all(assets::SCHEDULES, subject::ALL_DUE, UNDER_WAY).from(floor + 1);
        let open = self.forward.parts.broker.scan(scan).await?;
        // Of so many nobody knows.
        let is_full = open.len() >= UNDER_WAY;
        Ok(is_full || open.iter().any(|stored| stored.headers.get(name::SCHEDULER) == Some(schedule)))
    }
}
