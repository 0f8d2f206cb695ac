//! Schedules as they stand: read from the stream that holds them.

use std::collections::HashMap;
use std::ops::ControlFlow;

use nova_broker::Stored;
use nova_types::{CatchUp, Priority, Skill, TaskId, UnixMillis};
use nova_wire::{Calendar, CronState, Headers, InvalidSchedule, assets, name, parse_rfc3339, subject};

use crate::scan::walk;
use crate::{Client, QueryError};

/// One schedule as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleEntry {
    /// The task's id.
    pub task: TaskId,
    /// Its skill.
    pub skill: Skill,
    /// The priority of what it fires.
    pub priority: Priority,
    /// When, in the broker's words: `@at ...`, `@every ...` or a cron line of six fields.
    pub when: String,
    /// The time zone of a cron line.
    pub time_zone: Option<String>,
    /// The moment of a one-shot schedule.
    pub at: Option<UnixMillis>,
    /// When it was made or last changed.
    pub since: UnixMillis,
    /// What is made up for that was missed, of a recurring one.
    pub catch_up: CatchUp,
    /// How far a recurring one has come, when the coordinators noted it and it may be read.
    pub state: Option<CronState>,
    /// Its sequence.
    pub sequence: u64,
    /// All its headers.
    pub headers: Headers,
}

impl ScheduleEntry {
    /// Whether it fires more than once.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        self.at.is_none()
    }

    /// Whether it is a run's own timer, which fires no task.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.headers.get(name::TIMER).is_some()
    }

    /// When it is due; `None` of one that fires once.
    ///
    /// # Errors
    /// [`InvalidSchedule`] when this machine does not know its zone.
    pub fn calendar(&self) -> Result<Option<Calendar>, InvalidSchedule> {
        let calendar = Calendar::new(&self.when, self.time_zone.as_deref(), self.since)?;
        Ok(calendar.map(|calendar| match &self.state {
            Some(state) => calendar.counted_from(state.next),
            None => calendar,
        }))
    }

    /// The next moments of a recurring one, at most so many; none when this machine does not know its zone.
    #[must_use]
    pub fn upcoming(&self, now: UnixMillis, limit: usize) -> Vec<UnixMillis> {
        match (self.at, self.calendar()) {
            (Some(at), _) => vec![at],
            (None, Ok(Some(calendar))) => calendar.from(UnixMillis(now.0 + 1)).take(limit).collect(),
            (None, _) => Vec::new(),
        }
    }
}

/// Which schedules are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleFilter {
    /// Of this skill only.
    pub skill: Option<Skill>,
    /// At most so many; all when `None`.
    pub limit: Option<usize>,
}

/// Reads a message of the schedules; what is none, such as the mark of one that fired, is passed over.
pub(crate) fn read_entry(stored: &Stored) -> Option<ScheduleEntry> {
    let (skill, task) = subject::parse_schedule(&stored.subject)?;
    let when = stored.headers.get(name::SCHEDULE)?.to_owned();
    let target = stored.headers.get(name::SCHEDULE_TARGET).and_then(subject::parse_due);
    Some(ScheduleEntry {
        task,
        skill,
        priority: target.map(|(_, priority)| priority).unwrap_or_default(),
        at: when.strip_prefix("@at ").and_then(parse_rfc3339),
        when,
        time_zone: stored.headers.get(name::SCHEDULE_TIME_ZONE).map(ToOwned::to_owned),
        since: stored.at,
        catch_up: stored.headers.get(name::CATCH_UP).and_then(|word| word.parse().ok()).unwrap_or_default(),
        state: None,
        sequence: stored.sequence,
        headers: stored.headers.clone(),
    })
}

