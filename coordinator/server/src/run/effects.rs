//! Carries out what the engine wants of the broker: tasks, timers, cancels and the end of a run.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use nova_broker::{BlobError, BrokerError, Expect, Message, PublishError, Purge};
use nova_engine::run::{Effect, Run, TaskOrder};
use nova_types::{Generation, Priority, Skill, TaskId, codes, run_skill};
use nova_wire::{BlobRef, Headers, ScheduleSpec, Task, TaskKey, TaskOptions, assets, limits, name, subject};
use nova_workflow::{Part, Timer};

use super::end::{self, Ending};
use super::mail::{News, refused};
use super::place::Place;
use super::shared::Shared;
use super::shelf::{self, ShelfError};
use super::store;

/// How many effects are under way at once: as many as the connection takes.
const AT_ONCE: usize = 256;
/// The pause before a publish that found no room, or is not known to be stored, is made again; doubled each time.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why effects were not all carried out: they will be by whoever gets the run next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halted {
    #[error("stopped while {what} was to be published")]
    Stopped { what: String },
    #[error("the broker could not be asked")]
    Broker(#[from] BrokerError),
    #[error("a large value could not be stored")]
    Shelf(#[from] ShelfError),
    #[error("a publish was refused")]
    Refused(#[source] PublishError),
}

/// How often a run's effects may have been carried out before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// Never.
    First,
    /// Perhaps, by someone who broke off.
    Again {
        /// Whether the broker still knows every task that was published then, and drops a second copy.
        is_in_window: bool,
        /// The last message of the run's history: names the publishes that are made again.
        sequence: u64,
    },
}

/// Whose effects they are.
pub(crate) struct Doer<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) place: &'a Place,
    pub(crate) run: &'a Run,
    /// The headers its start carried.
    pub(crate) origin: &'a Headers,
    /// Whether its workflow says how many runs may be under way at once.
    pub(crate) is_capped: bool,
    pub(crate) round: Round,
}

