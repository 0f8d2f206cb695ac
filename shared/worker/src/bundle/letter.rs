//! The dead letter of a bundle's failed items: a smaller bundle, which can be redriven as it is.

use bytes::Bytes;
use nova_broker::{BlobError, BrokerError, Delivery, Stored};
use nova_types::{Code, Outcome, codes};
use nova_wire::{
    AttemptRecord, BlobRef, ContentType, DeadLetter, ErrorBody, Headers, ItemEnd, Payload, Positions, Settled, Task,
    assets, join_bundle, name, read_ends, split_bundle, subject,
};

use super::dead;
use crate::case::Case;
use crate::station::Station;

/// Why the letter of items could not be made of what is stored.
enum Unmade {
    /// Later it may be.
    Now,
    /// What it takes is gone.
    Ever(String),
}

impl From<BlobError> for Unmade {
    fn from(error: BlobError) -> Self {
        if error.is_transient() { Self::Now } else { Self::Ever(error.to_string()) }
    }
}

impl From<BrokerError> for Unmade {
    fn from(_: BrokerError) -> Self {
        Self::Now
    }
}

impl Station {
    /// The letter of the items that failed.
    pub(super) fn items_letter(
        &self,
        case: &Case,
        inputs: &[Payload],
        settled: &Settled,
        code: Code,
        history: &AttemptRecord,
    ) -> DeadLetter {
        let positions: Positions = dead(settled).map(|(item, _)| item).collect();
        let error = ErrorBody::new(code, "");
        let content_type = case.task.payload.content_type;
        let letter = self.letter_of(&case.delivery, &case.task.id, case.attempt, &error, history);
        smaller(letter, content_type, inputs, &positions)
    }

    /// Makes sure that the failed items of a bundle whose outcome stands have their letter.
    pub(crate) async fn has_items_letter(
        &self,
        delivery: &Delivery,
        outcome: &Outcome,
        stored: &Stored,
        history: &AttemptRecord,
    ) -> bool {
        let subject = subject::dead(&self.name, &outcome.task);
        match self.broker.last(assets::DEAD.to_owned(), subject).await {
            Ok(Some(_)) => return true,
            Ok(None) => {}
            Err(_) => return false,
        }
        let code = outcome.code.clone().unwrap_or_else(|| codes::ITEMS_FAILED.into());
        let error = ErrorBody::new(code, "");
        let whole = self.letter_of(delivery, &outcome.task, outcome.attempt, &error, history);
        let letter = match self.remade(delivery, stored, whole.clone()).await {
            Ok(letter) => letter,
            Err(Unmade::Now) => return false,
            // Better all of its items than none.
            Err(Unmade::Ever(why)) => {
                tracing::error!(task = %outcome.task, why, "which items of a bundle failed is lost: its letter has all of them");
                whole
            }
        };
        self.post(letter).await
    }

    /// The letter as whoever wrote the outcome would have made it.
    async fn remade(&self, delivery: &Delivery, stored: &Stored, whole: DeadLetter) -> Result<DeadLetter, Unmade> {
        let lost = |error: &dyn std::fmt::Display| Unmade::Ever(error.to_string());
        let ends = self.body_of(&stored.headers, &stored.body).await?;
        let ends = read_ends(&ends).map_err(|error| lost(&error))?;
        let task = Task::parse(&delivery.subject, delivery.sequence, delivery.headers.clone(), delivery.body.clone());
        let task = task.map_err(|error| lost(&error))?;
        let body = self.body_of(&delivery.headers, &delivery.body).await?;
        let inputs = split_bundle(&body, task.options.bundle.unwrap_or(0)).map_err(|error| lost(&error))?;
        let ended = (0..).zip(ends).collect::<std::collections::BTreeMap<u32, ItemEnd>>();
        let settled = Settled { ended, ..Settled::default() };
        let code = super::failure(&settled).map_or(whole.code.clone(), |error| error.code);
        let positions: Positions = dead(&settled).map(|(item, _)| item).collect();
        if positions.iter().any(|item| item as usize >= inputs.len()) {
            return Err(Unmade::Ever("its outcome lists more items than it has".to_owned()));
        }
        Ok(smaller(DeadLetter { code, ..whole }, body.content_type, &inputs, &positions))
    }

    /// A body, wherever it is kept.
    async fn body_of(&self, headers: &Headers, inline: &Bytes) -> Result<Payload, Unmade> {
        let content_type = headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type).unwrap_or_default();
        let bytes = match headers.get(name::BLOB).map(BlobRef::parse) {
            None => inline.clone(),
            Some(Ok(blob)) => self.blobs.get(&blob).await?,
            Some(Err(error)) => return Err(Unmade::Ever(error.to_string())),
        };
        Ok(Payload { content_type, bytes })
    }
}

/// The letter with these items only.
fn smaller(mut letter: DeadLetter, content_type: ContentType, inputs: &[Payload], positions: &Positions) -> DeadLetter {
    let items: Vec<&Payload> = positions.iter().filter_map(|item| inputs.get(item as usize)).collect();
    letter.headers.remove(name::BLOB);
    letter.headers.set(name::BUNDLE, items.len().to_string());
    letter.headers.set(name::ITEMS, positions.to_string());
    letter.body = join_bundle(content_type, items.into_iter()).bytes;
    letter
}
