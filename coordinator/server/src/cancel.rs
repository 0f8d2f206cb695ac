//! Carries out accepted cancels of tasks that nobody runs.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BrokerError, Delivery, Purge, Settle};
use nova_runtime::{Metric, Shutdown};
use nova_types::{OutcomeKind, Skill, TaskId, codes, run_skill};
use nova_wire::{ErrorBody, assets, subject};

use crate::Parts;
use crate::consume::{self, Queue};
use crate::record::{End, Stands, attempts_of, outcome_of};
use crate::run::{self, Runs};

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
pub(crate) struct Service {
    parts: Parts,
    options: Options,
    runs: Arc<Runs>,
}

/// The pause after something that failed and may work later.
const RETRY: Duration = Duration::from_secs(2);

impl Service {
    /// Makes the part.
    pub(crate) fn new(parts: Parts, options: Options, runs: Arc<Runs>) -> Self {
        Self { parts, options, runs }
    }

    /// Runs until told to stop; what is under way is finished.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let queue = Queue::new(assets::CONTROL, assets::CANCEL_CONSUMER);
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
        let is_run = skill == run_skill();
        if is_run && let Some(settle) = self.cancel_run(&task, delivery.deliveries > 1).await {
            return settle;
        }
        // The count of deliveries is a hint only; where it lies, a cancel waits twice or a worker's attempt number is lost.
        if delivery.deliveries <= 1 && !self.options.grace.is_zero() {
            return Settle::Nak { delay: self.options.grace };
        }
        match self.end(&skill, &task).await {
            // A run may have begun just before that was written: it is told.
            Ok(()) if is_run => self.cancel_run(&task, true).await.unwrap_or(Settle::Ack),
            Ok(()) => Settle::Ack,
            Err(error) => {
                tracing::warn!(%task, %skill, %error, "cancel is put off");
                Settle::Nak { delay: RETRY }
            }
        }
    }

    /// Tells the run that the task is; `None` when there is none.
    async fn cancel_run(&self, task: &TaskId, is_again: bool) -> Option<Settle> {
        run::intake::cancel(&self.runs, task, is_again).await
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
