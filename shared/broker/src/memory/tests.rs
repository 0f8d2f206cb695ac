//! Faults on order, and what only this broker promises: virtual time and repeatable runs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::MemoryBroker;
use crate::{
    Broker, BrokerError, ConsumerSpec, Delivery, Discard, Expect, Message, PublishError, PullItem, PullRequest, Settle,
    Start, StreamSpec,
};

const SECOND: Duration = Duration::from_secs(1);

/// A broker with the stream `S` of `s.>` and its consumer `c` with a lease of ten seconds.
async fn broker() -> MemoryBroker {
    let broker = MemoryBroker::new();
    let spec = StreamSpec {
        name: "S".into(),
        description: String::new(),
        subjects: vec!["s.>".into()],
        discard: Discard::New,
        max_bytes: -1,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        duplicate_window: 120 * SECOND,
        replicas: 1,
        allow_ttl: false,
        allow_schedules: false,
        allow_rollup: false,
        allow_batches: false,
        delete_marker_ttl: Duration::ZERO,
        first_sequence: None,
        transform: None,
        metadata: Default::default(),
    };
    broker.put_stream(spec).await.unwrap();
    let spec = ConsumerSpec {
        stream: "S".into(),
        name: "c".into(),
        description: String::new(),
        filter: "s.>".into(),
        ack_wait: 10 * SECOND,
        max_ack_pending: 1000,
        max_waiting: 512,
        start: Start::First,
        metadata: Default::default(),
    };
    broker.put_consumer(spec).await.unwrap();
    broker
}

async fn put(broker: &MemoryBroker, count: usize) {
    for i in 0..count {
        broker.publish(Message::new("s.a", i.to_string()), Expect::Any).await.unwrap();
    }
}

fn request(batch: usize, wait: Option<Duration>) -> PullRequest {
    PullRequest { stream: "S".into(), consumer: "c".into(), batch, wait }
}

