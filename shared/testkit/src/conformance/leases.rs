//! Leases: how long one holds, and what ends it.

use std::time::Duration;

use nova_broker::{BrokerRef, Settle};
use tokio::time::Instant;

use super::ground::{Ground, SOON, bodies};

const SECOND: Duration = Duration::from_secs(1);
/// The broker's clock and ours are read at different moments, and its timers count whole milliseconds.
const SLACK: Duration = Duration::from_millis(50);
const AT_ONCE: Settle = Settle::Nak { delay: Duration::ZERO };

pub(super) async fn a_lease_that_ends_comes_again(broker: BrokerRef) {
    let ground = Ground::new(broker, "lease", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = SECOND).await;
    ground.put("a", "1").await;
    let began = Instant::now();
    let first = ground.next("c").await;
    let second = ground.next("c").await;
    assert!(began.elapsed() >= SECOND - SLACK, "it came again after {:?}", began.elapsed());
    assert_eq!((first.deliveries, second.deliveries), (1, 2));
    assert_eq!((first.sequence, first.body), (second.sequence, second.body));
}

pub(super) async fn a_stale_ack_is_accepted(broker: BrokerRef) {
    let ground = Ground::new(broker, "stale", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = SECOND).await;
    ground.put("a", "1").await;
    let stale = ground.next("c").await;
    let held = ground.next("c").await;
    assert_ne!(stale.token, held.token);
    ground.settle(&stale, Settle::Ack).await;
    ground.wait_for("c", "the stale ack to count", |info| info.ack_pending == 0 && info.ack_floor == 1).await;
    ground.settle(&held, Settle::Ack).await;
    assert!(ground.take("c", 1).await.is_empty());
}

pub(super) async fn an_extended_lease_holds(broker: BrokerRef) {
    let ground = Ground::new(broker, "extend", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = 3 * SECOND).await;
    ground.put("a", "1").await;
    // On a machine that stood still for the length of a lease the claim has not been tried.
    for _ in 0..5 {
        let (held, began) = (ground.next("c").await, Instant::now());
        let mut longest = Duration::ZERO;
        let mut extended = began;
        while began.elapsed() < 4 * SECOND {
            tokio::time::sleep(SECOND / 2).await;
            ground.settle(&held, Settle::Extend).await;
            longest = longest.max(extended.elapsed());
            extended = Instant::now();
        }
        let again = ground.take("c", 1).await;
        if longest.max(extended.elapsed()) < 2 * SECOND {
            assert!(again.is_empty(), "an extended lease ended: {again:?}");
            return;
        }
    }
    panic!("the machine was too slow to try it");
}

pub(super) async fn a_late_extend_is_too_late(broker: BrokerRef) {
    let ground = Ground::new(broker, "late", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = SECOND).await;
    ground.put("a", "1").await;
    let held = ground.next("c").await;
    // Twice the lease, with no pull that could have got it meanwhile.
    tokio::time::sleep(2 * SECOND).await;
    ground.settle(&held, Settle::Extend).await;
    let again = ground.take("c", 1).await;
    assert_eq!(again.iter().map(|delivery| delivery.deliveries).collect::<Vec<_>>(), [2]);
}

pub(super) async fn a_stale_extend_extends_its_successors_lease(broker: BrokerRef) {
    let ground = Ground::new(broker, "successor", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = 2 * SECOND).await;
    ground.put("a", "1").await;
    let stale = ground.next("c").await;
    // On a machine that stood still for the length of a lease the claim has not been tried.
    for _ in 0..5 {
        ground.next("c").await;
        let began = Instant::now();
        tokio::time::sleep(SECOND).await;
        ground.settle(&stale, Settle::Extend).await;
        let is_tried = began.elapsed() < 3 * SECOND / 2;
        let extended = Instant::now();
        ground.wait_for("c", "the lease to be seen", |info| info.ack_pending == 1).await;
        ground.next("c").await;
        if is_tried {
            assert!(extended.elapsed() >= 2 * SECOND - SLACK, "it held for {:?}", extended.elapsed());
            return;
        }
    }
    panic!("the machine was too slow to try it");
}

pub(super) async fn a_late_nak_puts_off_what_comes_again(broker: BrokerRef) {
    let ground = Ground::new(broker, "putoff", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = SECOND).await;
    ground.put("a", "1").await;
    let held = ground.next("c").await;
    tokio::time::sleep(2 * SECOND).await;
    let (began, delay) = (Instant::now(), 2 * SECOND);
    ground.settle(&held, Settle::Nak { delay }).await;
    // A pull on the same connection may still overtake it.
    tokio::time::sleep(SECOND / 2).await;
    ground.next("c").await;
    assert!(began.elapsed() >= delay - SLACK, "it came after {:?}", began.elapsed());
}

