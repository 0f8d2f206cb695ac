//! Moves due tasks into their queues, each as its next generation.

use std::time::Duration;

use nova_broker::{Delivery, Expect, Message, PublishError, Settle};
use nova_engine::due::{Due, Fired, Next, decide};
use nova_runtime::{Metric, Shutdown};
use nova_types::{Generation, Priority, Skill, TaskId, codes};
use nova_wire::{Task, assets, name, parse_rfc3339, subject};

use crate::Parts;
use crate::consume::{self, Queue};
use crate::record::{Corpse, bury};

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
pub struct Service {
    parts: Parts,
    options: Options,
}

/// The pause after a write that is not known to be done.
const RETRY: Duration = Duration::from_secs(1);

impl Service {
    /// Makes the part.
    #[must_use]
    pub fn new(parts: Parts, options: Options) -> Self {
        Self { parts, options }
    }

    /// Runs until told to stop; what is under way is finished.
    pub async fn run(&self, shutdown: &Shutdown) {
        let queue = Queue { stream: assets::SCHEDULES, consumer: assets::DUE_CONSUMER };
        consume::run(&self.parts.broker, queue, &shutdown.token(), |delivery| self.handle(delivery)).await;
    }

    async fn handle(&self, delivery: Delivery) -> Settle {
        match decide(&read(&delivery)) {
            Due::Forward { skill, priority, id, generation } => {
                self.forward(&delivery, skill, priority, id, generation).await
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
        let message = Message::new(subject::task(&skill, priority), delivery.body.clone()).with_headers(headers);
        let error = match self.parts.broker.publish(message, Expect::Any).await {
            Ok(_) => {
                nova_runtime::failpoint::hit("due-forwarded");
                self.parts.metrics.inc(Metric::DueForwarded, &[skill.as_str()]);
                return Settle::Ack;
            }
            Err(error) => error,
        };
        match &error {
            PublishError::NoStream { .. } => {
                self.refuse(delivery, &skill, &id, codes::BAD_SUBJECT, "its skill has no queue").await
            }
            PublishError::TooLarge { .. } => {
                self.refuse(delivery, &skill, &id, codes::TOO_LARGE, &error.to_string()).await
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
