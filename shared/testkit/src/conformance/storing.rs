//! What a stream takes, refuses and forgets.

use std::time::Duration;

use futures_util::future::join_all;
use nova_broker::{BrokerRef, Discard, Expect, Message, PublishError, Purge, StreamSpec, Transform};
use nova_wire::{Headers, name};

use super::ground::{Ground, SOON, text};
use crate::wait_until;

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn an_expected_last_sequence_decides(broker: BrokerRef) {
    let ground = Ground::new(broker, "expected", |_| {}).await;
    let send = async |rest, body, expect| ground.send(rest, body, Headers::new(), expect).await;
    let first = send("a", "1", Expect::NOTHING).await.expect("nothing stood there").sequence;
    assert!(matches!(send("a", "2", Expect::NOTHING).await, Err(PublishError::Conflict { .. })));
    let second = send("a", "2", Expect::Last(first)).await.expect("the first is the last").sequence;
    assert!(matches!(send("a", "3", Expect::Last(first)).await, Err(PublishError::Conflict { .. })));
    send("b", "1", Expect::NOTHING).await.expect("another subject has a history of its own");
    assert!(matches!(send("c", "1", Expect::Last(second)).await, Err(PublishError::Conflict { .. })));
    assert_eq!(ground.last("a").await.map(|last| text(&last.body)), Some("2".into()));
}

pub(super) async fn one_of_many_racers_wins(broker: BrokerRef) {
    let ground = Ground::new(broker, "racers", |_| {}).await;
    let racers = (0..32).map(|i| {
        let ground = &ground;
        async move { ground.send("a", &i.to_string(), Headers::new(), Expect::NOTHING).await }
    });
    let ends = join_all(racers).await;
    let lost = ends.iter().filter(|end| matches!(end, Err(PublishError::Conflict { .. }))).count();
    assert_eq!((ends.iter().filter(|end| end.is_ok()).count(), lost), (1, 31));
    assert_eq!(ground.info().await.messages, 1);
}

pub(super) async fn a_dedupe_key_is_stored_once(broker: BrokerRef) {
    let ground = Ground::new(broker, "dedupe", |_| {}).await;
    let id = Headers::new().with(name::MSG_ID, "one");
    let first = ground.send("a", "1", id.clone(), Expect::Any).await.expect("the first is taken");
    let second = ground.send("b", "other", id, Expect::Any).await.expect("a duplicate has a receipt, too");
    assert!(!first.is_duplicate && second.is_duplicate);
    assert_eq!((first.sequence, first.stream.as_str()), (second.sequence, "DEDUPE"));
    assert_eq!(ground.info().await.messages, 1);
}

pub(super) async fn a_dedupe_key_is_forgotten_after_its_window(broker: BrokerRef) {
    let ground = Ground::new(broker, "window", |spec| spec.duplicate_window = 2 * SECOND).await;
    let send = async || {
        let id = Headers::new().with(name::MSG_ID, "one");
        ground.send("a", "", id, Expect::Any).await.expect("it is taken")
    };
    let (first, began) = (send().await, tokio::time::Instant::now());
    let again = wait_until("the window to pass", SOON, async || Some(send().await).filter(|r| !r.is_duplicate)).await;
    assert!(again.sequence > first.sequence);
    assert!(began.elapsed() > 2 * SECOND - SECOND / 10, "it was forgotten after {:?}", began.elapsed());
}

pub(super) async fn an_expectation_is_judged_before_a_duplicate_is_told(broker: BrokerRef) {
    let ground = Ground::new(broker, "again", |_| {}).await;
    let id = || Headers::new().with(name::MSG_ID, "one");
    let first = ground.send("a", "1", id(), Expect::NOTHING).await.expect("nothing stood there").sequence;
    let again = ground.send("a", "1", id(), Expect::NOTHING).await;
    assert!(matches!(again, Err(PublishError::Conflict { .. })), "{again:?}");
    let again = ground.send("a", "1", id(), Expect::Last(first)).await.expect("the expectation holds");
    assert!(again.is_duplicate && again.sequence == first, "{again:?}");
}

