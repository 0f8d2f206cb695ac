//! What a key waits for when its tasks are out and not here: with a dead owner, on a broken connection, or forgotten.

use std::time::Duration;

use nova_types::OutcomeKind;
use nova_worker::Worker;

use super::{Seen, noting, submit, up_to};
use crate::bed::Bed;

#[tokio::test(start_paused = true)]
async fn a_dead_owner_is_replaced_and_its_keys_wait_for_what_it_had() {
    let bed = Bed::new("a = { keyed = true, partitions = 2, lease = \"10s\" }").await;
    let seen = Seen::default();
    let (_first, faults) = bed.start_apart("w1", 2, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    submit(&bed, "x", 0, 3_600_000).await;
    submit(&bed, "x", 1, 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.of("x").starts, [0]);
    // Killed: neither its lease of the partition nor that of the task is given up.
    faults.disconnect();
    let second = bed.start("w2", 2, Worker::new().skill(noting(&seen)));
    let died = bed.memory.now();
    submit(&bed, "y", 0, 0).await;
    submit(&bed, "x", 2, 0).await;
    let (outcome, _) = bed.outcome("a", "y-0").await;
    let after = outcome.finished.since(died);
    assert!(after < Duration::from_secs(5), "another key went on after {after:?}");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(seen.of("x").starts, [0, 0], "what the dead one ran is run again, and those behind it still wait");
    bed.cancel("a", "x-0").await;
    let (outcome, _) = bed.outcome("a", "x-2").await;
    assert_eq!(outcome.kind, OutcomeKind::Completed);
    assert_eq!(seen.of("x").starts, [0, 0, 1, 2]);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_forgets_what_is_out_lets_nothing_overtake_it() {
    let bed = Bed::new("a = { keyed = true, partitions = 1, lease = \"60s\" }").await;
    let seen = Seen::default();
    let (_first, dead) = bed.start_apart("w1", 2, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    submit(&bed, "x", 0, 30_000).await;
    submit(&bed, "x", 1, 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(seen.of("x").starts, [0]);
    dead.disconnect();
    let (second, cut) = bed.start_apart("w2", 2, Worker::new().skill(noting(&seen)));
    submit(&bed, "x", 2, 0).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(seen.of("x").starts, [0], "the second has the last one at hand, and waits for what the first one had");
    // Killed, and back at once: now nothing is out any more, and all of it comes again.
    bed.memory.faults().forget_consumer_state(0);
    cut.disconnect();
    cut.reconnect();
    bed.drained("a").await;
    assert_eq!(seen.of("x").starts, [0, 0, 1, 2]);
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_lost_on_its_way_is_not_overtaken_by_its_key() {
    let bed = Bed::new("a = { keyed = true, partitions = 1, lease = \"10s\" }").await;
    let seen = Seen::default();
    let (worker, faults) = bed.start_apart("w1", 4, Worker::new().skill(noting(&seen)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    submit(&bed, "x", 0, 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Given to the pull that waits, and lost with its connection before the worker has read it.
    submit(&bed, "x", 1, 0).await;
    faults.disconnect();
    faults.reconnect();
    assert_eq!(seen.of("x").starts, [0]);
    submit(&bed, "x", 2, 0).await;
    submit(&bed, "y", 0, 0).await;
    bed.drained("a").await;
    assert_eq!((seen.of("x").starts, seen.of("y").starts), (up_to(3), up_to(1)));
    worker.stop().await;
}
