//! Sends a task through the whole fleet now and then, on the leader, and measures how long it takes.

use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, Expect, Message, PublishError};
use nova_runtime::{Metric, Shutdown, State};
use nova_types::{Name, Priority, Scope, Skill, TaskId};
use nova_wire::{Headers, name, subject};

use crate::Parts;
use crate::leader::Leadership;

/// The skill that gives back what it was given.
const SKILL: &str = "echo";

/// The part.
pub(crate) struct Service {
    pub(crate) parts: Parts,
    pub(crate) every: Duration,
    pub(crate) leadership: Leadership,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("could not listen to the canary's end")]
    Listen(#[source] BrokerError),
    #[error("could not submit the canary")]
    Submit(#[source] PublishError),
}

impl Service {
    /// Sends canaries while it leads, until told to stop.
    pub(crate) async fn run(&self, shutdown: &Shutdown) {
        let stop = shutdown.token();
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(self.every) => {}
                () = stop.cancelled() => return,
            }
            if !self.leadership.is_held() {
                continue;
            }
            let flown = tokio::select! {
                biased;
                flown = self.fly() => flown,
                () = stop.cancelled() => return,
            };
            match flown {
                Ok(Some(time)) => {
                    self.parts.metrics.set(Metric::Canary, &[], time.as_secs_f64());
                    self.parts.health.set("canary", State::Up);
                }
                Ok(None) => {
                    self.parts.metrics.set(Metric::Canary, &[], self.every.as_secs_f64());
                    let reason = format!("a canary task had no outcome after {} s", self.every.as_secs());
                    tracing::warn!(reason, "queue stands still");
                    self.parts.health.set("canary", State::Degraded(reason));
                }
                // Without the skill there is nothing to fly through.
                Err(Error::Submit(PublishError::NoStream { .. })) => {}
                Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "canary was not sent"),
            }
        }
    }

    /// How long one canary took; `None` when it had no outcome before the next one is due.
    async fn fly(&self) -> Result<Option<Duration>, Error> {
        let skill = Skill::new(SKILL).expect("the word is a skill's name");
        let scope = Scope::new("canary").expect("letters");
        let id = TaskId::new(scope, Name::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is a name"));
        let mut end = self.parts.broker.listen(subject::done(&skill, &id), None).await.map_err(Error::Listen)?;
        // One that nobody takes must not run an hour later.
        let headers = Headers::new()
            .with(name::MSG_ID, id.to_string())
            .with(name::DEADLINE, nova_wire::format_rfc3339(self.parts.clock.now().plus(self.every)));
        let message = Message::new(subject::task(&skill, Priority::Low), "null").with_headers(headers);
        let begun = tokio::time::Instant::now();
        self.parts.broker.publish(message, Expect::Any).await.map_err(Error::Submit)?;
        Ok(tokio::time::timeout(self.every, end.next()).await.ok().flatten().map(|_| begun.elapsed()))
    }
}
