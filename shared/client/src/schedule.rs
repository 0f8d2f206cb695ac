//! Delayed and recurring tasks: asked of the coordinators.

use std::time::Duration;

use nova_broker::{BrokerError, Message, Purge};
use nova_types::{CatchUp, Skill, TaskId};
use nova_wire::{InvalidSchedule, ScheduleSpec, assets, name, subject};
use serde::Deserialize;

use crate::schedule_list::read_entry;
use crate::{Client, QueryError, Submit, SubmitError};

/// How long a coordinator may take to answer: above a leader's re-election of the broker.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A schedule that was not made, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// Its time cannot be understood.
    #[error(transparent)]
    Spec(#[from] InvalidSchedule),
    /// The time zone can only count for a cron line.
    #[error("a time zone needs a cron line")]
    ZoneWithoutCron,
    /// Only a recurring schedule can miss more than one moment.
    #[error("a catch-up policy needs a recurring schedule")]
    CatchUpOnce,
    /// The task itself cannot be submitted.
    #[error("the task to schedule was refused")]
    Task(#[source] SubmitError),
    /// Nobody is there to make it.
    #[error("no coordinator is running: schedules are made by the coordinators")]
    NoCoordinator,
    /// The coordinator said no.
    #[error("task {task} was not scheduled: {message}")]
    Refused {
        /// The task.
        task: TaskId,
        /// The coordinator's own code.
        code: String,
        /// Its words.
        message: String,
    },
    /// No answer came: it may be scheduled or not. Asking again with the same id is safe, it is refused when it exists.
    #[error("no answer on whether task {task} is scheduled")]
    NoAnswer {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// The coordinator's answer cannot be understood.
    #[error("the coordinator's answer for task {task} cannot be understood")]
    Garbled {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl ScheduleError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Spec(_) | Self::ZoneWithoutCron | Self::CatchUpOnce => "bad_schedule",
            Self::Task(source) => source.code(),
            Self::NoCoordinator => "no_coordinator",
            Self::Refused { .. } => "schedule_refused",
            Self::NoAnswer { .. } => "no_receipt",
            Self::Garbled { .. } => "garbled_record",
        }
    }

    /// Whether the same request may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Task(source) => source.is_transient(),
            Self::NoAnswer { source, .. } => source.is_transient(),
            // The coordinators' own word for "later".
            Self::Refused { code, .. } => code == "503",
            _ => false,
        }
    }
}

/// The schedule is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleReceipt {
    /// The task's id; what a recurring one fires has `-<unix seconds>` appended.
    pub task: TaskId,
    /// Its skill.
    pub skill: Skill,
    /// The stream that holds the schedule.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
}

#[derive(Deserialize)]
struct Answer {
    stream: String,
    seq: u64,
}

/// What a schedule asks for beside its time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScheduleOptions {
    /// The time zone of a cron line; UTC when `None`.
    pub time_zone: Option<String>,
    /// What is made up for that a recurring one missed; the fleet's own way when `None`, which is [`CatchUp::One`].
    pub catch_up: Option<CatchUp>,
}

impl Client {
    /// Has a task submitted later, or again and again; a coordinator makes the schedule and answers for it.
    ///
    /// # Errors
    /// [`ScheduleError`]. After [`ScheduleError::NoAnswer`] the same id may be asked for again.
    pub async fn schedule(
        &self,
        submit: Submit,
        when: ScheduleSpec,
        time_zone: Option<&str>,
    ) -> Result<ScheduleReceipt, ScheduleError> {
        let options = ScheduleOptions { time_zone: time_zone.map(ToOwned::to_owned), catch_up: None };
        self.schedule_with(submit, when, &options).await
    }

