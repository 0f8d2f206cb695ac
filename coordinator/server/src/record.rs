//! Ends a task from here: its outcome under compare-and-set, its dead letter, and whoever waits is told.

use bytes::Bytes;
use nova_broker::{BrokerError, Expect, Message, PublishError};
use nova_types::{Code, Outcome, OutcomeKind, Skill, TaskId, UnixMillis, Usage};
use nova_wire::{
    AttemptRecord, DeadLetter, ErrorBody, EventKind, Headers, TaskEventRecord, assets, name, parse_outcome, subject,
    write_outcome,
};

use crate::Parts;

/// A record that could not be written or read; the same call may be made again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("could not write a record of task {task}")]
    Write {
        task: TaskId,
        #[source]
        source: PublishError,
    },
    #[error("could not read a record of task {task}")]
    Read {
        task: TaskId,
        #[source]
        source: BrokerError,
    },
}

/// A task's end as it is to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) kind: OutcomeKind,
    pub(crate) skill: Skill,
    pub(crate) task: TaskId,
    /// The attempts that failed before.
    pub(crate) attempt: u32,
    pub(crate) submitted: Option<UnixMillis>,
    pub(crate) error: ErrorBody,
}

/// Whose outcome stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stands {
    /// The one just written.
    Ours,
    /// One that was there; `None` when it cannot be read.
    Another(Option<Box<Outcome>>),
}

impl End {
    /// Writes the outcome, unless there is one, and tells of it.
    pub(crate) async fn record(&self, parts: &Parts) -> Result<Stands, RecordError> {
        let outcome = Outcome {
            kind: self.kind,
            task: self.task.clone(),
            skill: self.skill.clone(),
            attempt: self.attempt,
            worker: Some(parts.name.clone()),
            nonce: None,
            submitted: self.submitted,
            started: None,
            finished: parts.clock.now(),
            code: Some(self.error.code.clone()),
            usage: Usage::default(),
            items: None,
        };
        let body: Bytes = serde_json::to_vec(&self.error).expect("a plain record always encodes").into();
        let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
        let message = Message::new(subject::outcome(&self.skill, &self.task), body).with_headers(headers);
        match parts.broker.publish(message.clone(), Expect::NOTHING).await {
            Ok(_) => {}
            Err(PublishError::Conflict { .. }) => {
                return Ok(Stands::Another(
                    outcome_of(parts, &self.skill, &self.task).await?.map(|(outcome, _)| Box::new(outcome)),
                ));
            }
            Err(source) => return Err(RecordError::Write { task: self.task.clone(), source }),
        }
        self.tell(parts, message, outcome.finished).await;
        Ok(Stands::Ours)
    }

    /// Tells waiters and the event stream. Only a courtesy: the record stands.
    async fn tell(&self, parts: &Parts, message: Message, at: UnixMillis) {
        let kind = match self.kind {
            OutcomeKind::Cancelled => EventKind::Cancelled,
            OutcomeKind::Dead | OutcomeKind::Completed => EventKind::Dead,
        };
        let event = TaskEventRecord {
            kind,
            task: self.task.clone(),
            skill: self.skill.clone(),
            attempt: self.attempt,
            worker: Some(parts.name.clone()),
            at,
            code: Some(self.error.code.clone()),
            message: Some(self.error.message.clone()),
            fraction: None,
            next_at: None,
        };
        let body = serde_json::to_vec(&event).expect("a plain record always encodes");
        let event = Message::new(subject::task_event(kind.as_str(), &self.skill, &self.task), body);
        let done = Message { subject: subject::done(&self.skill, &self.task), ..message };
        for message in [done, event] {
            if let Err(error) = parts.broker.tell(message).await {
                tracing::debug!(task = %self.task, %error, "the end of a task was not told");
            }
        }
    }
}

/// A message that ends as a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Corpse {
    pub(crate) stream: String,
    pub(crate) sequence: u64,
    pub(crate) at: UnixMillis,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

/// Records a task as dead and keeps its bytes; every step is safe to repeat. Says whether a task of that id has another
/// end already, in which case nothing was kept.
pub(crate) async fn bury(
    parts: &Parts,
    skill: &Skill,
    task: &TaskId,
    code: &Code,
    why: &str,
    corpse: &Corpse,
) -> Result<bool, RecordError> {
    let attempts = attempts_of(parts, skill, task).await?;
    let end = End {
        kind: OutcomeKind::Dead,
        skill: skill.clone(),
        task: task.clone(),
        attempt: attempts.failed,
        submitted: Some(corpse.at),
        error: ErrorBody::new(code.clone(), why),
    };
    if let Stands::Another(outcome) = end.record(parts).await? {
        // Our own record of a round that broke off looks like this.
        let is_same = outcome.is_some_and(|o| o.kind == OutcomeKind::Dead && o.code.as_ref() == Some(code));
        if !is_same {
            return Ok(true);
        }
    }
    let letter = DeadLetter {
        code: code.clone(),
        task: task.clone(),
        skill: skill.clone(),
        attempts: attempts.failed,
        stream: corpse.stream.clone(),
        sequence: corpse.sequence,
        history: attempts.history_json(),
        headers: corpse.headers.clone(),
        body: corpse.body.clone(),
    };
    let message = Message::new(subject::dead(skill, task), letter.body.clone()).with_headers(letter.to_headers());
    match parts.broker.publish(message, Expect::NOTHING).await {
        Ok(_) | Err(PublishError::Conflict { .. }) => Ok(false),
        Err(source) => Err(RecordError::Write { task: task.clone(), source }),
    }
}

/// A task's outcome and the message that holds it.
pub(crate) async fn outcome_of(
    parts: &Parts,
    skill: &Skill,
    task: &TaskId,
) -> Result<Option<(Outcome, Message)>, RecordError> {
    let subject = subject::outcome(skill, task);
    let stored = parts.broker.last(assets::OUTCOMES.to_owned(), subject).await;
    let stored = stored.map_err(|source| RecordError::Read { task: task.clone(), source })?;
    Ok(stored.and_then(|stored| {
        let outcome = parse_outcome(stored.headers.get(name::OUTCOME)?).ok()?;
        let message = Message { subject: stored.subject, headers: stored.headers, body: stored.body, reply: None };
        Some((outcome, message))
    }))
}

/// What is known of a task's attempts.
pub(crate) async fn attempts_of(parts: &Parts, skill: &Skill, task: &TaskId) -> Result<AttemptRecord, RecordError> {
    let stored = parts.broker.last(assets::ATTEMPTS.to_owned(), subject::attempt(skill, task)).await;
    let stored = stored.map_err(|source| RecordError::Read { task: task.clone(), source })?;
    Ok(stored.and_then(|stored| serde_json::from_slice(&stored.body).ok()).unwrap_or_default())
}
