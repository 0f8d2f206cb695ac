//! Many small items packed into few tasks, with one answer for each item.
//!
//! A task costs its message, its outcome and its ack, however small its input; items of a bundle share them. Each keeps its
//! own attempts and its own end. Items that take long are better off as tasks: a bundle is held by one worker.

mod pack;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use nova_types::{OutcomeKind, TaskId, codes};
use nova_wire::{ErrorBody, InvalidBundle, ItemEnd, Payload, read_ends};

pub use self::pack::{Bundling, Packed};
use crate::{Client, SubmitError, TaskOutcome, WaitError};

/// The broker has the bundle that an item is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedItem {
    /// The bundle's id.
    pub task: TaskId,
    /// The item's position in it.
    pub item: u32,
    /// Whether a bundle of that id was submitted within the dedupe window before, so that this one was dropped.
    pub is_duplicate: bool,
}

/// How an item ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemOutcome {
    /// The bundle's id.
    pub task: TaskId,
    /// The item's position in it.
    pub item: u32,
    /// Its end, as if it had been a task of its own.
    pub end: ItemEnd,
}

impl ItemOutcome {
    /// The result of a completed item, decoded; its error when it did not complete.
    ///
    /// # Errors
    /// [`ItemError`].
    pub fn result<T: serde::de::DeserializeOwned>(&self) -> Result<T, ItemError> {
        match self.end.error() {
            Some(error) => {
                Err(ItemError::Ended { task: self.task.clone(), item: self.item, kind: self.end.kind, error })
            }
            None => self.end.body.decode().map_err(|source| ItemError::Result {
                task: self.task.clone(),
                item: self.item,
                source: Box::new(source),
            }),
        }
    }
}

/// An item without a result of the type that was expected.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// It did not complete.
    #[error("item {item} of task {task} is {kind}: {}: {}", .error.code, .error.message)]
    Ended {
        /// Its bundle.
        task: TaskId,
        /// Its position.
        item: u32,
        /// Dead or cancelled.
        kind: OutcomeKind,
        /// Why.
        error: ErrorBody,
    },
    /// Its result is of another type.
    #[error("the result of item {item} of task {task} is not what was expected")]
    Result {
        /// Its bundle.
        task: TaskId,
        /// Its position.
        item: u32,
        /// Why.
        #[source]
        source: Box<nova_wire::DecodeError>,
    },
}

impl ItemError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Ended { error, .. } => error.code.as_str(),
            Self::Result { .. } => codes::BAD_RESULT,
        }
    }

    /// Whether trying again may help: never, the item has ended.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

impl TaskOutcome {
    /// The ends of a bundle's items, one for each of `items`, in their order. A bundle that did not complete ended all of
    /// them alike; so did one whose worker knows no bundles.
    ///
    /// # Errors
    /// [`InvalidBundle`] when its body cannot be understood.
    pub fn item_ends(&self, items: u32) -> Result<Vec<ItemEnd>, InvalidBundle> {
        let all = |kind, body: Payload| {
            let end = ItemEnd { kind, attempt: self.outcome.attempt, body };
            vec![end; items as usize]
        };
        if self.outcome.kind != OutcomeKind::Completed {
            return Ok(all(self.outcome.kind, self.body.clone()));
        }
        if self.outcome.items.is_none() {
            let error = ErrorBody::new(codes::UNSUPPORTED, "its worker knows no bundles: upgrade it");
            let body = Payload::encode(self.body.content_type, &error).expect("an error body is plain data");
            return Ok(all(OutcomeKind::Dead, body));
        }
        let ends = read_ends(&self.body)?;
        if ends.len() != items as usize {
            return Err(InvalidBundle::Count { found: ends.len(), said: items as usize });
        }
        Ok(ends)
    }
}

impl Client {
    /// Submits many items in bundles, and yields one answer for each item, in their order; at most
    /// [`in_flight`](crate::ClientOptions::in_flight) bundles are under way.
    ///
    /// # Errors
    /// An item's answer is that of its bundle; as [`submit`](Self::submit).
    pub fn submit_bundled<S>(
        &self,
        how: Bundling,
        items: S,
    ) -> impl Stream<Item = Result<SubmittedItem, Arc<SubmitError>>> + Send + use<S>
    where
        S: Stream<Item = Payload> + Send + 'static,
    {
        let client = self.clone();
        let in_flight = self.inner.options.in_flight.max(1);
        let sent = how.pack(items).map(move |packed| {
            let client = client.clone();
            async move { (packed.items, client.submit(packed.submit).await.map_err(Arc::new)) }
        });
        sent.buffered(in_flight).flat_map(|(items, sent)| {
            stream::iter((0..items).map(move |item| match &sent {
                Ok(sent) => Ok(SubmittedItem { task: sent.task.clone(), item, is_duplicate: sent.is_duplicate }),
                Err(error) => Err(Arc::clone(error)),
            }))
        })
    }

