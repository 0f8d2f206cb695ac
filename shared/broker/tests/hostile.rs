//! Messages made to mislead whoever reads them, against a real nats-server.

use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BrokerRef, Discard, Expect, Message, Scan, StreamSpec, jetstream};
use nova_wire::Headers;

async fn broker(server: &nova_testkit::NatsServer) -> BrokerRef {
    let options = jetstream::Options::new(server.url(), "hostile");
    Arc::new(jetstream::connect(options).await.expect("the server greets"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_cannot_lie_about_where_it_stands() {
    let server = nova_testkit::NatsServer::start();
    let broker = broker(&server).await;
    let spec = StreamSpec {
        name: "LIES".into(),
        description: String::new(),
        subjects: vec!["lies.>".into()],
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
        delete_marker_ttl: Duration::ZERO,
        first_sequence: None,
        metadata: Default::default(),
    };
    broker.put_stream(spec).await.expect("a stream");
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
