//! A submit that failed, and why a full queue is full.

use std::fmt;
use std::time::Duration;

use nova_broker::{BlobError, PublishError, StreamInfo};
use nova_types::{Skill, TaskId, codes};
use nova_wire::{DecodeError, Headers, assets, name};

use crate::error::list;
use crate::{Client, KeyStoreError, QueueView};

/// What fills a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullCause {
    /// Tasks that wait: more workers are needed, or fewer tasks.
    Backlog,
    /// Tasks that ended and are not trimmed yet: something old pins them, or no coordinator trims.
    History,
    /// It could not be read.
    NotKnown,
}

impl fmt::Display for FullCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backlog => "backlog",
            Self::History => "history",
            Self::NotKnown => "cause not known",
        })
    }
}

/// A task that was not submitted, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No stream takes tasks of this skill.
    #[error("no queue for skill `{skill}`: is it provisioned?{}", known_skills(.known.as_deref()))]
    NoQueue {
        /// The skill.
        skill: Skill,
        /// The skills that have a queue, where that could be read.
        known: Option<Vec<Skill>>,
    },
    /// The skill is not keyed, and the task has a key.
    #[error("skill `{skill}` is not keyed and takes no task with a key: submit without one, or set `keyed = true`")]
    NotKeyed {
        /// The skill.
        skill: Skill,
    },
    /// The queue is full.
    #[error("the queue of skill `{skill}` is full ({cause})")]
    Full {
        /// The skill.
        skill: Skill,
        /// What fills it.
        cause: FullCause,
    },
    /// The payload is larger than allowed.
    #[error("the payload of task {task} has {bytes} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The task.
        task: TaskId,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The payload is not what its content type says.
    #[error("the payload of task {task} is malformed")]
    BadInput {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// Its id, options or headers are not of the contract.
    #[error("task {task} cannot be submitted: {what}")]
    BadTask {
        /// The task.
        task: TaskId,
        /// What is wrong.
        what: String,
    },
    /// Another task with another input has its idempotency key; this one was not submitted.
    #[error("key `{key}` belongs to task {task}, whose input is another one")]
    Conflict {
        /// The task that has the key.
        task: TaskId,
        /// The key.
        key: String,
    },
    /// The record of its key could not be read or written; submitting it again with the same key is safe.
    #[error("could not use the key of task {task}")]
    KeyStore {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<KeyStoreError>,
    },
    /// Its large payload could not be stored; the task was not submitted.
    #[error("could not store the payload of task {task}")]
    Payload {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// No receipt came: the task may be stored or not. A user who may not submit sees this, too.
    #[error("no receipt for task {task} of skill `{skill}`: it may be stored; the same id can be submitted again")]
    NoReceipt {
        /// The task.
        task: TaskId,
        /// The skill.
        skill: Skill,
        /// The last try.
        #[source]
        source: Box<PublishError>,
    },
    /// The broker refused it for another reason.
    #[error("task {task} of skill `{skill}` was refused")]
    Refused {
        /// The task.
        task: TaskId,
        /// The skill.
        skill: Skill,
        /// Why.
        #[source]
        source: Box<PublishError>,
    },
}

impl SubmitError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoQueue { .. } => "no_queue",
            Self::NotKeyed { .. } => "not_keyed",
            Self::Full { cause: FullCause::History, .. } => "full_history",
            Self::Full { .. } => "full_backlog",
            Self::TooLarge { .. } => codes::TOO_LARGE,
            Self::BadInput { source, .. } => source.code(),
            Self::BadTask { .. } => "bad_task",
            Self::Conflict { .. } => "conflict",
            Self::KeyStore { .. } => "key_store",
            Self::Payload { .. } => "blob_store",
            Self::NoReceipt { .. } => "no_receipt",
            Self::Refused { .. } => "refused",
        }
    }

    /// Whether the same submit may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Full { .. } | Self::NoReceipt { .. } => true,
            Self::Payload { source, .. } => source.is_transient(),
            Self::KeyStore { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    pub(crate) fn key(task: &TaskId, source: KeyStoreError) -> Self {
        Self::KeyStore { task: task.clone(), source: Box::new(source) }
    }

    pub(crate) fn from_blob(task: &TaskId, source: BlobError) -> Self {
        let task = task.clone();
        match source {
            BlobError::TooLarge { size, limit } => Self::TooLarge { task, bytes: size, limit },
            source => Self::Payload { task, source: Box::new(source) },
        }
    }
}

