//! Waiting.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_client::{Submit, WaitError};
use nova_types::OutcomeKind;
use nova_wire::Payload;

use crate::support::{DEADLINE, Fleet, MiniWorker, echo, id, on_both, task};

on_both!(
    a_submitted_task_is_waited_for,
    an_outcome_that_stands_is_seen_at_once,
    an_end_that_nobody_tells_is_seen_by_looking,
    a_dead_task_yields_its_error,
    a_wait_ends_at_its_timeout,
    thousands_are_waited_for_over_one_subscription,
);

/// A pause so long that only a notice or a first look can end a wait in time.
const NEVER_LOOKS: Duration = Duration::from_secs(3600);

async fn a_submitted_task_is_waited_for(fleet: Fleet) {
    let worker = fleet.worker().run();
    let client = fleet.client_with(|options| options.check_every = NEVER_LOOKS);
    for n in 0..5 {
        let asked = Submit::msgpack(echo(), &n).expect("encodes");
        let outcome = client.submit_and_wait(asked, DEADLINE).await.expect("it ended");
        assert_eq!(outcome.result::<u32>().expect("a number"), Some(n));
    }
    worker.abort();
}

async fn an_outcome_that_stands_is_seen_at_once(fleet: Fleet) {
    fleet.client.submit(task("a", &7)).await.expect("stored");
    let worker = fleet.worker();
    let (taken, delivery) = worker.take_one().await;
    worker.echo(&taken, &delivery).await;
    let client = fleet.client_with(|options| options.check_every = NEVER_LOOKS);
    let outcome = client.wait(&echo(), &id("cli.a"), DEADLINE).await.expect("it ended");
    assert_eq!(outcome.result::<u32>().expect("a number"), Some(7));
    let again = client.submit_and_wait(task("a", &7), DEADLINE).await.expect("a duplicate finds it, too");
    assert_eq!(again, outcome);
}

async fn an_end_that_nobody_tells_is_seen_by_looking(fleet: Fleet) {
    let worker = MiniWorker { tells: false, ..fleet.worker() }.run();
    let client = fleet.client_with(|options| options.check_every = Duration::from_millis(20));
    let asked = Submit::json(echo(), &1).expect("encodes");
    client.submit_and_wait(asked, DEADLINE).await.expect("it was looked for");
    worker.abort();
}

async fn a_dead_task_yields_its_error(fleet: Fleet) {
    fleet.client.submit(task("a", &7)).await.expect("stored");
    let worker = fleet.worker();
    let (taken, delivery) = worker.take_one().await;
    worker.give_up(&taken, &delivery, "exit").await;
    let outcome = fleet.client.wait(&echo(), &id("cli.a"), DEADLINE).await.expect("it ended");
    let error = outcome.error().expect("it is dead");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("exit", "it broke"));
}

async fn a_wait_ends_at_its_timeout(fleet: Fleet) {
    let error = fleet.client.wait(&echo(), &id("cli.none"), Duration::from_millis(50)).await.expect_err("no such task");
    assert!(matches!(error, WaitError::TimedOut { after_ms: 50, .. }), "{error}");
}

async fn thousands_are_waited_for_over_one_subscription(fleet: Fleet) {
    let client = fleet.client_with(|options| options.check_every = NEVER_LOOKS);
    let tasks: Vec<_> = (0..10_000).map(|n| (echo(), id(&format!("cli.t{n}")))).collect();
    let mut waits = Box::pin(client.wait_many(tasks, DEADLINE * 3));
    // The first poll makes all of them listen before the first task is there.
    assert!(tokio::time::timeout(Duration::from_millis(1), waits.next()).await.is_err());
    let worker = fleet.worker().run();
    let submits = (0..10_000).map(|n| Submit::new(echo(), Payload::json("1")).with_id(id(&format!("cli.t{n}"))));
    let submitted = async {
        let answers = fleet.client.submit_all(submits, |_| {}).await;
        assert!(answers.iter().all(Result::is_ok));
    };
    let ended = async {
        let mut ended = HashSet::new();
        while let Some((task, outcome)) = waits.next().await {
            assert_eq!(outcome.expect("it ended").outcome.kind, OutcomeKind::Completed);
            ended.insert(task);
        }
        ended
    };
    let ((), ended) = tokio::join!(submitted, ended);
    assert_eq!(ended.len(), 10_000);
    worker.abort();
}

#[tokio::test]
async fn an_end_during_a_lost_connection_is_seen_at_the_next() {
    let fleet = Fleet::in_memory().await;
    let memory = fleet.memory.clone().expect("in memory");
    let client = fleet.client_with(|options| options.check_every = NEVER_LOOKS);
    let worker = MiniWorker { broker: std::sync::Arc::new(memory.connect()), ..fleet.worker() };
    // A first wait opens the subscription; at whatever point of the second the connection breaks, it must end well.
    client.submit(task("first", &1)).await.expect("stored");
    let (taken, delivery) = worker.take_one().await;
    worker.echo(&taken, &delivery).await;
    client.wait(&echo(), &id("cli.first"), DEADLINE).await.expect("it ended");
    client.submit(task("a", &1)).await.expect("stored");
    let waiting = tokio::spawn(async move { client.wait(&echo(), &id("cli.a"), DEADLINE).await });
    let (taken, delivery) = worker.take_one().await;
    memory.faults().disconnect();
    worker.echo(&taken, &delivery).await;
    assert!(!waiting.is_finished(), "its connection is gone");
    memory.faults().reconnect();
    waiting.await.expect("no panic").expect("it looked again");
}
