//! Watching.

use futures_util::StreamExt as _;
use nova_broker::{Expect, Message};
use nova_client::Watched;
use nova_types::{OutcomeKind, UnixMillis};
use nova_wire::{EventKind, Payload, TaskEventRecord, subject};

use crate::support::{DEADLINE, Fleet, echo, id, on_both, task};

on_both!(a_watch_tells_past_present_and_end, a_task_that_has_ended_is_told_at_once, the_fleet_is_watched_whole);

async fn tell(fleet: &Fleet, kind: EventKind, at: i64) {
    let record = TaskEventRecord {
        kind,
        task: id("cli.a"),
        skill: echo(),
        attempt: 1,
        worker: None,
        at: UnixMillis(at),
        code: None,
        message: None,
        fraction: None,
        next_at: None,
    };
    let body = serde_json::to_vec(&record).expect("encodes");
    let message = Message::new(subject::task_event(kind.as_str(), &echo(), &id("cli.a")), body);
    fleet.broker.publish(message, Expect::Any).await.expect("stored");
}

fn words(told: &Watched) -> String {
    match told {
        Watched::Event(event) => format!("{} {}", event.kind.as_str(), event.at.0),
        Watched::Ended(outcome) => outcome.kind.to_string(),
    }
}

async fn a_watch_tells_past_present_and_end(fleet: Fleet) {
    fleet.client.submit(task("a", &1)).await.expect("stored");
    tell(&fleet, EventKind::Retried, 1).await;
    let mut watch = fleet.client.watch(&echo(), &id("cli.a")).await.expect("listens");
    tell(&fleet, EventKind::Started, 2).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let next = tokio::time::timeout(DEADLINE, watch.next()).await.expect("in time");
        told.push(words(&next.expect("not over")));
    }
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.end(&task, &delivery, OutcomeKind::Completed, Payload::json("1")).await;
    let rest: Vec<Watched> = tokio::time::timeout(DEADLINE, watch.collect()).await.expect("it ends with the task");
    told.extend(rest.iter().map(words));
    assert_eq!(told, ["retried 1", "started 2", "completed"]);
}

async fn a_task_that_has_ended_is_told_at_once(fleet: Fleet) {
    fleet.client.submit(task("a", &1)).await.expect("stored");
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.give_up(&task, &delivery, "exit").await;
    let watch = fleet.client.watch(&echo(), &id("cli.a")).await.expect("listens");
    let told: Vec<Watched> = tokio::time::timeout(DEADLINE, watch.collect()).await.expect("it is over");
    assert_eq!(told.iter().map(words).collect::<Vec<_>>(), ["dead"]);
}

async fn the_fleet_is_watched_whole(fleet: Fleet) {
    let mut all = fleet.client.watch_all(None).await.expect("listens");
    let mut other = fleet.client.watch_all(Some(&"other".parse().expect("a skill"))).await.expect("listens");
    tell(&fleet, EventKind::Dead, 3).await;
    let next = tokio::time::timeout(DEADLINE, all.next()).await.expect("in time").expect("not over");
    assert_eq!(words(&next), "dead 3");
    let none = tokio::time::timeout(std::time::Duration::from_millis(50), other.next()).await;
    assert!(none.is_err(), "it is of another skill");
}
