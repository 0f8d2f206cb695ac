//! Moves due tasks into their queues, each as its next generation.

mod recur;

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{Delivery, Expect, Message, PublishError, Settle};
use nova_engine::due::{Due, Fired, Next, decide};
use nova_runtime::{Metric, Shutdown};
use nova_types::{Generation, Priority, Skill, TaskId, codes, run_skill};
use nova_wire::{Headers, Task, TaskKey, assets, name, parse_rfc3339, subject};

use self::recur::Recurring;
use crate::Parts;
use crate::consume::{self, Queue};
use crate::record::{Corpse, bury};
use crate::run::{self, Runs};

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long a due task waits that its queue has no room for. Default 2 s.
    pub full_pause: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { full_pause: Duration::from_secs(2) }
    }
}

/// The part.
pub(crate) struct Service {
    parts: Parts,
    options: Options,
    runs: Arc<Runs>,
}

/// How many due tasks and timers are handled at once: a timer waits for what its run does next.
const AT_ONCE: usize = 2048;
/// The pause after a write that is not known to be done.
const RETRY: Duration = Duration::from_secs(1);

impl Service {
    /// Makes the part.
    pub(crate) fn new(parts: Parts, options: Options, runs: Arc<Runs>) -> Self {
        Self { parts, options, runs }
    }

    /// Runs until told to stop; what is under way is finished.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let queue = Queue { at_once: AT_ONCE, ..Queue::new(assets::SCHEDULES, assets::DUE_CONSUMER) };
        consume::run(&self.parts.broker, queue, &shutdown.token(), |delivery| self.handle(delivery)).await;
    }

    async fn handle(&self, delivery: Delivery) -> Settle {
        let fired = read(&delivery);
        // A run's own timer: only coordinators write schedules, and none passes that header on for anybody.
        let is_of_run = fired.schedule.as_ref().is_some_and(|(skill, _)| *skill == run_skill());
        if is_of_run && delivery.headers.get(name::TIMER).is_some() {
            return run::intake::timer(&self.runs, &delivery).await;
        }
        match decide(&fired) {
            Due::Forward { skill, priority, id, generation } => {
                self.forward(&delivery, skill, priority, id, generation).await
            }
            Due::Recur { skill, priority, base, next } => {
                self.recur(&delivery, Recurring { skill, priority, base, next }).await
            }
            Due::Refuse { skill, id, code, why } => self.refuse(&delivery, &skill, &id, code.as_str(), &why).await,
        }
    }

    async fn forward(
        &self,
        delivery: &Delivery,
        skill: Skill,
        priority: Priority,
        id: TaskId,
        generation: Generation,
    ) -> Settle {
        let headers = Task::republished_headers(&delivery.headers, &id, generation);
        let settle = self.publish(delivery, &skill, priority, &id, headers).await;
        if matches!(settle, Settle::Ack) {
            nova_runtime::failpoint::hit("due-forwarded");
        }
        settle
    }

    /// Puts a task into its queue, or ends it where it can never go there.
    async fn publish(
        &self,
        delivery: &Delivery,
        skill: &Skill,
        priority: Priority,
        id: &TaskId,
        headers: Headers,
    ) -> Settle {
        let key = headers.get(name::KEY).and_then(|text| TaskKey::new(text).ok());
        let subject = subject::task_of(skill, priority, key.as_ref());
        let message = Message::new(subject, delivery.body.clone()).with_headers(headers);
        let error = match self.parts.broker.publish(message, Expect::Any).await {
            Ok(_) => {
                self.parts.metrics.inc(Metric::DueForwarded, &[skill.as_str()]);
                return Settle::Ack;
            }
            Err(error) => error,
        };
        match &error {
            PublishError::NoStream { .. } => {
                self.refuse(delivery, skill, id, codes::BAD_SUBJECT, "its skill has no queue").await
            }
            PublishError::TooLarge { .. } => {
                self.refuse(delivery, skill, id, codes::TOO_LARGE, &error.to_string()).await
            }
            PublishError::Full { .. } => {
                tracing::warn!(task = %id, %skill, %error, "due task waits for room in its queue");
                Settle::Nak { delay: self.options.full_pause }
            }
            _ => {
                tracing::warn!(task = %id, %skill, %error, "due task is not known to be in its queue");
                Settle::Nak { delay: RETRY }
            }
        }
    }

    async fn refuse(&self, delivery: &Delivery, skill: &Skill, id: &TaskId, code: &str, why: &str) -> Settle {
        let corpse = Corpse {
            stream: assets::SCHEDULES.to_owned(),
            sequence: delivery.sequence,
            at: delivery.at,
            headers: delivery.headers.clone(),
            body: delivery.body.clone(),
        };
        match bury(&self.parts, skill, id, &code.into(), why, &corpse).await {
            Ok(_) => {
                tracing::warn!(task = %id, %skill, code, why, "due task is dead");
                Settle::Ack
            }
            Err(error) => {
                tracing::warn!(task = %id, %skill, %error, "due task could not be buried");
                Settle::Nak { delay: self.options.full_pause }
            }
        }
    }
}

fn read(delivery: &Delivery) -> Fired {
    let next = match delivery.headers.get(name::SCHEDULE_NEXT) {
        Some("purge") => Next::Over,
        Some(text) => parse_rfc3339(text).map_or(Next::Unknown, Next::At),
        None => Next::Unknown,
    };
    Fired {
        schedule: delivery.headers.get(name::SCHEDULER).and_then(subject::parse_schedule),
        target: subject::parse_due(&delivery.subject),
        given: delivery.headers.get(name::ID).map(|text| text.parse().ok()),
        next,
        at: delivery.at,
        sequence: delivery.sequence,
    }
}
