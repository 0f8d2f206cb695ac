//! How long a dead worker or a restarted broker is felt.

use std::time::{Duration, Instant};

use nova_testkit::wait_until;
use nova_types::Priority;

use crate::bed::{BRIEF, BRIEF_LEASE, Bed, NOOP, PATIENCE, held};
use crate::cases::noop;
use crate::row::{Bound, Row};
use crate::sample::Rounds;
use crate::skill::Order;

pub const NAME: &str = "failover";
pub const ABOUT: &str = "a worker killed at work, and a broker killed and started again";
pub const NOTE: &str = "Worker: from SIGKILL until another worker's outcome of its task, under a lease of 2 s (the ratio is to the \
                        lease; the default is 10 s). Broker: from the moment it greets again until a task submitted then has \
                        ended. 3 rounds.";

const ROUNDS: usize = 3;
/// Longer than any round: whoever takes so long never ends by itself.
const FOR_EVER: Duration = Duration::from_secs(600);

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let (worker, broker) = (worker_killed().await?, broker_killed().await?);
    let lease = Rounds::from_iter([BRIEF_LEASE.as_secs_f64() * 1e3; ROUNDS]);
    Ok(vec![
        Row::of(NAME, "worker killed: its task has ended after", &worker, "ms").over(&worker.over(&lease)),
        Row::of(NAME, "broker restarted: a new task has ended after", &broker, "ms").within(Bound::Below(5000.0)),
    ])
}

async fn worker_killed() -> anyhow::Result<Rounds> {
    let bed = Bed::start().await?;
    let mut rounds = Rounds::default();
    for round in 0..ROUNDS {
        let mut doomed = bed.worker(BRIEF, &format!("doomed-{round}"), 1, FOR_EVER).await?;
        let task = bed.client.submit(held(BRIEF, Priority::Normal, Order::default())).await?;
        wait_until("the doomed worker to take the task", PATIENCE, || async {
            let lane = bed.lane(BRIEF, Priority::Normal).await.ok()?;
            (lane.ack_pending == 1).then_some(())
        })
        .await;
        let _heir = bed.worker(BRIEF, &format!("heir-{round}"), 1, Duration::ZERO).await?;
        let began = Instant::now();
        doomed.kill9();
        bed.client.wait(&task.skill, &task.task, PATIENCE).await?;
        rounds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(rounds)
}

async fn broker_killed() -> anyhow::Result<Rounds> {
    let mut bed = Bed::start().await?;
    let _worker = bed.worker(NOOP, "survivor", 16, Duration::ZERO).await?;
    let mut rounds = Rounds::default();
    for _ in 0..ROUNDS {
        bed.client.submit_and_wait(noop::task(), PATIENCE).await?;
        bed.server.kill9();
        bed.server.restart();
        let began = Instant::now();
        bed.client.submit_and_wait(noop::task(), PATIENCE).await?;
        rounds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(rounds)
}
