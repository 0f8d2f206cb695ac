//! Streams and consumers as assets: made, changed, listed, counted, paused.

use std::time::Duration;

use nova_broker::{BrokerError, BrokerRef, Discard, PauseState, Purge, Settle};

use super::ground::{Ground, bodies, stream_spec};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn a_stream_put_twice_is_the_same(broker: BrokerRef) {
    let spec = {
        let mut spec = stream_spec("twice");
        (spec.description, spec.allow_ttl, spec.allow_rollup) = ("a description".into(), true, true);
        (spec.max_bytes, spec.max_age) = (1 << 20, 3600 * SECOND);
        spec.metadata.insert("note".into(), "kept".into());
        spec
    };
    broker.put_stream(spec.clone()).await.expect("it can be made");
    let ground = Ground::new(broker, "twice", |again| *again = spec.clone()).await;
    ground.put("a", "1").await;
    ground.broker.put_stream(spec.clone()).await.expect("it can be put again");
    let info = ground.info().await;
    assert_eq!((info.messages, info.foreign), (1, vec![]));
    assert_eq!(info.spec, spec);
}

pub(super) async fn a_stream_can_be_changed(broker: BrokerRef) {
    let ground = Ground::new(broker, "change", |_| {}).await;
    ground.put_many("a", 5).await;
    let mut spec = stream_spec("change");
    (spec.max_messages, spec.subjects) = (2, vec!["change.>".into(), "changed".into()]);
    ground.broker.put_stream(spec.clone()).await.expect("limits and subjects may change");
    let info = ground.info().await;
    assert_eq!((info.messages, info.first_sequence), (2, 4));
    assert_eq!(info.spec, spec);
}

pub(super) async fn streams_must_not_overlap(broker: BrokerRef) {
    let ground = Ground::new(broker, "overlap", |_| {}).await;
    let mut other = stream_spec("overlap2");
    other.subjects = vec!["overlap.*.b".into()];
    let error = ground.broker.put_stream(other).await;
    assert!(matches!(error, Err(BrokerError::Refused { code: 10065, .. })), "{error:?}");
}

pub(super) async fn schedules_and_refusing_when_full_exclude_each_other(broker: BrokerRef) {
    let mut spec = stream_spec("exclude");
    (spec.allow_schedules, spec.allow_ttl, spec.discard) = (true, true, Discard::New);
    let error = broker.put_stream(spec).await;
    assert!(matches!(error, Err(BrokerError::Refused { code: 10052, .. })), "{error:?}");
}

pub(super) async fn streams_are_listed_by_prefix(broker: BrokerRef) {
    for name in ["listed_b", "listed_a", "list"] {
        broker.put_stream(stream_spec(name)).await.expect("it can be made");
    }
    let list = broker.streams("LISTED_".into()).await.expect("the broker answers");
    let mut names: Vec<_> = list.into_iter().map(|info| info.spec.name).collect();
    names.sort();
    assert_eq!(names, ["LISTED_A", "LISTED_B"]);
}

pub(super) async fn a_deleted_stream_is_gone(broker: BrokerRef) {
    let ground = Ground::new(broker, "gone", |_| {}).await;
    ground.put("a", "1").await;
    ground.broker.delete_stream(ground.stream.clone()).await.expect("it is there");
    assert_eq!(ground.broker.stream(ground.stream.clone()).await.expect("the broker answers"), None);
    let again = ground.broker.delete_stream(ground.stream.clone()).await;
    assert!(matches!(again, Err(BrokerError::NotFound { .. })), "{again:?}");
}

