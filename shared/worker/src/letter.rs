//! The dead letter of a task: its original bytes with the cause, written once, whatever their size.

use bytes::Bytes;
use nova_broker::{Delivery, Expect, Message, PublishError, Stored};
use nova_types::{Outcome, OutcomeKind, TaskId, codes};
use nova_wire::{AttemptRecord, ContentType, DeadLetter, ErrorBody, Headers, Payload, TaskKey, assets, name, subject};

use crate::record::read;
use crate::station::Station;

/// The headers with the key among them, which may stand in the subject alone: a letter has another.
fn with_key(delivery: &Delivery) -> Headers {
    let mut headers = delivery.headers.clone();
    let token = subject::parse_place(&delivery.subject).and_then(|place| place.token);
    if let Some(key) = token.and_then(|token| TaskKey::from_token(token).ok())
        && headers.get(name::KEY).is_none()
    {
        headers.set(name::KEY, key.to_string());
    }
    headers
}

impl Station {
    /// Makes sure that a dead task has its letter.
    pub(crate) async fn has_letter(&self, delivery: &Delivery, stored: &Stored, history: &AttemptRecord) -> bool {
        let Some(outcome) = read(stored) else { return true };
        if outcome.items.is_some_and(|items| items.failed > 0) {
            return self.has_items_letter(delivery, &outcome, stored, history).await;
        }
        if outcome.kind != OutcomeKind::Dead {
            return true;
        }
        let content_type = stored.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type);
        let body = Payload { content_type: content_type.unwrap_or_default(), bytes: stored.body.clone() };
        let code = outcome.code.clone().unwrap_or_else(|| codes::ERROR.into());
        let error = body.decode().unwrap_or_else(|_| ErrorBody::new(code, ""));
        self.post(self.letter(delivery, &outcome, &error, history)).await
    }

    /// The letter of a task that ended so.
    pub(crate) fn letter(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        error: &ErrorBody,
        history: &AttemptRecord,
    ) -> DeadLetter {
        self.letter_of(delivery, &outcome.task, outcome.attempt, error, history)
    }

    /// The same of a task by its id, after so many attempts.
    pub(crate) fn letter_of(
        &self,
        delivery: &Delivery,
        task: &TaskId,
        attempt: u32,
        error: &ErrorBody,
        history: &AttemptRecord,
    ) -> DeadLetter {
        DeadLetter {
            code: error.code.clone(),
            task: task.clone(),
            skill: self.name.clone(),
            attempts: history.failed.max(attempt),
            stream: assets::tasks_stream(&self.name),
            sequence: delivery.sequence,
            history: history.history_json(),
            headers: with_key(delivery),
            body: delivery.body.clone(),
        }
    }

    /// Writes a dead letter; one that stands already is as good.
    pub(crate) async fn post(&self, mut letter: DeadLetter) -> bool {
        let error = match self.put_letter(&letter).await {
            Ok(()) => return true,
            Err(PublishError::Conflict { .. }) => {
                // A replicated stream says so, too, of one that is about to be stored.
                let subject = subject::dead(&self.name, &letter.task);
                return matches!(self.broker.last(assets::DEAD.to_owned(), subject).await, Ok(Some(_)));
            }
            // A task as large as the broker takes has no room for what a letter says beside it.
            Err(PublishError::TooLarge { .. }) => {
                let name = format!("in-{}-{}", self.name, self.nonces.next());
                match self.blobs.put(&name, &letter.body).await {
                    Ok(blob) => {
                        letter.headers.set(name::BLOB, blob.to_header());
                        letter.body = Bytes::new();
                        match self.put_letter(&letter).await {
                            Ok(()) => return true,
                            Err(error) => error.to_string(),
                        }
                    }
                    Err(error) => error.to_string(),
                }
            }
            Err(error) => error.to_string(),
        };
        self.meters.store_full.inc();
        tracing::error!(task = %letter.task, error, "dead letter cannot be stored, holding the task");
        false
    }

    async fn put_letter(&self, letter: &DeadLetter) -> Result<(), PublishError> {
        let subject = subject::dead(&self.name, &letter.task);
        let message = Message::new(subject, letter.body.clone()).with_headers(letter.to_headers());
        self.broker.publish(message, Expect::NOTHING).await.map(|_| ())
    }
}