    /// Submits many items in bundles, waits for them, and yields how each ended, in their order. Each bundle is waited for
    /// up to `timeout`.
    ///
    /// ```
    /// # use futures_util::{StreamExt as _, stream};
    /// # use nova_client::{Bundling, Client};
    /// # use nova_wire::{ContentType, Payload};
    /// # async fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let words = ["a", "few", "words"].map(|word| Payload::encode(ContentType::MsgPack, word).expect("text"));
    /// let how = Bundling::new("shout".parse()?, 100);
    /// let mut ends = std::pin::pin!(client.run_bundled(how, stream::iter(words), std::time::Duration::from_secs(60)));
    /// while let Some(end) = ends.next().await {
    ///     println!("{}", end?.result::<String>()?);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// An item's answer is that of its bundle where that did not end, or could not be read; as
    /// [`submit_and_wait`](Self::submit_and_wait).
    pub fn run_bundled<S>(
        &self,
        how: Bundling,
        items: S,
        timeout: Duration,
    ) -> impl Stream<Item = Result<ItemOutcome, Arc<WaitError>>> + Send + use<S>
    where
        S: Stream<Item = Payload> + Send + 'static,
    {
        let client = self.clone();
        let in_flight = self.inner.options.in_flight.max(1);
        let ran = how.pack(items).map(move |packed| {
            let client = client.clone();
            async move { (packed.items, client.run_packed(packed, timeout).await.map_err(Arc::new)) }
        });
        ran.buffered(in_flight).flat_map(|(items, ran)| {
            let answers: Vec<_> = match ran {
                Ok(ends) => ends.into_iter().map(Ok).collect(),
                Err(error) => (0..items).map(|_| Err(Arc::clone(&error))).collect(),
            };
            stream::iter(answers)
        })
    }

    /// Submits one bundle, waits for it, and says how each of its items ended.
    ///
    /// # Errors
    /// As [`submit_and_wait`](Self::submit_and_wait).
    pub async fn run_packed(&self, packed: Packed, timeout: Duration) -> Result<Vec<ItemOutcome>, WaitError> {
        let ended = self.submit_and_wait(packed.submit, timeout).await?;
        let task = ended.outcome.task.clone();
        let ends = ended.item_ends(packed.items);
        let ends = ends.map_err(|source| WaitError::Items { task: task.clone(), source: Box::new(source) })?;
        let of = |(item, end): (u32, ItemEnd)| ItemOutcome { task: task.clone(), item, end };
        Ok((0..).zip(ends).map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use nova_types::{ItemCount, Outcome, Skill, Usage};

    use super::*;

    #[test]
    fn a_bundle_without_ends_ends_all_of_its_items_alike() {
        let outcome = |kind, items| Outcome {
            kind,
            task: "a.b".parse().expect("an id"),
            skill: Skill::new("echo").expect("a skill"),
            attempt: 2,
            worker: None,
            nonce: None,
            submitted: None,
            started: None,
            finished: nova_types::UnixMillis(1),
            code: None,
            usage: Usage::default(),
            items,
        };
        let codes = |kind, items, body: &'static str| -> Result<Vec<String>, InvalidBundle> {
            let ended = TaskOutcome { outcome: outcome(kind, items), body: Payload::json(body) };
            let code = |end: &ItemEnd| end.error().map_or("-".to_owned(), |error| error.code.to_string());
            Ok(ended.item_ends(2)?.iter().map(code).collect())
        };
        let counted = Some(ItemCount { items: 2, failed: 1, cancelled: 0 });
        let body = r#"[{"result":1},{"error":{"code":"exit","message":""}}]"#;
        assert_eq!(codes(OutcomeKind::Completed, counted, body).expect("ends"), ["-", "exit"]);
        let dead = codes(OutcomeKind::Dead, None, r#"{"code":"expired","message":""}"#).expect("ends");
        assert_eq!(dead, ["expired", "expired"]);
        assert_eq!(codes(OutcomeKind::Completed, None, body).expect("ends"), ["unsupported", "unsupported"]);
        assert!(codes(OutcomeKind::Completed, counted, "[]").is_err());
    }
}
