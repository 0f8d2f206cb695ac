//! How a stream of items becomes bundles: in their order, as many as fit.

use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt as _};
use nova_types::{Name, Priority, Skill, TaskId};
use nova_wire::{Payload, TaskOptions, join_bundle, limits};
use tokio::time::Instant;

use crate::{Submit, SubmitId};

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

#[cfg(test)]
mod tests {
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
}
