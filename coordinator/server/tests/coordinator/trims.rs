//! Trimming of history.

use std::collections::BTreeSet;

use nova_broker::Settle;
use nova_testkit::wait_until;
use nova_types::Priority;
use nova_wire::assets;

use crate::support::{DEADLINE, Fleet, complete, echo, pull};

/// 8 KiB: 128 of them are the queue's 1 MiB, 32 its history's quarter.
fn body() -> &'static str {
    Box::leak("x".repeat(8 * 1024).into_boxed_str())
}

async fn keeps_what_is_open(mut fleet: Fleet) {
    let body = body();
    let mut open = BTreeSet::new();
    // One that runs, one that waits, and history around them.
    for n in 0..40 {
        let lane = if n % 2 == 0 { Priority::High } else { Priority::Normal };
        fleet.submit(&format!("cli.h{n}"), lane, body).await;
    }
    let low = fleet.submit("cli.low", Priority::Low, "1").await;
    open.insert(low);
    for lane in [Priority::High, Priority::Normal] {
        for delivery in pull(&fleet.broker, lane, 100).await {
            complete(&fleet.broker, delivery).await;
        }
    }
    for n in 40..100 {
        let lane = if n % 2 == 0 { Priority::High } else { Priority::Normal };
        fleet.submit(&format!("cli.h{n}"), lane, body).await;
    }
    let mut held = None;
    for lane in [Priority::High, Priority::Normal] {
        for delivery in pull(&fleet.broker, lane, 100).await {
            // The very first of the second half stays out.
            if held.is_none() {
                open.insert(delivery.sequence);
                held = Some(delivery);
            } else {
                complete(&fleet.broker, delivery).await;
            }
        }
    }
    let held = held.expect("something was pulled");
    let keeper = {
        let (broker, token) = (fleet.broker.clone(), held.token.clone());
        tokio::spawn(async move {
            loop {
                let _ = broker.settle(&token, Settle::Extend).await;
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            }
        })
    };
    let first = fleet.queue().await[0].sequence;
    let parts = fleet.start("c1").await;
    fleet.start("c2").await;
    // It goes up to the waiting task and no further, though the budget wants more.
    wait_until("the trimmer to reach the waiting task", DEADLINE, async || {
        (fleet.queue().await[0].sequence == low).then_some(())
    })
    .await;
    wait_until("the pinned history to show", DEADLINE, async || {
        let shown = parts.metrics.render();
        shown.lines().any(|line| line.starts_with("nova_history_pinned_bytes{") && !line.ends_with(" 0")).then_some(())
    })
    .await;
    assert!(first < low);
    let left: BTreeSet<u64> = fleet.queue().await.iter().map(|stored| stored.sequence).collect();
    assert!(open.is_subset(&left), "{open:?} {left:?}");
    // Once it is done, the next one open holds; once that is done, the budget does.
    for delivery in pull(&fleet.broker, Priority::Low, 1).await {
        complete(&fleet.broker, delivery).await;
    }
    wait_until("the trimmer to reach the running task", DEADLINE, async || {
        let queue = fleet.queue().await;
        (queue.iter().all(|stored| stored.sequence != low)).then_some(())
    })
    .await;
    let left: BTreeSet<u64> = fleet.queue().await.iter().map(|stored| stored.sequence).collect();
    assert!(left.contains(&held.sequence));
    keeper.abort();
    complete(&fleet.broker, held).await;
    wait_until("history within its budget", DEADLINE, async || {
        let stream = fleet.broker.stream(assets::tasks_stream(&echo())).await.ok()??;
        (stream.bytes <= 1024 * 1024 / 4).then_some(())
    })
    .await;
    fleet.stop().await;
}

#[tokio::test]
async fn an_open_task_is_never_trimmed() {
    keeps_what_is_open(Fleet::real().await).await;
}

#[tokio::test]
async fn an_open_task_is_never_trimmed_in_memory() {
    keeps_what_is_open(Fleet::memory().await).await;
}

#[tokio::test]
async fn an_old_backlog_that_pins_half_of_the_queue_moves_to_its_end() {
    let mut fleet = Fleet::real().await;
    for n in 0..3 {
        fleet.submit(&format!("cli.old{n}"), Priority::Low, "1").await;
    }
    let body = body();
    for n in 0..100 {
        fleet.submit(&format!("cli.h{n}"), Priority::Normal, body).await;
    }
    for delivery in pull(&fleet.broker, Priority::Normal, 200).await {
        complete(&fleet.broker, delivery).await;
    }
    fleet.start("c1").await;
    wait_until("the backlog behind what history may keep", DEADLINE, async || {
        let stream = fleet.broker.stream(assets::tasks_stream(&echo())).await.ok()??;
        (stream.bytes <= 1024 * 1024 / 4).then_some(())
    })
    .await;
    let worker = fleet.worker("w1").await;
    for n in 0..3 {
        fleet.outcome(&format!("cli.old{n}")).await;
    }
    worker.abort();
    fleet.stop().await;
}
