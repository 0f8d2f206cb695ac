//! Many small items packed into few tasks, with one answer for each item.
//!
//! A task costs its message, its outcome and its ack, however small its input; items of a bundle share them. Each keeps its
//! own attempts and its own end. Items that take long are better off as tasks: a bundle is held by one worker.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use nova_types::{Name, OutcomeKind, Priority, Skill, TaskId, codes};
use nova_wire::{ErrorBody, InvalidBundle, ItemEnd, Payload, TaskOptions, join_bundle, limits, read_ends};
use tokio::time::Instant;

use crate::{Client, Submit, SubmitError, SubmitId, TaskOutcome, WaitError};

/// How items are packed, and what their tasks ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundling {
    /// Without items: what each bundle is made from.
    template: Submit,
    size: u32,
    linger: Option<Duration>,
}

/// A bundle ready to be submitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The bundle.
    pub submit: Submit,
    /// The place of its first item among all that are packed, from 0.
    pub first: u64,
    /// How many items it has.
    pub items: u32,
}

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

impl Bundling {
    /// Bundles of `size` items, 1 to 1,000, for a skill. Fewer where the input ends, or where more would not fit into a
    /// message.
    #[must_use]
    pub fn new(skill: Skill, size: u32) -> Self {
        let template = Submit::new(skill, Payload::default());
        Self { template, size: size.clamp(1, limits::BUNDLE_ITEMS), linger: None }
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.template.priority = priority;
        self
    }

    /// The same with other options; they hold for each item, but for the deadline, which is the bundle's.
    #[must_use]
    pub fn with_options(mut self, options: TaskOptions) -> Self {
        self.template.options = options;
        self
    }

    /// The same with bundles called `<name>-<place of the first item>`: the same items packed again have the same ids.
    #[must_use]
    pub fn named(mut self, id: TaskId) -> Self {
        self.template.id = SubmitId::Id(id);
        self
    }

    /// The same, but a bundle is sent that long after its first item came, full or not. Default: it waits until it is full
    /// or no more items come.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = Some(linger);
        self
    }

    /// Packs items into bundles, in their order; those of one bundle are of one content type.
    pub fn pack<S>(self, items: S) -> impl Stream<Item = Packed> + Send + use<S>
    where
        S: Stream<Item = Payload> + Send + 'static,
    {
        let packer = Packer { items: Box::pin(items), held: None, next: 0, is_over: false, how: self };
        stream::unfold(packer, |mut packer| async move { Some((packer.pack().await?, packer)) })
    }
}

struct Packer {
    items: Pin<Box<dyn Stream<Item = Payload> + Send>>,
    /// The item that did not fit into the bundle before.
    held: Option<Payload>,
    next: u64,
    is_over: bool,
    how: Bundling,
}

impl Packer {
    async fn pack(&mut self) -> Option<Packed> {
        let first = match self.held.take() {
            Some(held) => held,
            None => self.come(None).await.flatten()?,
        };
        let until = self.how.linger.map(|linger| Instant::now() + linger);
        let content_type = first.content_type;
        let mut bytes = first.bytes.len();
        let mut packed = vec![first];
        while packed.len() < self.how.size as usize {
            let Some(Some(item)) = self.come(until).await else { break };
            // What is larger than a message takes goes through the object store, alone.
            if item.content_type != content_type || bytes + item.bytes.len() + packed.len() + 8 > limits::INLINE_BYTES {
                self.held = Some(item);
                break;
            }
            bytes += item.bytes.len();
            packed.push(item);
        }
        let (first, items) = (self.next, u32::try_from(packed.len()).unwrap_or(u32::MAX));
        self.next += u64::from(items);
        let mut submit = self.how.template.clone();
        if let SubmitId::Id(id) = &submit.id {
            // Checked when it is submitted, where it can be said.
            let name = Name::new(format!("{}-{first}", id.name()));
            submit.id = SubmitId::Id(name.map_or_else(|_| id.clone(), |name| TaskId::new(id.scope().clone(), name)));
        }
        submit.payload = join_bundle(content_type, packed.iter());
        submit.options.bundle = Some(items);
        Some(Packed { submit, first, items })
    }

    /// The next item; `Some(None)` behind the last, `None` when it does not come in time.
    async fn come(&mut self, until: Option<Instant>) -> Option<Option<Payload>> {
        if self.is_over {
            return Some(None);
        }
        let next = self.items.next();
        let item = match until {
            None => next.await,
            Some(until) => tokio::time::timeout_at(until, next).await.ok()?,
        };
        self.is_over = item.is_none();
        Some(item)
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
    use nova_types::{ItemCount, Outcome, Usage};
    use nova_wire::{ContentType, split_bundle};

    use super::*;

    fn bundling(size: u32) -> Bundling {
        Bundling::new(Skill::new("echo").expect("a skill"), size)
    }

    async fn packed(how: Bundling, items: Vec<Payload>) -> Vec<(u64, u32, usize)> {
        let packed: Vec<Packed> = how.pack(stream::iter(items)).collect().await;
        for one in &packed {
            assert_eq!(split_bundle(&one.submit.payload, one.items).expect("a bundle").len(), one.items as usize);
            assert_eq!(one.submit.options.bundle, Some(one.items));
        }
        packed.iter().map(|one| (one.first, one.items, one.submit.payload.bytes.len())).collect()
    }

    #[tokio::test]
    async fn items_are_packed_in_order_until_a_bundle_is_full() {
        let items = vec![Payload::json("1"); 7];
        assert_eq!(packed(bundling(3), items).await, [(0, 3, 7), (3, 3, 7), (6, 1, 3)]);
        assert_eq!(packed(bundling(3), Vec::new()).await, []);
    }

    #[tokio::test]
    async fn a_bundle_holds_what_one_message_takes_of_one_content_type() {
        let large = || Payload::json(format!("\"{}\"", "x".repeat(100_000)));
        let items = vec![large(), large(), large(), Payload::encode(ContentType::MsgPack, &1).expect("encodes")];
        let sizes: Vec<u32> = packed(bundling(100), items).await.iter().map(|one| one.1).collect();
        assert_eq!(sizes, [2, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bundle_that_lingers_is_sent_before_it_is_full() {
        let items = stream::iter(0..5).then(|n| async move {
            tokio::time::sleep(Duration::from_millis(40)).await;
            Payload::json(n.to_string())
        });
        let how = bundling(100).linger(Duration::from_millis(100));
        let sizes: Vec<u32> = how.pack(items).map(|one| one.items).collect().await;
        assert_eq!(sizes, [3, 2]);
    }

    #[tokio::test]
    async fn named_bundles_are_called_after_their_first_item() {
        let how = bundling(2).named("cli.a".parse().expect("an id"));
        let ids: Vec<SubmitId> =
            how.pack(stream::iter(vec![Payload::json("1"); 3])).map(|one| one.submit.id).collect().await;
        let expect = ["cli.a-0", "cli.a-2"].map(|id| SubmitId::Id(id.parse().expect("an id")));
        assert_eq!(ids, expect);
    }

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