    /// The same, with all that can be asked for.
    ///
    /// # Errors
    /// [`ScheduleError`]. After [`ScheduleError::NoAnswer`] the same id may be asked for again.
    pub async fn schedule_with(
        &self,
        submit: Submit,
        when: ScheduleSpec,
        options: &ScheduleOptions,
    ) -> Result<ScheduleReceipt, ScheduleError> {
        if options.time_zone.is_some() && !matches!(when, ScheduleSpec::Cron(_)) {
            return Err(ScheduleError::ZoneWithoutCron);
        }
        if options.catch_up.is_some() && !when.is_recurring() {
            return Err(ScheduleError::CatchUpOnce);
        }
        let prepared = self.prepare(submit).await.map_err(ScheduleError::Task)?;
        let (task, skill) = (prepared.task, prepared.skill);
        let mut headers = prepared.headers;
        headers.set(name::WHEN, when.to_string());
        headers.set(name::PRIORITY, prepared.priority.as_str());
        if let Some(time_zone) = &options.time_zone {
            headers.set(name::TIME_ZONE, time_zone.clone());
        }
        if let Some(catch_up) = options.catch_up {
            headers.set(name::CATCH_UP, catch_up.as_str());
        }
        let request = Message::new(subject::later(&skill, &task), prepared.body).with_headers(headers);
        let answer = match self.inner.broker.ask(request, ANSWER_WITHIN).await {
            Ok(answer) => answer,
            Err(BrokerError::NotFound { .. }) => return Err(ScheduleError::NoCoordinator),
            Err(source) => return Err(ScheduleError::NoAnswer { task, source }),
        };
        read_answer(task, skill, &answer)
    }

    /// Deletes a schedule, and cancels the task of one that fires once. Says whether there was one.
    ///
    /// That cancel is stored first, so that the task keeps its one outcome even when this call breaks off. What a
    /// recurring schedule fired before has ids of its own and goes on. Deleting needs an operator's rights.
    ///
    /// # Errors
    /// [`QueryError::Write`], [`QueryError::Broker`]; safe to call again.
    pub async fn unschedule(&self, skill: &Skill, task: &TaskId) -> Result<bool, QueryError> {
        let subject = subject::schedule(skill, task);
        let failed = || QueryError::broker(format!("delete the schedule of task {task}"));
        let broker = &self.inner.broker;
        let found = broker.last(assets::SCHEDULES.to_owned(), subject.clone()).await.map_err(failed())?;
        let Some(entry) = found.as_ref().and_then(read_entry) else { return Ok(false) };
        if !entry.is_recurring() {
            self.cancel(skill, task).await?;
        }
        broker.purge(assets::SCHEDULES.to_owned(), Purge::Subject(subject)).await.map_err(failed())?;
        if entry.is_recurring() {
            // Another schedule of this id would not take the note for its own: what stays behind is only a few bytes.
            let note = Purge::Subject(subject::cron_state(skill, task));
            if let Err(error) = broker.purge(assets::bucket_stream(assets::CONFIG_BUCKET), note).await {
                tracing::debug!(%task, %error, "the note of how far a schedule came stays behind");
            }
        }
        Ok(true)
    }
}

/// The header of a NATS service that holds the code of its refusal.
const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";
/// The header of a NATS service that holds the words of its refusal.
const SERVICE_ERROR: &str = "Nats-Service-Error";

fn read_answer(task: TaskId, skill: Skill, answer: &Message) -> Result<ScheduleReceipt, ScheduleError> {
    let header = |name: &str| answer.headers.get(name).map(ToOwned::to_owned);
    if let (code, Some(message)) = (header(SERVICE_ERROR_CODE), header(SERVICE_ERROR)) {
        return Err(ScheduleError::Refused { task, code: code.unwrap_or_default(), message });
    }
    match serde_json::from_slice::<Answer>(&answer.body) {
        Ok(Answer { stream, seq }) => Ok(ScheduleReceipt { task, skill, stream, sequence: seq }),
        Err(source) => Err(ScheduleError::Garbled { task, source }),
    }
}

#[cfg(test)]
mod tests {
    use nova_wire::Headers;

    use super::*;

    fn answer(headers: Headers, body: &'static str) -> Result<ScheduleReceipt, ScheduleError> {
        let skill = Skill::new("echo").expect("a skill");
        let message = Message::new("_INBOX.x", body).with_headers(headers);
        read_answer("a.b".parse().expect("an id"), skill, &message)
    }

    #[test]
    fn a_refusal_is_told_in_the_coordinators_words() {
        let headers = Headers::new().with(SERVICE_ERROR_CODE, "409").with(SERVICE_ERROR, "it exists");
        let error = answer(headers, "").expect_err("refused");
        assert_eq!(error.to_string(), "task a.b was not scheduled: it exists");
        assert!(!error.is_transient());
    }

    #[test]
    fn a_receipt_names_stream_and_sequence() {
        let receipt = answer(Headers::new(), r#"{"stream":"NOVA_SCHEDULES","seq":3}"#).expect("a receipt");
        assert_eq!((receipt.stream.as_str(), receipt.sequence), ("NOVA_SCHEDULES", 3));
        assert_eq!(answer(Headers::new(), "?").expect_err("no JSON").code(), "garbled_record");
    }
}
