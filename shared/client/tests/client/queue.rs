//! Queues: looking at them, pausing, purging.

use futures_util::TryStreamExt as _;
use nova_broker::{Expect, Message};
use nova_client::{Purged, Submit};
use nova_types::{OutcomeKind, Priority, Skill};
use nova_wire::{Payload, assets, subject};

use crate::support::{DEADLINE, Fleet, echo, far_future, id, on_both, task};

on_both!(
    a_queue_shows_what_waits_and_what_runs,
    a_paused_queue_gives_nothing_until_it_is_resumed,
    a_purge_leaves_an_outcome_for_every_task,
    a_paused_queue_is_purged_too,
    cancels_are_stored_for_every_task,
);

async fn a_queue_shows_what_waits_and_what_runs(fleet: Fleet) {
    for (name, priority) in [("a", Priority::High), ("b", Priority::Normal), ("c", Priority::Normal)] {
        fleet.client.submit(task(name, &1).with_priority(priority)).await.expect("stored");
    }
    let _taken = fleet.worker().take(1).await;
    let queues = fleet.client.queues().await.expect("read");
    let [queue] = &queues[..] else { panic!("not one queue: {queues:?}") };
    assert_eq!((queue.waiting(), queue.running(), queue.messages), (2, 1, 3));
    assert_eq!(queue.lane(Priority::High).map(|lane| (lane.waiting, lane.running)), Some((0, 1)));
    assert!(queue.oldest().is_some_and(|oldest| oldest <= queue.now));
    assert_eq!(queue.lane(Priority::Low).and_then(|lane| lane.oldest), None);
    let missing = fleet.client.queue(&Skill::new("none").expect("a skill")).await.expect_err("no such queue");
    assert_eq!(missing.code(), "no_queue");
}

async fn a_paused_queue_gives_nothing_until_it_is_resumed(fleet: Fleet) {
    fleet.client.pause(&echo(), far_future()).await.expect("paused");
    fleet.client.submit(task("a", &1)).await.expect("stored");
    let queue = fleet.client.queue(&echo()).await.expect("read");
    assert!(queue.lanes.iter().all(|lane| lane.paused_until.is_some()));
    assert!(fleet.worker().take(1).await.is_empty());
    let (_, why) = fleet.client.why(&echo(), &id("cli.a")).await.expect("there");
    assert!(why[0].to_string().starts_with("the queue is paused until 2096"), "{why:?}");
    fleet.client.resume(&echo()).await.expect("resumed");
    fleet.worker().take_one().await;
    assert!(fleet.client.queue(&echo()).await.expect("read").lanes.iter().all(|lane| lane.paused_until.is_none()));
}

/// Fills the queue with 1,200 tasks under names, two raw ones, and one that has ended already.
async fn fill(fleet: &Fleet) -> Vec<nova_types::TaskId> {
    let ids: Vec<_> = (0..1200).map(|n| id(&format!("cli.t{n}"))).collect();
    let submits = ids.iter().enumerate().map(|(n, id)| {
        let priority = Priority::ALL[n % 3];
        Submit::new(echo(), Payload::json("1")).with_id(id.clone()).with_priority(priority)
    });
    assert!(fleet.client.submit_all(submits, |_| {}).await.iter().all(Result::is_ok));
    let mut all = ids;
    for _ in 0..2 {
        let raw = Message::new(subject::task(&echo(), Priority::Low), "\x01");
        let receipt = fleet.broker.publish(raw, Expect::Any).await.expect("stored");
        all.push(nova_types::TaskId::from_sequence(receipt.sequence));
    }
    all
}

async fn check_purged(fleet: &Fleet, ids: &[nova_types::TaskId], purged: Purged) {
    assert_eq!(purged, Purged { cancelled: ids.len() as u64, had_ended: 0 });
    for task in ids {
        let ended = fleet.client.result(&echo(), task).await.expect("read").expect("nothing vanishes");
        assert_eq!(ended.outcome.kind, OutcomeKind::Cancelled);
    }
    nova_testkit::wait_until("an empty queue", DEADLINE, async || {
        let queue = fleet.client.queue(&echo()).await.expect("read");
        (queue.waiting() + queue.running() == 0).then_some(())
    })
    .await;
}

async fn a_purge_leaves_an_outcome_for_every_task(fleet: Fleet) {
    let ids = fill(&fleet).await;
    let mut told = 0;
    let purged = fleet.client.purge_queue(&echo(), |so_far| told = so_far.cancelled).await.expect("purged");
    assert_eq!(told, 1202);
    check_purged(&fleet, &ids, purged).await;
    assert_eq!(fleet.client.purge_queue(&echo(), |_| {}).await.expect("empty"), Purged::default());
}

async fn a_paused_queue_is_purged_too(fleet: Fleet) {
    let ids = fill(&fleet).await;
    fleet.client.pause(&echo(), far_future()).await.expect("paused");
    let purged = fleet.client.purge_queue(&echo(), |_| {}).await.expect("purged");
    check_purged(&fleet, &ids, purged).await;
}

async fn cancels_are_stored_for_every_task(fleet: Fleet) {
    let tasks: Vec<_> = (0..500).map(|n| (echo(), id(&format!("cli.t{n}")))).collect();
    let accepted: Vec<_> = fleet.client.cancel_many(tasks).try_collect().await.expect("accepted");
    assert_eq!((accepted.len(), &accepted[3].task), (500, &id("cli.t3")));
    let control = fleet.broker.stream(assets::CONTROL.to_owned()).await.expect("read").expect("there");
    assert_eq!(control.messages, 500);
}
