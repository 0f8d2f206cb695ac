//! Tells what happened to tasks.

use nova_broker::{BrokerRef, Expect, Message};
use nova_types::{Code, Skill, TaskId, WorkerId};
use nova_wire::{EventKind, EventLevel, TaskEventRecord, subject};

/// Publishes the events of one worker.
#[derive(Clone)]
pub(crate) struct Events {
    pub(crate) broker: BrokerRef,
    pub(crate) worker: WorkerId,
    pub(crate) clock: nova_runtime::ClockRef,
    pub(crate) level: EventLevel,
}

impl Events {
    /// An event of this worker, to be filled in and told.
    pub(crate) fn event(&self, kind: EventKind, skill: &Skill, task: &TaskId, attempt: u32) -> TaskEventRecord {
        TaskEventRecord {
            kind,
            task: task.clone(),
            skill: skill.clone(),
            attempt,
            worker: Some(self.worker.clone()),
            at: self.clock.now(),
            code: None,
            message: None,
            fraction: None,
            next_at: None,
        }
    }

    /// The same with why.
    pub(crate) fn failure(
        &self,
        kind: EventKind,
        skill: &Skill,
        task: &TaskId,
        attempt: u32,
        code: Code,
        message: &str,
    ) -> TaskEventRecord {
        TaskEventRecord {
            code: Some(code),
            message: Some(message.to_owned()),
            ..self.event(kind, skill, task, attempt)
        }
    }

    /// Stores an event and waits for the receipt. One that cannot be stored is logged, never in the way of its task.
    pub(crate) async fn store(&self, event: TaskEventRecord) {
        let message = Self::message(&event);
        if let Err(error) = self.broker.publish(message, Expect::Any).await {
            tracing::warn!(task = %event.task, kind = event.kind.as_str(), %error, "event was not stored");
        }
    }

    /// Tells an event to whoever watches, without waiting for its storage.
    pub(crate) async fn tell(&self, event: TaskEventRecord) {
        if let Err(error) = self.broker.tell(Self::message(&event)).await {
            tracing::debug!(task = %event.task, kind = event.kind.as_str(), %error, "event was not told");
        }
    }

    /// Whether events of all kinds are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.level == EventLevel::Full
    }

    fn message(event: &TaskEventRecord) -> Message {
        let body = serde_json::to_vec(event).expect("a plain record always encodes");
        Message::new(subject::task_event(event.kind.as_str(), &event.skill, &event.task), body)
    }
}
