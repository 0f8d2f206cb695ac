//! Messages made to mislead, and words that come too late, against a real nats-server.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{
    BrokerRef, ConsumerSpec, Delivery, Discard, Expect, Message, PullItem, PullRequest, Scan, Settle, Start,
    StreamSpec, jetstream,
};
use nova_testkit::wait_until;
use nova_wire::Headers;

/// Long enough for any state to come on a busy machine.
const SOON: Duration = Duration::from_secs(30);

async fn broker(server: &nova_testkit::NatsServer) -> BrokerRef {
    let options = jetstream::Options::new(server.url(), "hostile");
    Arc::new(jetstream::connect(options).await.expect("the server greets"))
}

fn stream(name: &str, subject: &str) -> StreamSpec {
    StreamSpec {
        name: name.into(),
        description: String::new(),
        subjects: vec![subject.into()],
        discard: Discard::Old,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        duplicate_window: Duration::from_secs(10),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_cannot_lie_about_where_it_stands() {
    let server = nova_testkit::NatsServer::start();
    let broker = broker(&server).await;
    broker.put_stream(stream("LIES", "lies.>")).await.expect("a stream");
    for n in 1..=3 {
        // A reader that goes on behind the sequence it was told would read the same page for ever.
        let headers = ["Nats-Sequence", "nats-sequence"].into_iter().fold(Headers::new(), |h, name| h.with(name, "1"));
        let headers = headers.with("Nats-Subject", "lies.other").with("Nats-Time-Stamp", "1970-01-01T00:00:00Z");
        let message = Message::new(format!("lies.{n}"), "x").with_headers(headers.with("X-Mine", "kept"));
        broker.publish(message, Expect::Any).await.expect("stored");
    }
    let all = broker.scan(Scan::all("LIES", "lies.>", 10)).await.expect("readable");
    let places: Vec<(u64, &str)> = all.iter().map(|stored| (stored.sequence, stored.subject.as_str())).collect();
    assert_eq!(places, [(1, "lies.1"), (2, "lies.2"), (3, "lies.3")]);
    let last = broker.last("LIES".into(), "lies.2".into()).await.expect("readable").expect("it stands");
    assert_eq!((last.sequence, last.subject.as_str(), last.headers.get("X-Mine")), (2, "lies.2", Some("kept")));
    assert!(last.at.0 > 0, "told by the broker's clock");
}

/// What a pull brings at once.
async fn take(broker: &BrokerRef) -> Option<Delivery> {
    let request = PullRequest { stream: "LATE".into(), consumer: "c".into(), batch: 1, wait: None };
    match broker.pull(request).await.expect("a pull").next().await {
        Some(Ok(PullItem::Delivery(delivery))) => Some(*delivery),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_back_over_a_lost_connection_never_comes_late() {
    let server = nova_testkit::NatsServer::start();
    let proxy = nova_testkit::Proxy::start(server.address()).await.expect("a port");
    let cut_off = jetstream::connect(jetstream::Options::new(proxy.url(), "cut-off")).await.expect("the server greets");
    let cut_off: BrokerRef = Arc::new(cut_off);
    let broker = broker(&server).await;
    broker.put_stream(stream("LATE", "late")).await.expect("a stream");
    let consumer = ConsumerSpec {
        stream: "LATE".into(),
        name: "c".into(),
        description: String::new(),
        filter: "late".into(),
        ack_wait: Duration::from_secs(2),
        max_ack_pending: 1000,
        max_waiting: 512,
        start: Start::First,
        metadata: Default::default(),
    };
    broker.put_consumer(consumer).await.expect("a consumer");
    broker.publish(Message::new("late", "x"), Expect::Any).await.expect("stored");
    let lost = take(&cut_off).await.expect("it is there");
    proxy.refuse();
    let mut connection = cut_off.connection();
    connection.wait_for(|c| !c.is_up).await.expect("noticed");
    // Its lease ends, and the message is another's.
    let held = wait_until("the message to come again", SOON, || take(&broker)).await;
    // Whoever holds it extends its lease, however long the other takes to come back.
    let (holder, token) = (Arc::clone(&broker), held.token.clone());
    let held = tokio::spawn(async move {
        loop {
            holder.settle(&token, Settle::Extend).await.expect("extended");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let _ = cut_off.settle(&lost.token, Settle::Nak { delay: Duration::ZERO }).await;
    proxy.pass();
    connection.wait_for(|c| c.is_up).await.expect("back");
    cut_off.flush().await.expect("handled");
    for _ in 0..5 {
        assert_eq!(take(&broker).await, None, "it is still under its second lease");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    held.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_of_another_consumer_is_sent_back_and_not_taken() {
    let server = nova_testkit::NatsServer::start();
    let (worker, other) = (broker(&server).await, broker(&server).await);
    for name in ["OWN", "ELSE"] {
        worker.put_stream(stream(name, &format!("{}.>", name.to_lowercase()))).await.expect("a stream");
        worker.put_consumer(consumer(name)).await.expect("a consumer");
    }
    let mut told = other.listen("_INBOX_hostile.>".into(), None).await.expect("a subscription");
    let request = |stream: &str, wait| PullRequest { stream: stream.into(), consumer: "c".into(), batch: 1, wait };
    let nothing = worker.pull(request("OWN", None)).await.expect("a pull").next().await;
    assert!(nothing.is_none(), "{nothing:?}");
    // Where it was told that there is nothing; the next pull uses that inbox again.
    let inbox = loop {
        let subject = told.next().await.expect("the end of the pull is heard").subject;
        if subject.rsplit('.').nth(1).is_some_and(|token| token.ends_with('p')) {
            break subject;
        }
    };
    let mut pull = worker.pull(request("OWN", Some(SOON))).await.expect("a pull");
    other.publish(Message::new("else.1", "stray"), Expect::Any).await.expect("stored");
    // As a server would answer that takes itself for the leader of a consumer this inbox once served.
    let next = Message::new("$JS.API.CONSUMER.MSG.NEXT.ELSE.c", r#"{"batch":1}"#);
    other.tell(Message { reply: Some(inbox), ..next }).await.expect("sent");
    let taken = tokio::spawn(async move {
        loop {
            match pull.next().await {
                Some(Ok(PullItem::Delivery(delivery))) => return delivery.body,
                Some(Ok(PullItem::Heartbeat)) => {}
                end => panic!("{end:?}"),
            }
        }
    });
    // Long before its lease ends it can be had again.
    let again = other.pull(request("ELSE", Some(SOON / 3))).await.expect("a pull").next().await;
    assert!(matches!(&again, Some(Ok(PullItem::Delivery(stray))) if stray.deliveries == 2), "{again:?}");
    worker.publish(Message::new("own.1", "own"), Expect::Any).await.expect("stored");
    assert_eq!(&taken.await.expect("no panic")[..], b"own");
}

fn consumer(stream: &str) -> ConsumerSpec {
    ConsumerSpec {
        stream: stream.into(),
        name: "c".into(),
        description: String::new(),
        filter: format!("{}.>", stream.to_lowercase()),
        ack_wait: SOON,
        max_ack_pending: 10,
        max_waiting: 10,
        start: Start::First,
        metadata: Default::default(),
    }
}
