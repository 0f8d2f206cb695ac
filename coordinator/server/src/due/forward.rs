//! Puts what has become due into its queue.

use std::time::Duration;

use nova_broker::{Delivery, Expect, Message, PublishError, Settle};
use nova_runtime::Metric;
use nova_types::{Priority, Skill, TaskId, codes};
use nova_wire::{Headers, TaskKey, assets, name, subject};

use crate::Parts;
use crate::record::{Corpse, bury};

/// The pause after a write that is not known to be done.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The way into the queues.
pub(super) struct Forward {
    pub(super) parts: Parts,
    /// How long a due task waits that its queue has no room for.
    pub(super) full_pause: Duration,
}

impl Forward {
    /// Puts a task into its queue, or ends it where it can never go there.
    pub(super) async fn publish(
        &self,
        source: &Corpse,
        skill: &Skill,
        priority: Priority,
        id: &TaskId,
        headers: Headers,
    ) -> Settle {
        let key = headers.get(name::KEY).and_then(|text| TaskKey::new(text).ok());
        let subject = subject::task_of(skill, priority, key.as_ref());
        let message = Message::new(subject, source.body.clone()).with_headers(headers);
        let error = match self.parts.broker.publish(message, Expect::Any).await {
            Ok(_) => {
                self.parts.metrics.inc(Metric::DueForwarded, &[skill.as_str()]);
                return Settle::Ack;
            }
            Err(error) => error,
        };
        match &error {
            // While a replicated queue has no leader nobody answers for it, as if it were not there.
            PublishError::NoStream { .. } if !self.is_missing(skill, key.is_some()).await => {
                tracing::warn!(task = %id, %skill, "due task waits for its queue");
                Settle::Nak { delay: RETRY }
            }
            PublishError::NoStream { .. } => {
                self.refuse(source, skill, id, codes::BAD_SUBJECT, "its skill has no queue").await
            }
            PublishError::TooLarge { .. } => self.refuse(source, skill, id, codes::TOO_LARGE, &error.to_string()).await,
            PublishError::Full { .. } => {
                tracing::warn!(task = %id, %skill, %error, "due task waits for room in its queue");
                Settle::Nak { delay: self.full_pause }
            }
            _ => {
                tracing::warn!(task = %id, %skill, %error, "due task is not known to be in its queue");
                Settle::Nak { delay: RETRY }
            }
        }
    }

    /// Whether there surely is no queue for it.
    async fn is_missing(&self, skill: &Skill, is_keyed: bool) -> bool {
        match self.parts.broker.stream(assets::tasks_stream(skill)).await {
            Ok(queue) => queue.is_none_or(|queue| is_keyed && queue.spec.transform.is_none()),
            Err(_) => false,
        }
    }

    /// Ends a task unrun.
    pub(super) async fn refuse(&self, source: &Corpse, skill: &Skill, id: &TaskId, code: &str, why: &str) -> Settle {
        match bury(&self.parts, skill, id, &code.into(), why, source).await {
            Ok(_) => {
                tracing::warn!(task = %id, %skill, code, why, "due task is dead");
                Settle::Ack
            }
            Err(error) => {
                tracing::warn!(task = %id, %skill, %error, "due task could not be buried");
                Settle::Nak { delay: self.full_pause }
            }
        }
    }
}

/// What a firing's tasks are made of.
pub(super) fn source(delivery: &Delivery) -> Corpse {
    Corpse {
        stream: assets::SCHEDULES.to_owned(),
        sequence: delivery.sequence,
        at: delivery.at,
        headers: delivery.headers.clone(),
        body: delivery.body.clone(),
    }
}