impl Doer<'_> {
    /// Carries out all, many at once; what could not be done becomes news for the run.
    pub(crate) async fn carry_out(&self, effects: Vec<Effect>) -> Result<Vec<News>, Halted> {
        let (ends, others): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::End { .. }));
        // Boxed: the compiler cannot tell of a borrowing closure's futures that they may move between threads.
        let others: Vec<BoxFuture<'_, Result<Option<News>, Halted>>> =
            others.into_iter().map(|effect| self.one(effect).boxed()).collect();
        let told: Vec<Option<News>> =
            futures_util::stream::iter(others).buffer_unordered(AT_ONCE).try_collect().await?;
        // The end is told last: whoever hears it finds nothing of the run under way that will not be cancelled.
        for effect in ends {
            if let Effect::End { end, result } = effect {
                let Self { shared, place, run, origin, is_capped, .. } = *self;
                let ending = Ending { shared, place, run, origin, is_capped };
                end::carry_out(&ending, end, result).await?;
            }
        }
        Ok(told.into_iter().flatten().collect())
    }

    async fn one(&self, effect: Effect) -> Result<Option<News>, Halted> {
        let told = match effect {
            Effect::Task(order) => self.submit(*order).await?,
            Effect::Set { timer, at } => self.set(&timer, at).await.map(|()| None)?,
            Effect::Unset { timer } => self.unset(&timer).await.map(|()| None)?,
            Effect::Cancel { part, skill } => self.cancel(&part, &skill).await.map(|()| None)?,
            Effect::End { .. } => None,
        };
        nova_runtime::failpoint::hit("run-effect");
        Ok(told)
    }

    async fn submit(&self, order: TaskOrder) -> Result<Option<News>, Halted> {
        let id = self.place.task(order.part.name(&self.place.run));
        if let Round::Again { .. } = self.round {
            // What ended is told by its outcome; to publish it again would only have it looked at again.
            let outcome = subject::outcome(&order.skill, &id);
            if self.shared.parts.broker.last(assets::OUTCOMES.to_owned(), outcome).await?.is_some() {
                return Ok(None);
            }
        }
        let key = match order.key.as_deref().map(TaskKey::new).transpose() {
            Ok(key) => key,
            Err(error) => return Ok(Some(refused(order.part, codes::BAD_HEADER, error.to_string()))),
        };
        let body: Bytes = serde_json::to_vec(&order.input).expect("a JSON value always encodes").into();
        let mut headers = self.task_headers(&order, &id);
        let mut message = Message::new(subject::task_of(&order.skill, order.priority, key.as_ref()), body);
        if message.body.len() > limits::INLINE_BYTES {
            match shelf::put(&self.shared.parts, &self.place.run, message.body.clone()).await {
                Ok(blob) => {
                    let blob = BlobRef { name: blob.name, size: blob.size, sha256: blob.sha256 };
                    headers.push(name::BLOB, blob.to_header());
                    message.body = Bytes::new();
                }
                Err(ShelfError::Blob(error @ BlobError::TooLarge { .. })) => {
                    return Ok(Some(refused(order.part, codes::TOO_LARGE, error.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        message.headers = headers;
        match publish(self.shared, message, Expect::Any).await? {
            Sent::Stored | Sent::Conflict => Ok(None),
            Sent::NoStream => {
                let queue = self.shared.parts.broker.stream(assets::tasks_stream(&order.skill)).await?;
                let (code, why) = match queue {
                    // While a replicated queue has no leader nobody answers for it, as if it were not there.
                    Some(queue) if key.is_none() || queue.spec.transform.is_some() => {
                        let subject = subject::task_of(&order.skill, order.priority, key.as_ref());
                        return Err(Halted::Refused(PublishError::NoStream { subject }));
                    }
                    Some(_) => (codes::UNSUPPORTED, format!("skill `{}` is not provisioned for keys", order.skill)),
                    None => ("unknown_skill", format!("no skill `{}` is provisioned", order.skill)),
                };
                Ok(Some(refused(order.part, code, why)))
            }
            Sent::TooLarge => {
                let why = "its input is larger than the broker takes".to_owned();
                Ok(Some(refused(order.part, codes::TOO_LARGE, why)))
            }
        }
    }

    fn task_headers(&self, order: &TaskOrder, id: &TaskId) -> Headers {
        let mut headers = Headers::new();
        let options = TaskOptions {
            timeout: order.timeout.map(|timeout| timeout.0),
            max_attempts: order.max_attempts,
            backoff: order.backoff,
            bundle: u32::try_from(order.items.len()).ok().filter(|items| *items > 0),
            ..TaskOptions::default()
        };
        options.write(&mut headers);
        headers.push(name::RUN, self.place.run.as_str());
        headers.push(name::STEP, order.part.step.as_str());
        if order.skill == run_skill() {
            headers.push(name::DEPTH, store::depth(self.origin).saturating_add(1).to_string());
        }
        if let Some(key) = &order.key {
            headers.push(name::KEY, key.clone());
        }
        for trace in [name::TRACEPARENT, name::TRACESTATE] {
            if let Some(value) = self.origin.get(trace) {
                headers.push(trace, value);
            }
        }
        match self.round {
            Round::Again { is_in_window: false, sequence } => {
                Task::republished_headers(&headers, id, Generation::moved(sequence))
            }
            _ => headers.with(name::MSG_ID, id.to_string()),
        }
    }

    async fn set(&self, timer: &Timer, at: nova_types::UnixMillis) -> Result<(), Halted> {
        let id = self.place.task(timer.name(&self.place.run));
        let headers = Headers::new()
            .with(name::SCHEDULE, ScheduleSpec::At(at).to_broker(at))
            .with(name::SCHEDULE_TARGET, subject::due(&run_skill(), Priority::Normal))
            .with(name::TIMER, serde_json::to_string(timer).expect("a plain record always encodes"))
            .with(name::RUN, self.place.run.as_str());
        let message = Message::new(subject::schedule(&run_skill(), &id), Bytes::new()).with_headers(headers);
        // What stands there is the very timer, set by a round that broke off.
        stored(self.shared, message, Expect::NOTHING).await
    }

    /// Withdraws a timer; it is looked for first, for a purge by subject is dear and most have fired.
    async fn unset(&self, timer: &Timer) -> Result<(), Halted> {
        let id = self.place.task(timer.name(&self.place.run));
        let (broker, subject) = (&self.shared.parts.broker, subject::schedule(&run_skill(), &id));
        if broker.last(assets::SCHEDULES.to_owned(), subject.clone()).await?.is_some() {
            broker.purge(assets::SCHEDULES.to_owned(), Purge::Subject(subject)).await?;
        }
        Ok(())
    }

    async fn cancel(&self, part: &Part, skill: &Skill) -> Result<(), Halted> {
        let id = self.place.task(part.name(&self.place.run));
        let message = Message::new(subject::cancel(skill, &id), Bytes::new());
        stored(self.shared, message, Expect::Any).await
    }
}

/// Publishes where a stream must be.
async fn stored(shared: &Shared, message: Message, expect: Expect) -> Result<(), Halted> {
    let subject = message.subject.clone();
    match publish(shared, message, expect).await? {
        Sent::Stored | Sent::Conflict => Ok(()),
        Sent::NoStream => Err(Halted::Refused(PublishError::NoStream { subject })),
        Sent::TooLarge => Err(Halted::Refused(PublishError::TooLarge { subject, bytes: 0 })),
    }
}

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Stored,
    /// Something stands there already.
    Conflict,
    NoStream,
    TooLarge,
}

/// Publishes until it is known what became of it; a full stream is waited for, with an alarm.
pub(crate) async fn publish(shared: &Shared, message: Message, expect: Expect) -> Result<Sent, Halted> {
    let mut pause = PAUSE;
    loop {
        let error = match shared.parts.broker.publish(message.clone(), expect).await {
            Ok(_) => return Ok(Sent::Stored),
            Err(error) => error,
        };
        match error {
            PublishError::Conflict { .. } => return Ok(Sent::Conflict),
            PublishError::NoStream { .. } => return Ok(Sent::NoStream),
            PublishError::TooLarge { .. } => return Ok(Sent::TooLarge),
            PublishError::Full { .. } => {
                tracing::error!(subject = message.subject, %error, "a run waits for room");
            }
            PublishError::Unknown { .. } => {
                tracing::debug!(subject = message.subject, %error, "an effect is not known to be carried out");
            }
            error @ PublishError::Refused { .. } => return Err(Halted::Refused(error)),
        }
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = shared.stop.cancelled() => return Err(Halted::Stopped { what: message.subject }),
        }
    }
}
