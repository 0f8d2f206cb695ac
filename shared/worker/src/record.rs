//! Writes a task's one outcome: compare-and-set decides between those who try.

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use nova_broker::{BrokerRef, Expect, Message, PublishError, Stored};
use nova_types::Outcome;
use nova_wire::{ContentType, Headers, Payload, assets, limits, name, parse_outcome, subject, write_outcome};
use tokio_util::sync::CancellationToken;

use crate::rarely::rarely;

/// The first pause before an outcome is tried again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause: a store that has room again is noticed within it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// The stored record is ours.
    Ours,
    /// Another was first; ours is refused.
    Another,
    /// Nobody will know: the process gave up before the broker answered.
    GivenUp,
    /// It can never be stored: too large for the broker.
    TooLarge,
}

/// An outcome ready to be written.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) outcome: Outcome,
    pub(crate) payload: Payload,
    pub(crate) blob: Option<String>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) traceparent: Option<String>,
    pub(crate) reply: Option<String>,
    /// Made of the rest when first asked for; a changed record needs a new one.
    pub(crate) line: OnceLock<Headers>,
}

impl Record {
    /// The headers of the record, made once: stored and told alike.
    fn headers(&self) -> &Headers {
        self.line.get_or_init(|| self.make_headers())
    }

    fn make_headers(&self) -> Headers {
        let mut headers = Headers::new().with(name::OUTCOME, write_outcome(&self.outcome));
        if self.payload.content_type != ContentType::Json {
            headers.push(name::CONTENT_TYPE, self.payload.content_type.as_str());
        }
        if let Some(blob) = &self.blob {
            headers.push(name::BLOB, blob.clone());
        }
        if let Some(trace) = &self.traceparent {
            headers.push(name::TRACEPARENT, trace.clone());
        }
        headers
    }

    /// The message that is stored.
    fn stored(&self) -> Message {
        let mut headers = self.headers().clone();
        if let Some(ttl) = self.ttl {
            headers.push(name::TTL, limits::ttl_text(ttl));
        }
        let subject = subject::outcome(&self.outcome.skill, &self.outcome.task);
        Message::new(subject, self.payload.bytes.clone()).with_headers(headers)
    }

    /// Tells waiters, over core NATS: the record is stored, so nothing depends on it.
    pub(crate) async fn tell(&self, broker: &BrokerRef) {
        tell(broker, &self.outcome, self.reply.as_deref(), self.headers(), &self.payload.bytes).await;
    }

    /// Writes the record, until it is known who was first.
    ///
    /// A store that is full or unreachable is tried again for as long as `give_up` allows; the task stays ours meanwhile.
    pub(crate) async fn write(
        &self,
        broker: &BrokerRef,
        give_up: &CancellationToken,
        on_full: impl Fn() + Send,
    ) -> Written {
        match broker.publish(self.stored(), Expect::NOTHING).await {
            Ok(_) => Written::Ours,
            Err(error) => rarely(self.write_on(broker, give_up, on_full, error)).await,
        }
    }

    async fn write_on(
        &self,
        broker: &BrokerRef,
        give_up: &CancellationToken,
        on_full: impl Fn() + Send,
        mut error: PublishError,
    ) -> Written {
        let mut pause = FIRST_PAUSE;
        loop {
            match &error {
                PublishError::TooLarge { .. } => return Written::TooLarge,
                PublishError::Conflict { .. } => {}
                PublishError::Full { .. } | PublishError::NoStream { .. } => {
                    on_full();
                    tracing::error!(task = %self.outcome.task, %error, "outcome cannot be stored, holding the task");
                }
                other => tracing::warn!(task = %self.outcome.task, error = %other, "outcome not known to be stored"),
            }
            if matches!(error, PublishError::Conflict { .. } | PublishError::Unknown { .. })
                && let Some(verdict) = self.compare(broker).await
            {
                return verdict;
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = give_up.cancelled() => return Written::GivenUp,
            }
            match broker.publish(self.stored(), Expect::NOTHING).await {
                Ok(_) => return Written::Ours,
                Err(again) => error = again,
            }
        }
    }

    /// Reads what stands there: ours, another's, or nothing that is known.
    async fn compare(&self, broker: &BrokerRef) -> Option<Written> {
        let subject = subject::outcome(&self.outcome.skill, &self.outcome.task);
        let stored = broker.last(assets::OUTCOMES.to_owned(), subject).await.ok()??;
        // A mark of the broker's is no outcome; one that cannot be read is, if only of a later version.
        let text = stored.headers.get(name::OUTCOME)?;
        let Ok(theirs) = parse_outcome(text) else { return Some(Written::Another) };
        let is_ours = theirs.worker == self.outcome.worker && theirs.nonce == self.outcome.nonce;
        Some(if is_ours { Written::Ours } else { Written::Another })
    }
}

/// Tells waiters the end of a task that another process recorded and may not have told: it was killed in between.
pub(crate) async fn tell_again(broker: &BrokerRef, stored: &Stored, reply: Option<&str>) {
    let Some(outcome) = read(stored) else { return };
    let mut headers = stored.headers.clone();
    headers.retain(|key| !key.starts_with(name::NATS_PREFIX));
    tell(broker, &outcome, reply, &headers, &stored.body).await;
}

async fn tell(broker: &BrokerRef, outcome: &Outcome, reply: Option<&str>, headers: &Headers, body: &Bytes) {
    let done = subject::done(&outcome.skill, &outcome.task);
    for to in [Some(&*done), reply].into_iter().flatten() {
        let message = Message::new(to, body.clone()).with_headers(headers.clone());
        if let Err(error) = broker.tell(message).await {
            tracing::debug!(task = %outcome.task, %error, "the end of a task was not told");
        }
    }
}

/// The outcome in a stored record; `None` when it is a delete marker or unreadable.
pub(crate) fn read(stored: &Stored) -> Option<Outcome> {
    parse_outcome(stored.headers.get(name::OUTCOME)?).ok()
}