fn known_skills(known: Option<&[Skill]>) -> String {
    match known {
        None => String::new(),
        Some([]) => " no skill is".to_owned(),
        Some(known) => format!(" known skills: {}", list(known)),
    }
}

/// How long an error's explanation may take: a user without the right to look sees only silence.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(2);

impl Client {
    /// Whether a queue is there that takes such a task; not where that cannot be read.
    pub(crate) async fn has_queue(&self, skill: &Skill, headers: &Headers) -> bool {
        let queue = self.inner.broker.stream(assets::tasks_stream(skill));
        let queue = tokio::time::timeout(EXPLAIN_WITHIN, queue).await.ok().and_then(Result::ok).flatten();
        queue.is_some_and(|queue| takes(&queue, headers))
    }

    /// Turns the broker's refusal into what a submitter can act on.
    pub(crate) async fn explain_refusal(
        &self,
        task: TaskId,
        skill: Skill,
        headers: &Headers,
        source: PublishError,
    ) -> SubmitError {
        match source {
            PublishError::NoStream { .. } => {
                let queues = self.inner.broker.streams(assets::TASKS_PREFIX.to_owned());
                let queues = tokio::time::timeout(EXPLAIN_WITHIN, queues).await.ok().and_then(Result::ok);
                let name = assets::tasks_stream(&skill);
                match queues.iter().flatten().find(|queue| queue.spec.name == name) {
                    // It will, once it has a leader.
                    Some(queue) if takes(queue, headers) => {
                        SubmitError::NoReceipt { task, skill, source: Box::new(source) }
                    }
                    Some(_) => SubmitError::NotKeyed { skill },
                    None => SubmitError::NoQueue { skill, known: queues.as_deref().map(skills_of) },
                }
            }
            PublishError::Full { .. } => {
                let queue = tokio::time::timeout(EXPLAIN_WITHIN, self.queue(&skill)).await;
                let cause = queue.ok().and_then(Result::ok).map_or(FullCause::NotKnown, |queue| what_fills(&queue));
                SubmitError::Full { skill, cause }
            }
            PublishError::TooLarge { bytes, .. } => {
                let limit = self.inner.broker.server().max_payload as u64;
                SubmitError::TooLarge { task, bytes: bytes as u64, limit }
            }
            source @ PublishError::Unknown { .. } => SubmitError::NoReceipt { task, skill, source: Box::new(source) },
            source => SubmitError::Refused { task, skill, source: Box::new(source) },
        }
    }

    /// The skills that have a queue.
    ///
    /// # Errors
    /// [`QueryError::Broker`](crate::QueryError::Broker); safe to call again.
    pub async fn skills(&self) -> Result<Vec<Skill>, crate::QueryError> {
        let streams = self.inner.broker.streams(assets::TASKS_PREFIX.to_owned()).await;
        let streams = streams.map_err(crate::QueryError::broker("list the queues"))?;
        Ok(skills_of(&streams))
    }
}

/// Whether a queue takes such a task: one with a key only where it makes something of subjects, which keyed ones do.
fn takes(queue: &StreamInfo, headers: &Headers) -> bool {
    headers.get(name::KEY).is_none() || queue.spec.transform.is_some()
}

fn skills_of(queues: &[StreamInfo]) -> Vec<Skill> {
    let mut skills: Vec<Skill> = queues.iter().filter_map(|queue| assets::skill_of_stream(&queue.spec.name)).collect();
    skills.sort();
    skills
}

/// What most of a full queue's messages are.
fn what_fills(queue: &QueueView) -> FullCause {
    let backlog = queue.lanes.iter().map(|lane| lane.waiting + lane.running).sum::<u64>();
    if backlog * 2 >= queue.messages { FullCause::Backlog } else { FullCause::History }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_skill_names_those_that_are_known() {
        let skill = |text: &str| Skill::new(text).expect("a skill");
        let error = |known| SubmitError::NoQueue { skill: skill("ecko"), known }.to_string();
        assert_eq!(
            error(Some(vec![skill("echo"), skill("http")])),
            "no queue for skill `ecko`: is it provisioned? known skills: echo, http"
        );
        assert_eq!(error(None), "no queue for skill `ecko`: is it provisioned?");
    }

    #[test]
    fn a_full_queue_is_full_of_what_it_holds_most() {
        let mut queue = crate::queue::tests::queue(100, &[(30, 30)]);
        assert_eq!(what_fills(&queue), FullCause::Backlog);
        queue.lanes[0].waiting = 3;
        assert_eq!(what_fills(&queue), FullCause::History);
    }
}
