//! Moves due tasks into their queues, each as its next generation.

pub(crate) mod catch_up;
mod forward;
mod recur;

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{Delivery, Settle};
use nova_engine::due::{Due, Fired, Next, decide};
use nova_runtime::Shutdown;
use nova_types::{Generation, Priority, Skill, TaskId, run_skill};
use nova_wire::{Task, assets, name, parse_rfc3339, subject};

use self::forward::{Forward, source};
use self::recur::Recurring;
pub(crate) use self::recur::begin;
use crate::Parts;
use crate::consume::{self, Queue};
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
    forward: Forward,
    runs: Arc<Runs>,
}

/// How many due tasks and timers are handled at once: a timer waits for what its run does next.
const AT_ONCE: usize = 2048;

impl Service {
    /// Makes the part.
    pub(crate) fn new(parts: Parts, options: Options, runs: Arc<Runs>) -> Self {
        Self { forward: Forward { parts, full_pause: options.full_pause }, runs }
    }

    /// Runs until told to stop; what is under way is finished.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let queue = Queue { at_once: AT_ONCE, ..Queue::new(assets::SCHEDULES, assets::DUE_CONSUMER) };
        consume::run(&self.forward.parts.broker, queue, &shutdown.token(), |delivery| self.handle(delivery)).await;
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
                self.forward.recur(&delivery, Recurring { skill, priority, base, next }).await
            }
            Due::Refuse { skill, id, code, why } => {
                self.forward.refuse(&source(&delivery), &skill, &id, code.as_str(), &why).await
            }
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
        let settle = self.forward.publish(&source(delivery), &skill, priority, &id, headers).await;
        if matches!(settle, Settle::Ack) {
            nova_runtime::failpoint::hit("due-forwarded");
        }
        settle
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