pub(super) async fn a_duplicate_is_told_even_when_the_stream_is_full(broker: BrokerRef) {
    let ground = Ground::new(broker, "fulldup", |spec| (spec.max_messages, spec.discard) = (1, Discard::New)).await;
    let send = async |id| ground.send("a", "", Headers::new().with(name::MSG_ID, id), Expect::Any).await;
    let first = send("one").await.expect("there is room");
    let again = send("one").await.expect("it is there already");
    assert!(again.is_duplicate && again.sequence == first.sequence, "{again:?}");
    let refused = send("two").await;
    assert!(matches!(refused, Err(PublishError::Full { .. })), "{refused:?}");
}

pub(super) async fn a_full_stream_refuses_until_there_is_room(broker: BrokerRef) {
    let ground = Ground::new(broker, "full", |spec| (spec.max_messages, spec.discard) = (2, Discard::New)).await;
    let first = ground.put("a", "1").await;
    ground.put("b", "2").await;
    let error = ground.send("c", "3", Headers::new(), Expect::Any).await.expect_err("it is full");
    assert!(matches!(error, PublishError::Full { .. }) && error.is_transient(), "{error:?}");
    let freed = ground.broker.purge(ground.stream.clone(), Purge::Sequence(first)).await;
    assert_eq!(freed.expect("it is there"), 1);
    ground.put("c", "3").await;
}

pub(super) async fn a_stream_full_of_bytes_refuses(broker: BrokerRef) {
    let ground = Ground::new(broker, "bytes", |spec| (spec.max_bytes, spec.discard) = (1000, Discard::New)).await;
    ground.put("a", &"x".repeat(800)).await;
    let error = ground.send("b", &"x".repeat(800), Headers::new(), Expect::Any).await;
    assert!(matches!(error, Err(PublishError::Full { .. })), "{error:?}");
    ground.put("b", "small").await;
    // 30 bytes of frame beside subject and body.
    assert_eq!(ground.info().await.bytes, (30 + 7 + 800) + (30 + 7 + 5));
}

pub(super) async fn a_stream_that_drops_old_ones_keeps_the_newest(broker: BrokerRef) {
    let ground = Ground::new(broker, "newest", |spec| spec.max_messages = 3).await;
    ground.put_many("a", 5).await;
    let info = ground.info().await;
    assert_eq!((info.messages, info.first_sequence, info.last_sequence), (3, 3, 5));
}

pub(super) async fn a_subject_keeps_its_newest(broker: BrokerRef) {
    let ground = Ground::new(broker, "persubject", |spec| spec.max_messages_per_subject = 2).await;
    ground.put("b", "kept").await;
    ground.put_many("a", 4).await;
    let held: Vec<_> = ground.all(">").await.iter().map(|stored| text(&stored.body)).collect();
    assert_eq!(held, ["kept", "2", "3"]);
    let info = ground.info().await;
    assert_eq!((info.deleted, info.subjects), (2, 2));
}

pub(super) async fn a_message_expires_by_the_streams_age(broker: BrokerRef) {
    let adjust = |spec: &mut nova_broker::StreamSpec| (spec.max_age, spec.duplicate_window) = (SECOND, SECOND);
    let ground = Ground::new(broker, "age", adjust).await;
    ground.consumer("c", ">", |_| {}).await;
    ground.put("a", "1").await;
    ground.wait_empty("a").await;
    let info = ground.info().await;
    assert_eq!((info.messages, info.last_sequence, info.first_sequence), (0, 1, 2));
    ground.wait_for("c", "nothing to be left to deliver", |info| info.pending == 0).await;
}

