//! Reading messages back, and deleting them.

use nova_broker::{BrokerError, BrokerRef, Purge, Scan, Stored};

use super::ground::{Ground, text};

fn bodies(all: &[Stored]) -> Vec<String> {
    all.iter().map(|stored| text(&stored.body)).collect()
}

pub(super) async fn a_message_is_read_by_subject_and_by_sequence(broker: BrokerRef) {
    let ground = Ground::new(broker, "read", |_| {}).await;
    ground.put("a", "1").await;
    let second = ground.put("a", "2").await;
    let last = ground.last("a").await.expect("it is stored");
    assert_eq!((last.sequence, &*last.body, &*last.subject), (second, &b"2"[..], "read.a"));
    let get = async |sequence| ground.broker.get(ground.stream.clone(), sequence).await.expect("the broker answers");
    assert_eq!(get(second).await, Some(last));
    assert_eq!(get(second + 1).await, None);
    assert_eq!(ground.last("b").await, None);
}

pub(super) async fn a_scan_brings_pages_in_order(broker: BrokerRef) {
    let ground = Ground::new(broker, "pages", |_| {}).await;
    ground.put_many("a", 25).await;
    let (mut from, mut sizes, mut all) = (1, Vec::new(), Vec::new());
    loop {
        let scan = Scan::all(&*ground.stream, "pages.>", 10).from(from);
        let page = ground.broker.scan(scan).await.expect("the broker answers");
        sizes.push(page.len());
        let Some(last) = page.last() else { break };
        from = last.sequence + 1;
        all.extend(bodies(&page));
    }
    assert_eq!(sizes, [10, 10, 5, 0]);
    assert_eq!(all, (0..25).map(|i| i.to_string()).collect::<Vec<_>>());
}

pub(super) async fn a_scan_keeps_to_its_subject(broker: BrokerRef) {
    let ground = Ground::new(broker, "scope", |_| {}).await;
    for (rest, body) in [("a.x", "1"), ("b.x", "2"), ("a.y", "3"), ("a", "4"), ("a.x", "5")] {
        ground.put(rest, body).await;
    }
    assert_eq!(bodies(&ground.all("a.x").await), ["1", "5"]);
    assert_eq!(bodies(&ground.all("a.*").await), ["1", "3", "5"]);
    assert_eq!(bodies(&ground.all("*.x").await), ["1", "2", "5"]);
    assert!(ground.all("c").await.is_empty());
}

pub(super) async fn a_scan_of_lasts_brings_one_of_each(broker: BrokerRef) {
    let ground = Ground::new(broker, "lasts", |_| {}).await;
    for (rest, body) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("b", "5")] {
        ground.put(rest, body).await;
    }
    let scan = |limit, from| ground.broker.scan(Scan::last_of_each(&*ground.stream, "lasts.*", limit).from(from));
    let first = scan(2, 1).await.expect("the broker answers");
    assert_eq!(bodies(&first), ["3", "4"]);
    let rest = scan(2, first[1].sequence + 1).await.expect("the broker answers");
    assert_eq!(bodies(&rest), ["5"]);
    assert!(scan(2, 6).await.expect("the broker answers").is_empty());
}

pub(super) async fn a_scan_brings_more_than_the_broker_gives_at_a_time(broker: BrokerRef) {
    let ground = Ground::new(broker, "many", |_| {}).await;
    let puts = (0..1300).map(|_| ground.put("a", "x"));
    futures_util::future::join_all(puts).await;
    let scan = |limit| ground.broker.scan(Scan::all(&*ground.stream, "many.a", limit));
    assert_eq!(scan(1200).await.expect("the broker answers").len(), 1200);
    assert_eq!(scan(5000).await.expect("the broker answers").len(), 1300);
}

pub(super) async fn a_purge_deletes_what_it_names(broker: BrokerRef) {
    let ground = Ground::new(broker, "purge", |_| {}).await;
    for rest in ["a.x", "a.y", "b.x", "a.x", "c.x", "c.y"] {
        ground.put(rest, "").await;
    }
    let purge = async |what| ground.broker.purge(ground.stream.clone(), what).await.expect("the broker answers");
    assert_eq!(purge(Purge::Subject("purge.a.*".into())).await, 3);
    assert_eq!(purge(Purge::Subject("purge.a.*".into())).await, 0);
    assert_eq!(purge(Purge::Sequence(5)).await, 1);
    assert_eq!((purge(Purge::Sequence(5)).await, purge(Purge::Sequence(99)).await), (0, 0));
    let info = ground.info().await;
    assert_eq!((info.messages, info.first_sequence, info.last_sequence, info.deleted), (2, 3, 6, 2));
    assert_eq!(purge(Purge::Below(6)).await, 1);
    assert_eq!(purge(Purge::Subject("purge.>".into())).await, 1);
    let info = ground.info().await;
    assert_eq!((info.messages, info.first_sequence, info.last_sequence), (0, 7, 6));
    assert_eq!(ground.put("a.x", "").await, 7);
}

pub(super) async fn a_missing_stream_is_not_found(broker: BrokerRef) {
    let last = broker.last("NOWHERE".into(), "a".into()).await;
    assert!(matches!(last, Err(BrokerError::NotFound { .. })), "{last:?}");
    let scan = broker.scan(Scan::all("NOWHERE", "a", 1)).await;
    assert!(matches!(scan, Err(BrokerError::NotFound { .. })), "{scan:?}");
    let purge = broker.purge("NOWHERE".into(), Purge::Below(1)).await;
    assert!(matches!(purge, Err(BrokerError::NotFound { .. })), "{purge:?}");
    assert_eq!(broker.stream("NOWHERE".into()).await.expect("the broker answers"), None);
    assert_eq!(broker.consumer("NOWHERE".into(), "c".into()).await.expect("the broker answers"), None);
}