pub(super) async fn a_nak_without_delay_comes_at_once(broker: BrokerRef) {
    let ground = Ground::new(broker, "nak", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    let first = ground.next("c").await;
    ground.settle(&first, AT_ONCE).await;
    let second = ground.next("c").await;
    assert_eq!((second.sequence, second.deliveries), (first.sequence, 2));
    let info = ground.consumer_info("c").await;
    assert_eq!((info.ack_pending, info.redelivered, info.pending, info.deliveries), (1, 1, 0, 2));
}

pub(super) async fn a_nak_waits_for_its_delay(broker: BrokerRef) {
    let ground = Ground::new(broker, "delay", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    let first = ground.next("c").await;
    let (began, delay) = (Instant::now(), Duration::from_millis(700));
    ground.settle(&first, Settle::Nak { delay }).await;
    assert!(ground.take("c", 1).await.is_empty() || began.elapsed() >= delay);
    ground.next("c").await;
    assert!(began.elapsed() >= delay - SLACK, "it came after {:?}", began.elapsed());
}

pub(super) async fn what_comes_again_goes_first(broker: BrokerRef) {
    let ground = Ground::new(broker, "first", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put_many("a", 3).await;
    let first = ground.next("c").await;
    ground.settle(&first, AT_ONCE).await;
    // The nak is carried out some time after it was sent; what was pulled before that is new.
    let mut seen = Vec::new();
    while seen.last().is_none_or(|deliveries| *deliveries == 1) && seen.len() < 3 {
        seen.push(ground.next("c").await.deliveries);
    }
    assert_eq!(seen.last(), Some(&2), "{seen:?}");
}

pub(super) async fn no_more_are_out_than_allowed(broker: BrokerRef) {
    let ground = Ground::new(broker, "out", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.max_ack_pending = 2).await;
    ground.put_many("a", 3).await;
    let mut pull = ground.pull("c", 5, Some(3 * SECOND)).await;
    let mut out = Vec::new();
    while let Some(item) = futures_util::StreamExt::next(&mut pull).await {
        if let nova_broker::PullItem::Delivery(delivery) = item.expect("a pull that waits for room is no error") {
            out.push(*delivery);
        }
    }
    assert_eq!(bodies(&out), ["0", "1"]);
    // What comes again has its place already.
    ground.settle(&out[0], AT_ONCE).await;
    let again = ground.next("c").await;
    assert_eq!((again.sequence, again.deliveries), (1, 2));
    ground.settle(&again, Settle::Ack).await;
    assert_eq!(bodies(&[ground.next("c").await]), ["2"]);
}

pub(super) async fn acked_messages_stay_in_the_stream(broker: BrokerRef) {
    let ground = Ground::new(broker, "stay", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    let held = ground.next("c").await;
    ground.settle(&held, Settle::Ack).await;
    ground.wait_for("c", "the ack", |info| info.ack_floor == 1).await;
    assert!(ground.last("a").await.is_some());
}

pub(super) async fn what_was_put_off_can_be_taken_up_again(broker: BrokerRef) {
    let ground = Ground::new(broker, "takeup", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.ack_wait = 2 * SECOND).await;
    ground.put_many("a", 2).await;
    let (held, done) = (ground.next("c").await, ground.next("c").await);
    for delivery in [&held, &done] {
        ground.settle(delivery, Settle::Nak { delay: 300 * SECOND }).await;
    }
    // It is leased anew, for as long as any: not for what is left of the pause.
    ground.settle(&held, Settle::Extend).await;
    let began = Instant::now();
    ground.settle(&done, Settle::Ack).await;
    ground.wait_for("c", "the ack to count", |info| info.ack_pending == 1).await;
    assert_eq!(ground.next("c").await.sequence, held.sequence);
    let after = began.elapsed();
    assert!(after >= 2 * SECOND - SLACK && after < 30 * SECOND, "it came after {after:?}");
}

pub(super) async fn what_was_put_off_can_come_at_once_after_all(broker: BrokerRef) {
    let ground = Ground::new(broker, "atonce", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    let first = ground.next("c").await;
    ground.settle(&first, Settle::Nak { delay: 200 * SECOND }).await;
    ground.settle(&first, AT_ONCE).await;
    let began = Instant::now();
    ground.next("c").await;
    assert!(began.elapsed() < SOON, "it came after {:?}", began.elapsed());
}