pub(super) async fn a_message_expires_by_its_own_time(broker: BrokerRef) {
    let ground = Ground::new(broker, "ttl", |spec| spec.allow_ttl = true).await;
    ground.put_with("a", "1", Headers::new().with(name::TTL, "1s")).await;
    ground.put("b", "2").await;
    ground.wait_empty("a").await;
    assert!(ground.last("b").await.is_some());
}

pub(super) async fn a_message_without_end_outlives_the_streams_age(broker: BrokerRef) {
    let ground = Ground::new(broker, "forever", |spec| {
        (spec.max_age, spec.duplicate_window, spec.allow_ttl) = (SECOND, SECOND, true);
    })
    .await;
    ground.put_with("a", "stays", Headers::new().with(name::TTL, "never")).await;
    ground.put("b", "goes").await;
    ground.wait_empty("b").await;
    assert!(ground.last("a").await.is_some());
}

pub(super) async fn an_expired_last_message_leaves_a_mark(broker: BrokerRef) {
    let ground =
        Ground::new(broker, "mark", |spec| (spec.allow_ttl, spec.delete_marker_ttl) = (true, 4 * SECOND)).await;
    ground.put("a", "1").await;
    ground.put_with("a", "2", Headers::new().with(name::TTL, "2s")).await;
    ground.put_with("b", "1", Headers::new().with(name::TTL, "2s")).await;
    let mark = wait_until("the mark", SOON, async || ground.last("b").await.filter(|last| last.body.is_empty())).await;
    assert_eq!(mark.headers.get("Nats-Marker-Reason"), Some("MaxAge"));
    assert_eq!(mark.headers.get(name::TTL), Some("4s"));
    // What expires behind an older message of its subject leaves none.
    let is_older = async || ground.last("a").await.filter(|last| text(&last.body) == "1");
    wait_until("the older one to be the last", SOON, is_older).await;
    ground.wait_empty("b").await;
    assert!(ground.last("a").await.is_some());
}

pub(super) async fn a_time_to_live_must_be_allowed_and_readable(broker: BrokerRef) {
    let none = Ground::new(broker.clone(), "nottl", |_| {}).await;
    let ground = Ground::new(broker, "badttl", |spec| spec.allow_ttl = true).await;
    let send = async |ground: &Ground, ttl: &str| {
        let headers = Headers::new().with(name::TTL, ttl);
        match ground.send("a", "", headers, Expect::Any).await {
            Err(PublishError::Refused { code, .. }) => code,
            other => panic!("{ttl}: {other:?}"),
        }
    };
    assert_eq!(send(&none, "5s").await, 10166);
    // Days are no unit of the broker's.
    for bad in ["500ms", "2d", "soon"] {
        assert_eq!(send(&ground, bad).await, 10165, "{bad}");
    }
    for good in ["5", "1500ms", "1h30m", "never"] {
        ground.put_with("a", "", Headers::new().with(name::TTL, good)).await;
    }
}

pub(super) async fn a_rollup_replaces_what_its_subject_held(broker: BrokerRef) {
    let none = Ground::new(broker.clone(), "norollup", |_| {}).await;
    let rollup = || Headers::new().with(name::ROLLUP, "sub");
    let error = none.send("a", "", rollup(), Expect::Any).await;
    assert!(matches!(error, Err(PublishError::Refused { code: 10111, .. })), "{error:?}");
    let ground = Ground::new(broker, "rollup", |spec| spec.allow_rollup = true).await;
    ground.put_many("a", 3).await;
    ground.put("b", "other").await;
    ground.put_with("a", "rolled", rollup()).await;
    let held: Vec<_> = ground.all(">").await.iter().map(|stored| text(&stored.body)).collect();
    assert_eq!(held, ["other", "rolled"]);
}

pub(super) async fn a_subject_without_stream_is_told(broker: BrokerRef) {
    let error = broker.publish(Message::new("nobodys.subject", ""), Expect::Any).await;
    assert!(matches!(error, Err(PublishError::NoStream { .. })), "{error:?}");
}

