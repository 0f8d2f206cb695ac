//! An attempt that failed: it is noted, and the task comes again after a pause, where it may.

use std::time::Duration;

use nova_broker::{Expect, Message, PublishError, Settle};
use nova_types::Generation;
use nova_wire::{ErrorBody, EventKind, FailedAttempt, Headers, Task, limits, name, subject};

use crate::case::Case;
use crate::retry::NotKept;
use crate::station::Station;

impl Station {
    /// Notes the failure that ends a task; says whether it is this attempt's to end.
    pub(crate) async fn has_noted_end(&self, case: &Case, error: &ErrorBody) -> bool {
        self.meters.failed.inc();
        let failure = self.failure(case, error);
        match case.attempts.change(case.attempt, |record| record.fail(failure.clone())).await {
            Ok(()) => true,
            Err(NotKept::Overtaken { .. }) => {
                self.fenced(case).await;
                false
            }
            Err(not_kept) => {
                // It may stand or not: the letter tells of the attempt all the same.
                tracing::warn!(task = %case.task.id, error = %not_kept, "last attempt was not noted");
                case.attempts.presume(|record| record.fail(failure)).await;
                true
            }
        }
    }

    fn failure(&self, case: &Case, error: &ErrorBody) -> FailedAttempt {
        let now = self.clock.now();
        FailedAttempt {
            attempt: case.attempt,
            worker: self.worker.clone(),
            started: case.started.unwrap_or(now),
            finished: now,
            code: error.code.clone(),
            message: error.message.clone(),
        }
    }

    async fn note_failure(&self, case: &Case, error: &ErrorBody) -> Result<(), NotKept> {
        let failure = self.failure(case, error);
        case.attempts.change(case.attempt, |record| record.fail(failure.clone())).await
    }

    pub(super) async fn retry(&self, case: &Case, after: Duration, error: &ErrorBody) {
        self.meters.failed.inc();
        match self.note_failure(case, error).await {
            Ok(()) => {}
            Err(NotKept::Overtaken { .. }) => return self.fenced(case).await,
            Err(not_kept) => {
                // Unsure whether it counts: better one attempt too many than a task that is lost.
                tracing::warn!(task = %case.task.id, error = %not_kept, "failed attempt was not noted");
                return self.put_off(&case.delivery.token).await;
            }
        }
        self.meters.retried.inc();
        nova_runtime::failpoint::hit("after-attempt");
        self.later(case, after).await;
        let (task, code) = (&case.task.id, error.code.clone());
        let mut event = self.events.failure(EventKind::Retried, &self.name, task, case.attempt, code, &error.message);
        event.next_at = Some(self.now().plus(after));
        self.events.store(event).await;
    }

    /// Brings the task again after a pause: a short one as a delayed redelivery, a long one as a schedule, so that tasks
    /// that wait for long pin no history and fill no window of deliveries.
    pub(super) async fn later(&self, case: &Case, pause: Duration) {
        let token = &case.delivery.token;
        // A keyed task keeps its place: published again it would stand behind those of its key that must follow it.
        if pause <= limits::NAK_DELAY || self.policy.keyed.is_some() {
            return self.settle(token, Settle::Nak { delay: pause }).await;
        }
        let message = self.scheduled(case, pause);
        let mut scheduled = self.broker.publish(message.clone(), Expect::NOTHING).await;
        if matches!(scheduled, Err(PublishError::Unknown { .. })) {
            // Inside the dedupe window: what is stored already is a duplicate then, and no conflict.
            scheduled = self.broker.publish(message, Expect::NOTHING).await;
        }
        match scheduled {
            Ok(_) => self.settle(token, Settle::Ack).await,
            // Also where another's schedule stands under this id: that one brings another task, or none.
            Err(error) => {
                tracing::warn!(task = %case.task.id, %error, "a long pause was not scheduled, the queue keeps it");
                self.settle(token, Settle::Nak { delay: pause }).await;
            }
        }
    }

    fn scheduled(&self, case: &Case, pause: Duration) -> Message {
        let generation = Generation(case.delivery.sequence);
        let mut headers: Headers = Task::republished_headers(&case.task.headers, &case.task.id, generation);
        let at = nova_wire::format_rfc3339(self.now().plus(pause));
        headers.set(name::SCHEDULE, format!("@at {at}"));
        headers.set(name::SCHEDULE_TARGET, subject::due(&self.name, case.task.priority));
        Message::new(subject::schedule(&self.name, &case.task.id), case.delivery.body.clone()).with_headers(headers)
    }
}