async fn take(broker: &MemoryBroker, batch: usize) -> Vec<Delivery> {
    let items: Vec<_> = broker.pull(request(batch, None)).await.unwrap().collect().await;
    items
        .into_iter()
        .map(|item| match item {
            Ok(PullItem::Delivery(delivery)) => *delivery,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn seen(all: &[Delivery]) -> Vec<(u64, u64)> {
    all.iter().map(|delivery| (delivery.sequence, delivery.deliveries)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_ack_lets_the_lease_end() {
    let broker = broker().await;
    put(&broker, 1).await;
    let held = take(&broker, 1).await;
    broker.faults().lose_acks(1);
    broker.settle(&held[0].token, Settle::Ack).await.unwrap();
    assert!(take(&broker, 1).await.is_empty());
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(seen(&take(&broker, 1).await), [(1, 2)]);
    broker.settle(&held[0].token, Settle::Ack).await.unwrap();
    assert_eq!(broker.consumer("S".into(), "c".into()).await.unwrap().unwrap().ack_floor, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_receipt_is_unknown_though_the_message_is_stored() {
    let broker = broker().await;
    broker.faults().lose_receipts(1);
    let error = broker.publish(Message::new("s.a", "1"), Expect::NOTHING).await;
    assert!(matches!(error, Err(PublishError::Unknown { .. })), "{error:?}");
    let error = broker.publish(Message::new("s.a", "1"), Expect::NOTHING).await;
    assert!(matches!(error, Err(PublishError::Conflict { .. })), "{error:?}");
    broker.faults().lose_publishes(1);
    let error = broker.publish(Message::new("s.b", "1"), Expect::NOTHING).await;
    assert!(matches!(error, Err(PublishError::Unknown { .. })), "{error:?}");
    broker.publish(Message::new("s.b", "1"), Expect::NOTHING).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_delivers_anew_ahead_of_the_rest() {
    let broker = broker().await;
    put(&broker, 5).await;
    let out = take(&broker, 4).await;
    for delivery in &out[..3] {
        broker.settle(&delivery.token, Settle::Ack).await.unwrap();
    }
    // Remembered is the first ack; forgotten are two acks and the lease of the fourth.
    broker.faults().forget_consumer_state(2);
    let info = broker.consumer("S".into(), "c".into()).await.unwrap().unwrap();
    assert_eq!((info.ack_floor, info.delivered, info.pending, info.ack_pending), (1, 1, 4, 0));
    let again = take(&broker, 9).await;
    assert_eq!(seen(&again), [(2, 1), (3, 1), (4, 1), (5, 1)]);
    assert_eq!(again.iter().map(|delivery| delivery.pending).collect::<Vec<_>>(), [3, 2, 1, 0]);
    for delivery in &again {
        broker.settle(&delivery.token, Settle::Ack).await.unwrap();
    }
    assert_eq!(broker.consumer("S".into(), "c".into()).await.unwrap().unwrap().ack_floor, 5);
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_ends_its_pulls_and_no_others() {
    let one = broker().await;
    let other = one.connect();
    let mut broken = one.pull(request(1, Some(60 * SECOND))).await.unwrap();
    let mut whole = other.pull(request(1, Some(60 * SECOND))).await.unwrap();
    let mut heard = one.listen("s.>".into(), None).await.unwrap();
    let mut epochs = one.connection();
    one.faults().disconnect();
    assert!(matches!(broken.next().await, Some(Err(BrokerError::Disconnected { .. }))));
    assert!(broken.next().await.is_none());
    assert!(matches!(one.last("S".into(), "s.a".into()).await, Err(BrokerError::Disconnected { .. })));
    let lost = one.publish(Message::new("s.a", "lost"), Expect::Any).await;
    assert!(matches!(lost, Err(PublishError::Unknown { .. })), "{lost:?}");
    put(&other, 1).await;
    let item = whole.next().await;
    assert!(matches!(&item, Some(Ok(PullItem::Delivery(delivery))) if &*delivery.body == b"0"), "{item:?}");
    one.faults().reconnect();
    let connection = *epochs.borrow_and_update();
    assert!(connection.is_up && connection.epoch == 2, "{connection:?}");
    put(&one, 1).await;
    assert_eq!(heard.next().await.map(|message| message.body), Some("0".into()));
    assert!(futures_util::FutureExt::now_or_never(heard.next()).is_none(), "what was sent meanwhile is lost");
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_on_the_virtual_clock_to_the_millisecond() {
    let broker = broker().await;
    put(&broker, 1).await;
    let began = (Instant::now(), broker.now());
    take(&broker, 1).await;
    let mut pull = broker.pull(request(1, Some(3600 * SECOND))).await.unwrap();
    while matches!(pull.next().await, Some(Ok(PullItem::Heartbeat))) {}
    let passed = began.0.elapsed();
    assert!(passed >= 10 * SECOND && passed <= 10 * SECOND + Duration::from_millis(2), "{passed:?}");
    assert_eq!(broker.now().since(began.1).as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_nobody_looked_happened_at_its_own_time() {
    let broker = broker().await;
    put(&broker, 1).await;
    let held = take(&broker, 1).await;
    broker.settle(&held[0].token, Settle::Nak { delay: 5 * SECOND }).await.unwrap();
    let pull = broker.pull(request(1, Some(60 * SECOND))).await.unwrap();
    // Delivered again after 5 s, unread, and its lease of 10 s is over after 15 s.
    tokio::time::sleep(16 * SECOND).await;
    assert_eq!(seen(&take(&broker, 1).await), [(1, 3)]);
    drop(pull);
}

#[tokio::test(start_paused = true)]
async fn flushing_ends_what_the_connection_reads() {
    let broker = broker().await;
    let mut pull = broker.pull(request(1, Some(60 * SECOND))).await.unwrap();
    let mut listener = broker.listen("a".into(), None).await.unwrap();
    broker.flush().await.unwrap();
    assert!(pull.next().await.is_none());
    assert!(listener.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn two_runs_of_the_same_story_are_the_same() {
    async fn story() -> Vec<String> {
        let broker = Arc::new(broker().await);
        let workers = (0..4).map(|worker| {
            let broker = Arc::clone(&broker);
            tokio::spawn(async move {
                let mut log = Vec::new();
                let mut pull = broker.pull(request(50, Some(20 * SECOND))).await.unwrap();
                while let Some(item) = pull.next().await {
                    let Ok(PullItem::Delivery(delivery)) = item else { continue };
                    let nak = Settle::Nak { delay: Duration::from_millis(delivery.sequence * 7 % 50) };
                    let settle = if (delivery.sequence + delivery.deliveries) % 3 == 0 { nak } else { Settle::Ack };
                    log.push(format!("{worker} {:?} {:?} {settle:?}", delivery.sequence, delivery.deliveries));
                    broker.settle(&delivery.token, settle).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(delivery.sequence % 5)).await;
                }
                log
            })
        });
        let workers: Vec<_> = workers.collect();
        put(&broker, 100).await;
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.await.unwrap());
        }
        all
    }
    let first = story().await;
    assert!(first.len() > 100);
    assert_eq!(first, story().await);
}
