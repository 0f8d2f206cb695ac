//! A stream of its own for each claim, and the few moves all claims are made of.

use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{
    BrokerRef, ConsumerInfo, ConsumerSpec, Delivery, Discard, Expect, Message, PublishError, Pull, PullItem,
    PullRequest, Receipt, Scan, Settle, Start, Stored, StreamInfo, StreamSpec,
};
use nova_wire::Headers;

use crate::wait_until;

/// Long enough for any state to come on a busy machine; nothing takes this long when it works.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// A stream with everything at its widest, owning `<name>.>`.
pub(super) fn stream_spec(name: &str) -> StreamSpec {
    StreamSpec {
        name: name.to_uppercase(),
        description: String::new(),
        subjects: vec![format!("{name}.>")],
        discard: Discard::Old,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        duplicate_window: Duration::from_secs(120),
        replicas: 1,
        allow_ttl: false,
        allow_schedules: false,
        allow_rollup: false,
        allow_batches: false,
        delete_marker_ttl: Duration::ZERO,
        first_sequence: None,
        transform: None,
        metadata: Default::default(),
    }
}

/// A claim's own stream.
pub(super) struct Ground {
    pub(super) broker: BrokerRef,
    pub(super) name: &'static str,
    pub(super) stream: String,
}

impl Ground {
    /// Makes the stream; `name` is also what its subjects begin with.
    pub(super) async fn new(broker: BrokerRef, name: &'static str, adjust: impl FnOnce(&mut StreamSpec)) -> Self {
        let mut spec = stream_spec(name);
        adjust(&mut spec);
        let stream = spec.name.clone();
        broker.put_stream(spec).await.expect("a stream of its own can be made");
        Self { broker, name, stream }
    }

    pub(super) fn subject(&self, rest: &str) -> String {
        format!("{}.{rest}", self.name)
    }

    /// Publishes, which must be taken; says the sequence.
    pub(super) async fn put(&self, rest: &str, body: &str) -> u64 {
        self.put_with(rest, body, Headers::new()).await
    }

    pub(super) async fn put_with(&self, rest: &str, body: &str, headers: Headers) -> u64 {
        self.send(rest, body, headers, Expect::Any).await.expect("nothing speaks against it").sequence
    }

    pub(super) async fn put_many(&self, rest: &str, count: usize) {
        for i in 0..count {
            self.put(rest, &i.to_string()).await;
        }
    }

    pub(super) async fn send(
        &self,
        rest: &str,
        body: &str,
        headers: Headers,
        expect: Expect,
    ) -> Result<Receipt, PublishError> {
        let message = Message::new(self.subject(rest), body.to_owned()).with_headers(headers);
        self.broker.publish(message, expect).await
    }

    /// Makes a consumer of `<name>.<filter>` with a lease that does not end by itself.
    pub(super) async fn consumer(&self, name: &str, filter: &str, adjust: impl FnOnce(&mut ConsumerSpec)) {
        let spec = self.consumer_spec(name, filter, adjust);
        self.broker.put_consumer(spec).await.expect("a consumer can be made");
    }

    pub(super) fn consumer_spec(
        &self,
        name: &str,
        filter: &str,
        adjust: impl FnOnce(&mut ConsumerSpec),
    ) -> ConsumerSpec {
        let mut spec = ConsumerSpec {
            stream: self.stream.clone(),
            name: name.to_owned(),
            description: String::new(),
            filter: self.subject(filter),
            ack_wait: Duration::from_secs(300),
            max_ack_pending: 1000,
            max_waiting: 512,
            start: Start::First,
            metadata: Default::default(),
        };
        adjust(&mut spec);
        spec
    }

    pub(super) async fn pull(&self, consumer: &str, batch: usize, wait: Option<Duration>) -> Pull {
        let request = PullRequest { stream: self.stream.clone(), consumer: consumer.to_owned(), batch, wait };
        self.broker.pull(request).await.expect("the consumer is there")
    }

    /// What is there now.
    pub(super) async fn take(&self, consumer: &str, batch: usize) -> Vec<Delivery> {
        let pull = self.pull(consumer, batch, None).await;
        let items = tokio::time::timeout(SOON, pull.collect::<Vec<_>>()).await;
        deliveries(items.expect("a pull for what is there now ends by itself"))
    }

    /// The next delivery, waiting for it.
    pub(super) async fn next(&self, consumer: &str) -> Delivery {
        let mut pull = self.pull(consumer, 1, Some(SOON)).await;
        loop {
            match pull.next().await {
                Some(Ok(PullItem::Delivery(delivery))) => return *delivery,
                Some(Ok(PullItem::Heartbeat)) => {}
                other => panic!("a message was expected, not {other:?}"),
            }
        }
    }

    pub(super) async fn settle(&self, delivery: &Delivery, settle: Settle) {
        self.broker.settle(&delivery.token, settle).await.expect("settling needs the connection only");
    }

    /// Waits until a consumer is as wanted; an ack, for one, is carried out some time after it was sent.
    pub(super) async fn wait_for(&self, consumer: &str, what: &str, is_it: impl Fn(&ConsumerInfo) -> bool) {
        wait_until(what, SOON, async || is_it(&self.consumer_info(consumer).await).then_some(())).await;
    }

    pub(super) async fn consumer_info(&self, consumer: &str) -> ConsumerInfo {
        let info = self.broker.consumer(self.stream.clone(), consumer.to_owned()).await;
        info.expect("the broker answers").expect("the consumer is there")
    }

    pub(super) async fn info(&self) -> StreamInfo {
        self.broker.stream(self.stream.clone()).await.expect("the broker answers").expect("the stream is there")
    }

    pub(super) async fn last(&self, rest: &str) -> Option<Stored> {
        self.broker.last(self.stream.clone(), self.subject(rest)).await.expect("the broker answers")
    }

    /// All messages of a subject.
    pub(super) async fn all(&self, rest: &str) -> Vec<Stored> {
        let scan = Scan::all(self.stream.clone(), self.subject(rest), 10_000);
        self.broker.scan(scan).await.expect("the broker answers")
    }

    /// Waits until a subject holds nothing.
    pub(super) async fn wait_empty(&self, rest: &str) {
        wait_until(format!("{rest} to be empty"), SOON, async || self.last(rest).await.is_none().then_some(())).await;
    }
}

/// The deliveries of a pull that must hold nothing else.
#[track_caller]
pub(super) fn deliveries(items: Vec<Result<PullItem, nova_broker::BrokerError>>) -> Vec<Delivery> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Ok(PullItem::Delivery(delivery)) => all.push(*delivery),
            other => panic!("only deliveries were expected, not {other:?}"),
        }
    }
    all
}

pub(super) fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| text(&delivery.body)).collect()
}

pub(super) fn text(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).expect("claims write text")
}
