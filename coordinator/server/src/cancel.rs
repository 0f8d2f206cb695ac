//! Carries out accepted cancels of tasks that nobody runs.

use std::time::Duration;

use nova_broker::{BrokerError, Delivery, Purge, Settle};
use nova_runtime::{Metric, Shutdown};
use nova_types::{OutcomeKind, Skill, TaskId, codes};
use nova_wire::{ErrorBody, assets, subject};

use crate::Parts;
use crate::consume::{self, Queue};
use crate::record::{End, Stands, attempts_of, outcome_of};

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a worker that runs or just pulls the task gets to record its end itself, with its attempt. Default 1 s.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { grace: Duration::from_secs(1) }
    }
}

/// The part.
pub struct Service {
    parts: Parts,
    options: Options,
}

/// The pause after something that failed and may work later.
const RETRY: Duration = Duration::from_secs(2);

impl Service {
    /// Makes the part.
    #[must_use]
    pub fn new(parts: Parts, options: Options) -> Self {
        Self { parts, options }
    }

    /// Runs until told to stop; what is under way is finished.
    pub async fn run(&self, shutdown: &Shutdown) {
        let queue = Queue { stream: assets::CONTROL, consumer: assets::CANCEL_CONSUMER };
        consume::run(&self.parts.broker, queue, &shutdown.token(), |delivery| self.handle(delivery)).await;
    }

    async fn handle(&self, delivery: Delivery) -> Settle {
        let Some((skill, task)) = subject::parse_cancel(&delivery.subject) else {
            tracing::warn!(subject = delivery.subject, "cancel names no task");
            return Settle::Ack;
        };
        if let Err(error) = self.unschedule(&skill, &task).await {
            tracing::warn!(%task, %skill, %error, "could not purge a cancelled schedule");
            return Settle::Nak { delay: RETRY };
        }
        // The count of deliveries is a hint only; where it lies, a cancel waits twice or a worker's attempt number is lost.
        if delivery.deliveries <= 1 && !self.options.grace.is_zero() {
            return Settle::Nak { delay: self.options.grace };
        }
        match self.end(&skill, &task).await {
            Ok(()) => Settle::Ack,
            Err(error) => {
                tracing::warn!(%task, %skill, %error, "cancel is put off");
                Settle::Nak { delay: RETRY }
            }
        }
    }

    /// Purges the task's schedule. It is looked for first: a purge by subject is dear, and most tasks have none.
    async fn unschedule(&self, skill: &Skill, task: &TaskId) -> Result<(), BrokerError> {
        let (stream, subject) = (assets::SCHEDULES.to_owned(), subject::schedule(skill, task));
        if self.parts.broker.last(stream.clone(), subject.clone()).await?.is_some() {
            self.parts.broker.purge(stream, Purge::Subject(subject)).await?;
        }
        Ok(())
    }

    async fn end(&self, skill: &Skill, task: &TaskId) -> Result<(), crate::record::RecordError> {
        if outcome_of(&self.parts, skill, task).await?.is_some() {
            return Ok(());
        }
        let attempts = attempts_of(&self.parts, skill, task).await?;
        let end = End {
            kind: OutcomeKind::Cancelled,
            skill: skill.clone(),
            task: task.clone(),
            attempt: attempts.failed,
            submitted: None,
            error: ErrorBody::new(codes::CANCELLED, "cancelled while it waited"),
        };
        if end.record(&self.parts).await? == Stands::Ours {
            self.parts.metrics.inc(Metric::CancelsHandled, &[skill.as_str()]);
        }
        Ok(())
    }
}