impl Client {
    /// The schedules as they stand, by skill and id.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn schedules(&self, filter: &ScheduleFilter) -> Result<Vec<ScheduleEntry>, QueryError> {
        let failed = || QueryError::broker("list the schedules");
        let stream = self.inner.broker.stream(assets::SCHEDULES.to_owned()).await.map_err(failed())?;
        let Some(stream) = stream else { return Ok(Vec::new()) };
        let subject = filter.skill.as_ref().map_or_else(|| subject::SCHEDULE_SPACE.to_owned(), subject::schedules_of);
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut entries = Vec::new();
        walk(&*self.inner.broker, assets::SCHEDULES, &subject, stream.first_sequence, stream.last_sequence, |stored| {
            entries.extend(read_entry(&stored));
            if entries.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .await
        .map_err(failed())?;
        if entries.iter().any(ScheduleEntry::is_recurring) {
            let states = self.cron_states().await;
            for entry in &mut entries {
                let state = states.get(&(entry.skill.clone(), entry.task.clone()));
                entry.state = state.copied().filter(|state| state.schedule == entry.sequence);
            }
        }
        entries.sort_by(|a, b| (&a.skill, &a.task).cmp(&(&b.skill, &b.task)));
        Ok(entries)
    }

    /// One schedule as it stands.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn schedule_entry(&self, skill: &Skill, task: &TaskId) -> Result<Option<ScheduleEntry>, QueryError> {
        let found = self.stored_schedule(skill, task).await?;
        Ok(found.map(|(entry, _)| entry))
    }

    /// The same with its body.
    pub(crate) async fn stored_schedule(
        &self,
        skill: &Skill,
        task: &TaskId,
    ) -> Result<Option<(ScheduleEntry, bytes::Bytes)>, QueryError> {
        let failed = QueryError::broker(format!("read the schedule of task {task}"));
        let subject = subject::schedule(skill, task);
        let stored = self.inner.broker.last(assets::SCHEDULES.to_owned(), subject).await.map_err(failed)?;
        let Some((mut entry, body)) = stored.and_then(|stored| Some((read_entry(&stored)?, stored.body))) else {
            return Ok(None);
        };
        if entry.is_recurring() {
            entry.state = self.cron_state(&entry).await;
        }
        Ok(Some((entry, body)))
    }

    /// How far each recurring schedule has come; nothing where that may not be read.
    async fn cron_states(&self) -> HashMap<(Skill, TaskId), CronState> {
        let bucket = assets::bucket_stream(assets::CONFIG_BUCKET);
        let mut states = HashMap::new();
        let walked = walk(&*self.inner.broker, &bucket, &subject::all_cron_states(), 1, u64::MAX, |stored| {
            if let (Some(key), Ok(state)) =
                (subject::parse_cron_state(&stored.subject), serde_json::from_slice(&stored.body))
            {
                states.insert(key, state);
            }
            ControlFlow::Continue(())
        })
        .await;
        if let Err(error) = walked {
            tracing::debug!(%error, "how far schedules have come is not known");
        }
        states
    }

    /// How far a schedule has come; nothing where that may not be read.
    async fn cron_state(&self, entry: &ScheduleEntry) -> Option<CronState> {
        let bucket = assets::bucket_stream(assets::CONFIG_BUCKET);
        match self.inner.broker.last(bucket, subject::cron_state(&entry.skill, &entry.task)).await {
            Ok(stored) => {
                let state: CronState = serde_json::from_slice(&stored?.body).ok()?;
                (state.schedule == entry.sequence).then_some(state)
            }
            Err(error) => {
                tracing::debug!(task = %entry.task, %error, "how far the schedule has come is not known");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_from_its_message_and_a_mark_does_not() {
        let mut stored = Stored {
            subject: "nova.schedule.echo.a.b".into(),
            sequence: 1,
            at: UnixMillis(9),
            headers: Headers::new()
                .with(name::SCHEDULE, "@at 1970-01-01T00:00:03Z")
                .with(name::SCHEDULE_TARGET, "nova.due.echo.low"),
            body: bytes::Bytes::new(),
        };
        let entry = read_entry(&stored).expect("a schedule");
        assert_eq!((entry.at, entry.priority, entry.is_recurring()), (Some(UnixMillis(3000)), Priority::Low, false));
        stored.headers = Headers::new().with("Nats-Marker-Reason", "MaxAge");
        assert_eq!(read_entry(&stored), None);
    }
}