pub(super) async fn a_changed_consumer_keeps_its_position(broker: BrokerRef) {
    let ground = Ground::new(broker, "position", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put_many("a", 3).await;
    ground.take("c", 1).await;
    let spec = ground.consumer_spec("c", ">", |spec| {
        (spec.ack_wait, spec.max_ack_pending) = (20 * SECOND, 5);
        spec.metadata.insert("note".into(), "kept".into());
    });
    ground.broker.put_consumer(spec.clone()).await.expect("it may change");
    let info = ground.consumer_info("c").await;
    assert_eq!((info.spec, info.foreign), (spec, vec![]));
    assert_eq!((info.pending, info.ack_pending), (2, 1));
    assert_eq!(bodies(&ground.take("c", 9).await), ["1", "2"]);
    let names = ground.broker.consumers(ground.stream.clone()).await.expect("the broker answers");
    assert_eq!(names.iter().map(|info| info.spec.name.as_str()).collect::<Vec<_>>(), ["c"]);
    ground.broker.delete_consumer(ground.stream.clone(), "c".into()).await.expect("it is there");
    let gone = ground.broker.consumer(ground.stream.clone(), "c".into()).await;
    assert_eq!(gone.expect("the broker answers"), None);
}

pub(super) async fn a_consumers_limit_of_pulls_is_for_ever(broker: BrokerRef) {
    let ground = Ground::new(broker, "limit", |_| {}).await;
    ground.consumer("c", ">", |spec| spec.max_waiting = 10).await;
    let other = ground.consumer_spec("c", ">", |spec| spec.max_waiting = 20);
    let error = ground.broker.put_consumer(other).await;
    assert!(matches!(error, Err(BrokerError::Refused { code: 10012, .. })), "{error:?}");
    assert_eq!(ground.consumer_info("c").await.spec.max_waiting, 10);
}

pub(super) async fn a_consumer_counts_what_it_did(broker: BrokerRef) {
    let ground = Ground::new(broker, "counts", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let info = ground.consumer_info("c").await;
    assert_eq!((info.delivered, info.ack_floor, info.last_delivered), (0, 0, None));
    ground.put_many("a", 5).await;
    let out = ground.take("c", 3).await;
    let info = ground.consumer_info("c").await;
    assert_eq!((info.pending, info.ack_pending, info.delivered, info.ack_floor), (2, 3, 3, 0));
    assert!(info.last_delivered.is_some_and(|at| at <= info.now));
    ground.settle(&out[0], Settle::Ack).await;
    ground.settle(&out[2], Settle::Ack).await;
    ground.wait_for("c", "two acks", |info| info.ack_pending == 1).await;
    assert_eq!(ground.consumer_info("c").await.ack_floor, 1);
    ground.settle(&out[1], Settle::Ack).await;
    ground.wait_for("c", "three acks", |info| info.ack_pending == 0 && info.ack_floor == 3).await;
    // What is not its own does not count, however far it has looked.
    ground.consumer("own", "b", |_| {}).await;
    ground.put("b", "").await;
    ground.put("a", "").await;
    ground.take("own", 2).await;
    assert_eq!(ground.consumer_info("own").await.delivered, 6);
}

pub(super) async fn a_purge_leaves_nothing_to_deliver(broker: BrokerRef) {
    let ground = Ground::new(broker, "nothing", |_| {}).await;
    ground.consumer("c", "a", |_| {}).await;
    ground.put_many("a", 3).await;
    ground.put("b", "").await;
    ground.take("c", 1).await;
    ground.broker.purge(ground.stream.clone(), Purge::Subject(ground.subject("a"))).await.expect("it is there");
    ground.wait_for("c", "nothing to be left", |info| info.pending == 0 && info.ack_pending == 0).await;
    assert!(ground.take("c", 1).await.is_empty());
}

pub(super) async fn a_paused_consumer_gives_nothing_until_resumed(broker: BrokerRef) {
    let ground = Ground::new(broker, "paused", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let pause = async |until| {
        let pause = PauseState { until };
        ground.broker.pause_consumer(ground.stream.clone(), "c".into(), pause).await.expect("it is there");
    };
    let until = ground.consumer_info("c").await.now.plus(3600 * SECOND);
    pause(Some(until)).await;
    assert_eq!(ground.consumer_info("c").await.pause.until, Some(until));
    ground.put("a", "1").await;
    let items = futures_util::StreamExt::collect::<Vec<_>>(ground.pull("c", 1, Some(SECOND)).await).await;
    assert!(items.is_empty(), "{items:?}");
    pause(None).await;
    assert_eq!(ground.consumer_info("c").await.pause, PauseState::default());
    assert_eq!(bodies(&[ground.next("c").await]), ["1"]);
}

pub(super) async fn a_pause_ends_by_itself(broker: BrokerRef) {
    let ground = Ground::new(broker, "resume", |_| {}).await;
    ground.consumer("c", ">", |_| {}).await;
    let until = ground.consumer_info("c").await.now.plus(SECOND);
    let pause = PauseState { until: Some(until) };
    ground.broker.pause_consumer(ground.stream.clone(), "c".into(), pause).await.expect("it is there");
    ground.put("a", "1").await;
    ground.next("c").await;
    let info = ground.consumer_info("c").await;
    assert!(info.now >= until, "it gave before its pause was over");
    assert_eq!(info.pause, PauseState::default());
}

pub(super) async fn the_connection_stands(broker: BrokerRef) {
    let connection = *broker.connection().borrow();
    assert!(connection.is_up && connection.epoch >= 1, "{connection:?}");
    let server = broker.server();
    assert!(!server.name.is_empty() && !server.version.is_empty() && !server.url.contains('@'), "{server:?}");
}
