//! Pulls: what they bring, how they wait, how they end.

use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{BrokerError, BrokerRef, PullItem, PullRequest, Settle, Start};
use tokio::time::Instant;

use super::ground::{Ground, SOON, bodies};
use crate::wait_until;

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn a_pull_never_brings_more_than_asked(broker: BrokerRef) {
    let ground = Ground::new(broker, "asked", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put_many("a", 10).await;
    let taken = ground.take("c", 3).await;
    assert_eq!(bodies(&taken), ["0", "1", "2"]);
    // The real server counts what waits behind a delivery with a slip of one at times; it only ever falls.
    assert!(taken.windows(2).all(|pair| pair[0].pending == pair[1].pending + 1), "{taken:?}");
    let waiting = ground.pull("c", 4, Some(SOON)).await.collect::<Vec<_>>().await;
    assert_eq!(super::ground::deliveries(waiting).len(), 4);
    ground.wait_for("c", "three to be left", |info| info.pending == 3).await;
}

pub(super) async fn deliveries_are_numbered_without_gaps(broker: BrokerRef) {
    let ground = Ground::new(broker, "numbered", |_| {}).await;
    ground.consumer("c", "a", |_| {}).await;
    for subject in ["a", "b", "a", "a"] {
        ground.put(subject, "").await;
    }
    let first = ground.take("c", 2).await;
    ground.settle(&first[0], Settle::Nak { delay: Duration::ZERO }).await;
    // What comes again has a number of its own. Waited for: a hand-back is heard a moment after the next pull at times.
    let again = super::ground::deliveries(ground.pull("c", 2, Some(SOON)).await.collect().await);
    let orders: Vec<u64> = first.iter().chain(&again).map(|delivery| delivery.order).collect();
    assert_eq!(orders, [1, 2, 3, 4]);
    ground.wait_for("c", "four deliveries to be counted", |info| info.deliveries == 4).await;
}

pub(super) async fn a_pull_for_now_ends(broker: BrokerRef) {
    let ground = Ground::new(broker, "now", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    assert!(ground.take("c", 5).await.is_empty());
    ground.put_many("a", 2).await;
    assert_eq!(bodies(&ground.take("c", 5).await), ["0", "1"]);
    assert!(ground.take("c", 5).await.is_empty());
}

pub(super) async fn a_waiting_pull_gets_what_comes_later(broker: BrokerRef) {
    let ground = Ground::new(broker, "later", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let mut pull = ground.pull("c", 2, Some(SOON)).await;
    ground.wait_for("c", "the pull to wait", |info| info.waiting == 1).await;
    for body in ["1", "2"] {
        ground.put("a", body).await;
        let item = pull.next().await.expect("it has not ended").expect("it has not failed");
        assert!(matches!(&item, PullItem::Delivery(delivery) if *delivery.body == *body.as_bytes()), "{item:?}");
    }
    assert!(pull.next().await.is_none());
    ground.wait_for("c", "no pull to wait", |info| info.waiting == 0).await;
}

pub(super) async fn a_waiting_pull_ends_when_its_time_is_over(broker: BrokerRef) {
    let ground = Ground::new(broker, "over", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    let began = Instant::now();
    let items = ground.pull("c", 2, Some(SECOND)).await.collect::<Vec<_>>().await;
    assert_eq!(bodies(&super::ground::deliveries(items)), ["1"]);
    assert!(began.elapsed() >= SECOND * 9 / 10, "it ended after {:?}", began.elapsed());
}

pub(super) async fn a_waiting_pull_has_heartbeats(broker: BrokerRef) {
    let ground = Ground::new(broker, "beats", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let items = ground.pull("c", 1, Some(3 * SECOND)).await.collect::<Vec<_>>().await;
    assert!(!items.is_empty(), "a pull that waits for seconds must show that it still does");
    assert!(items.iter().all(|item| matches!(item, Ok(PullItem::Heartbeat))), "{items:?}");
}

pub(super) async fn pulls_that_wait_take_turns(broker: BrokerRef) {
    let ground = Ground::new(broker, "turns", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let pulls = [ground.pull("c", 2, Some(SOON)).await, ground.pull("c", 2, Some(SOON)).await];
    ground.wait_for("c", "both pulls to wait", |info| info.waiting == 2).await;
    ground.put_many("a", 4).await;
    for (pull, expected) in pulls.into_iter().zip([["0", "2"], ["1", "3"]]) {
        let items = pull.collect::<Vec<_>>().await;
        assert_eq!(bodies(&super::ground::deliveries(items)), expected);
    }
}

pub(super) async fn two_consumers_read_their_own_subjects(broker: BrokerRef) {
    let ground = Ground::new(broker, "two", |_| {}).await;
    ground.consumer("plain", "a", |_| {}).await;
    ground.consumer("high", "a.high", |_| {}).await;
    for (rest, body) in [("a", "1"), ("a.high", "2"), ("a", "3"), ("a.low", "4")] {
        ground.put(rest, body).await;
    }
    assert_eq!(bodies(&ground.take("high", 9).await), ["2"]);
    assert_eq!(bodies(&ground.take("plain", 9).await), ["1", "3"]);
    assert_eq!(ground.consumer_info("plain").await.pending, 0);
}

pub(super) async fn a_dropped_pull_hands_back_what_it_was_given(broker: BrokerRef) {
    let ground = Ground::new(broker, "given", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put_many("a", 4).await;
    let mut pull = ground.pull("c", 4, Some(SOON)).await;
    assert!(matches!(pull.next().await, Some(Ok(PullItem::Delivery(_)))));
    ground.wait_for("c", "all four to be out", |info| info.ack_pending == 4).await;
    drop(pull);
    let mut again = Vec::new();
    for _ in 0..3 {
        again.extend(bodies(&[ground.next("c").await]));
    }
    again.sort();
    assert_eq!(again, ["1", "2", "3"]);
}

pub(super) async fn a_dropped_pull_hands_back_what_still_arrives(broker: BrokerRef) {
    let ground = Ground::new(broker, "arrives", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let pull = ground.pull("c", 4, Some(SOON)).await;
    ground.wait_for("c", "the pull to wait", |info| info.waiting == 1).await;
    drop(pull);
    ground.put("a", "1").await;
    assert_eq!(bodies(&[ground.next("c").await]), ["1"]);
}

pub(super) async fn pulls_beyond_the_limit_fail(broker: BrokerRef) {
    let ground = Ground::new(broker, "waiting", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.max_waiting = 1).await;
    let mut first = ground.pull("c", 1, Some(SOON)).await;
    ground.wait_for("c", "the pull to wait", |info| info.waiting == 1).await;
    let mut second = ground.pull("c", 1, Some(3 * SECOND)).await;
    // The broker says no, but at most about twice a second; beyond that it is silent, and the missing heartbeats tell.
    let error = second.next().await;
    let is_told = matches!(error, Some(Err(BrokerError::Refused { code: 409, .. } | BrokerError::Timeout { .. })));
    assert!(is_told, "{error:?}");
    assert!(second.next().await.is_none());
    ground.put("a", "1").await;
    while let Some(item) = first.next().await {
        assert!(matches!(item, Ok(PullItem::Delivery(_) | PullItem::Heartbeat)), "{item:?}");
    }
    ground.wait_for("c", "the first to have got it", |info| info.ack_pending == 1).await;
}

pub(super) async fn a_pull_from_nobody_fails(broker: BrokerRef) {
    let ground = Ground::new(broker, "nobody", |_| {}).await;
    let request = PullRequest { stream: ground.stream.clone(), consumer: "c".into(), batch: 1, wait: Some(SOON) };
    let error = match ground.broker.pull(request).await {
        Ok(mut pull) => pull.next().await.expect("it does not just end").err(),
        Err(error) => Some(error),
    };
    assert!(matches!(error, Some(BrokerError::NotFound { .. })), "{error:?}");
}

pub(super) async fn a_deleted_consumer_ends_its_pulls(broker: BrokerRef) {
    let ground = Ground::new(broker, "deleted", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let mut pull = ground.pull("c", 1, Some(SOON)).await;
    ground.wait_for("c", "the pull to wait", |info| info.waiting == 1).await;
    ground.broker.delete_consumer(ground.stream.clone(), "c".into()).await.expect("it is there");
    let began = Instant::now();
    let error = pull.next().await;
    assert!(matches!(error, Some(Err(_))), "{error:?}");
    assert!(began.elapsed() < SOON / 2);
    assert!(pull.next().await.is_none());
}

pub(super) async fn a_consumer_begins_where_it_is_told(broker: BrokerRef) {
    let ground = Ground::new(broker, "start", |_| {}).await;
    ground.put_many("a", 3).await;
    ground.consumer("new", ">", |spec| spec.start = Start::New).await;
    ground.consumer("third", ">", |spec| spec.start = Start::Sequence(3)).await;
    let info = ground.consumer_info("new").await;
    assert_eq!((info.pending, info.ack_floor, info.delivered), (0, 3, 3));
    ground.put("a", "3").await;
    assert_eq!(bodies(&ground.take("new", 9).await), ["3"]);
    assert_eq!(bodies(&ground.take("third", 9).await), ["2", "3"]);
    ground.consumer("first", ">", |_| {}).await;
    let all = ground.take("first", 9).await;
    assert_eq!(bodies(&all), ["0", "1", "2", "3"]);
    for delivery in &all {
        ground.settle(delivery, Settle::Ack).await;
    }
    let acked = async || (ground.consumer_info("first").await.ack_floor == 4).then_some(());
    wait_until("the acks", SOON, acked).await;
}