pub(super) async fn a_message_too_large_is_told(broker: BrokerRef) {
    let ground = Ground::new(broker, "large", |_| {}).await;
    let most = ground.broker.server().max_payload;
    assert!(most >= 1024 * 1024, "{most}");
    let message = Message::new(ground.subject("a"), vec![0; most + 1]);
    let error = ground.broker.publish(message, Expect::Any).await;
    assert!(matches!(error, Err(PublishError::TooLarge { .. })), "{error:?}");
    ground.put("a", "the connection is still good").await;
}

pub(super) async fn headers_and_body_come_back_as_sent(broker: BrokerRef) {
    let ground = Ground::new(broker, "headers", |_| {}).await;
    let headers = Headers::new().with("B", "2").with("Nova-A", "a=b; c: d").with("empty", "");
    let body = vec![0_u8, 13, 10, 255];
    let message = Message::new(ground.subject("a"), body.clone()).with_headers(headers.clone());
    ground.broker.publish(message, Expect::Any).await.expect("it is taken");
    ground.consumer("c", ">", |_| {}).await;
    let (stored, delivered) = (ground.last("a").await.expect("it is stored"), ground.next("c").await);
    let sorted = |headers: &Headers| {
        let mut lines: Vec<_> = headers.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        lines.sort();
        lines
    };
    assert_eq!((sorted(&stored.headers), &*stored.body), (sorted(&headers), &*body));
    assert_eq!((sorted(&delivered.headers), &*delivered.body), (sorted(&headers), &*body));
    assert_eq!((delivered.at, delivered.sequence), (stored.at, stored.sequence));
    let empty = ground.put("b", "").await;
    let stored = ground.broker.get(ground.stream.clone(), empty).await.expect("the broker answers");
    assert!(stored.is_some_and(|stored| stored.body.is_empty() && stored.headers.is_empty()));
}

pub(super) async fn a_stream_begins_at_its_first_sequence(broker: BrokerRef) {
    let ground = Ground::new(broker, "begin", |spec| spec.first_sequence = Some(1000)).await;
    assert_eq!(ground.put("a", "1").await, 1000);
    let info = ground.info().await;
    assert_eq!((info.first_sequence, info.last_sequence, info.deleted), (1000, 1000, 0));
}

pub(super) async fn a_stream_stores_what_it_makes_of_a_subject(broker: BrokerRef) {
    let transform = Transform {
        from: "made.*.*".to_owned(),
        to: "made.{{wildcard(1)}}.{{partition(8,2)}}.{{wildcard(2)}}".to_owned(),
    };
    let adjust = |spec: &mut StreamSpec| {
        spec.subjects = vec!["made.*".to_owned(), "made.*.*".to_owned()];
        spec.transform = Some(transform.clone());
    };
    let ground = Ground::new(broker, "made", adjust).await;
    ground.consumer("seven", "*.7.*", |_| {}).await;
    for (sequence, (sent, stored)) in (1..).zip([
        ("high", "high"),
        ("normal.k1", "normal.1.k1"),
        ("high.a%2Fb", "high.7.a%2Fb"),
        ("low.k1", "low.1.k1"),
    ]) {
        assert_eq!(ground.put(sent, "x").await, sequence);
        let found = ground.broker.get(ground.stream.clone(), sequence).await.expect("the broker answers");
        assert_eq!(found.expect("it is there").subject, ground.subject(stored));
    }
    let read = ground.take("seven", 10).await;
    assert_eq!(read.iter().map(|delivery| delivery.sequence).collect::<Vec<_>>(), [3]);
    assert_eq!(ground.info().await.spec.transform, Some(transform));
    // What is not as the stream stores it finds no stream: nobody chooses a partition.
    let stray = ground.send("high.7.k", "x", Headers::new(), Expect::Any).await;
    assert!(matches!(stray, Err(PublishError::NoStream { .. })), "{stray:?}");
}
