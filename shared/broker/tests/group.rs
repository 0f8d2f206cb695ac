//! Group commit against a real nats-server: many publishes at once, and each learns what became of its own message.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use nova_broker::{BrokerRef, Discard, Expect, Message, PublishError, Receipt, StreamSpec, jetstream};
use nova_testkit::NatsServer;
use nova_types::{Priority, Skill};
use nova_wire::{Headers, assets, name, subject};

const MANY: usize = 500;

fn skill() -> Skill {
    Skill::new("echo").expect("a skill")
}

async fn ground(allow_batches: bool) -> (NatsServer, BrokerRef) {
    let server = NatsServer::start();
    let options = jetstream::Options::new(server.url(), "group");
    let broker: BrokerRef = Arc::new(jetstream::connect(options).await.expect("the server greets"));
    let task = subject::task(&skill(), Priority::Normal);
    for (name, subjects) in
        [(assets::OUTCOMES.to_owned(), subject::OUTCOME_SPACE.to_owned()), (assets::tasks_stream(&skill()), task)]
    {
        let spec = StreamSpec {
            name,
            description: String::new(),
            subjects: vec![subjects],
            discard: Discard::New,
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_age: Duration::ZERO,
            duplicate_window: Duration::from_secs(10),
            replicas: 1,
            allow_ttl: true,
            allow_schedules: false,
            allow_rollup: false,
            allow_batches,
            delete_marker_ttl: Duration::ZERO,
            first_sequence: None,
            transform: None,
            metadata: std::collections::BTreeMap::default(),
        };
        broker.put_stream(spec).await.expect("a stream");
    }
    (server, broker)
}

fn outcome(n: usize) -> Message {
    let id = format!("s.t{n}").parse().expect("an id");
    Message::new(subject::outcome(&skill(), &id), Bytes::from(n.to_string()))
}

async fn record(broker: &BrokerRef, numbers: impl Iterator<Item = usize>) -> Vec<Result<Receipt, PublishError>> {
    join_all(numbers.map(|n| broker.publish(outcome(n), Expect::NOTHING))).await
}

/// Whether each receipt names the place where its own message stands; says whether batches were seen.
async fn check_places(broker: &BrokerRef, receipts: &[(usize, Receipt)]) -> bool {
    let mut is_batched = false;
    for (n, receipt) in receipts.iter().step_by(17) {
        let stored = broker.get(assets::OUTCOMES.to_owned(), receipt.sequence).await.expect("readable");
        let stored = stored.expect("it stands");
        assert_eq!(stored.body, n.to_string().as_bytes());
        is_batched |= stored.headers.get("Nats-Batch-Id").is_some();
    }
    is_batched
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_at_once_is_told_its_own_place() {
    for allow_batches in [true, false] {
        let (_server, broker) = ground(allow_batches).await;
        // Twice: before and after it is known whether the stream takes batches.
        for round in 0..2 {
            let numbers = round * MANY..(round + 1) * MANY;
            let receipts = record(&broker, numbers.clone()).await;
            let receipts: Vec<(usize, Receipt)> =
                numbers.zip(receipts).map(|(n, receipt)| (n, receipt.expect("stored"))).collect();
            assert!(receipts.iter().all(|(_, receipt)| receipt.stream == assets::OUTCOMES));
            assert_eq!(check_places(&broker, &receipts).await, allow_batches, "batches are what is tried here");
        }
        let info = broker.stream(assets::OUTCOMES.to_owned()).await.expect("known").expect("it stands");
        assert_eq!(info.messages, 2 * MANY as u64, "none twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stale_fence_fails_none_of_its_neighbours() {
    let (_server, broker) = ground(true).await;
    let first = record(&broker, [7, 300].into_iter()).await;
    assert!(first.iter().all(Result::is_ok));
    let all = record(&broker, 0..MANY).await;
    let refused: Vec<usize> = (0..MANY).filter(|n| matches!(all[*n], Err(PublishError::Conflict { .. }))).collect();
    assert_eq!(refused, [7, 300]);
    assert_eq!(all.iter().filter(|one| one.is_ok()).count(), MANY - 2);
    let stored: Vec<(usize, Receipt)> =
        all.into_iter().enumerate().filter_map(|(n, one)| Some((n, one.ok()?))).collect();
    assert!(check_places(&broker, &stored).await, "batches are what is tried here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_submitted_twice_is_told_so_and_its_neighbours_are_new() {
    let (_server, broker) = ground(true).await;
    let task = |n: usize| {
        let headers = Headers::new().with(name::MSG_ID, format!("s.t{n}"));
        Message::new(subject::task(&skill(), Priority::Normal), "1").with_headers(headers)
    };
    broker.publish(task(42), Expect::Any).await.expect("stored");
    let all = join_all((0..MANY).map(|n| broker.publish(task(n), Expect::Any))).await;
    let twice: Vec<usize> = (0..MANY).filter(|n| all[*n].as_ref().expect("stored").is_duplicate).collect();
    assert_eq!(twice, [42]);
    let info = broker.stream(assets::tasks_stream(&skill())).await.expect("known").expect("it stands");
    assert_eq!(info.messages, MANY as u64);
}
