//! A million waiting tasks: what they cost, and whether anybody behind them is slower.

use std::time::Duration;

use crate::bed::{Bed, numbered};
use crate::load::{body, drain, fill, hold, release, still, task};
use crate::meter::{measure, measured, rss_mib};
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "backlog";
pub const ABOUT: &str =
    "a million waiting tasks: speed of submits and pulls beside an empty queue, memory of the broker";
pub const NOTE: &str = "Two queues on one server, one with a million tasks of 128 bytes and one with what a round needs. Submits: 30,000 \
                        a round, 256 under way. Pulls: a worker with 256 slots on each queue works 30,000 off. 5 rounds in turn. Memory is what the server holds more than before, for each waiting task: 60 s after the last submit, \
                        and after a restart.";

const DEPTH: usize = 1_000_000;
const ROUND: usize = 30_000;
const ROUNDS: usize = 5;
const SLOTS: usize = 256;
/// Until what was remembered about the last submits (dedupe for 10 s, blocks read back) is forgotten and given back.
const SETTLE: Duration = Duration::from_secs(60);

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let skills = [0, 1].map(numbered);
    let mut bed = Bed::with_skills(&skills, "1GiB").await?;
    let tasks = |at: usize, count: usize| std::iter::repeat_n(task(&skills[at], &body(128)), count);
    // What any load leaves behind, so that it does not count as the backlog's.
    fill(&bed.client, tasks(1, 100_000)).await?;
    bed.empty(&skills[1]).await?;
    tokio::time::sleep(SETTLE).await;
    let before = rss_mib(bed.server.pid())?;
    for skill in &skills {
        hold(&bed.client, skill).await?;
    }
    let client = bed.client.clone();
    let (deep, mut left) = (tasks(0, DEPTH), Side::default());
    let cost = measure(bed.parts([]), async move { fill(&client, deep).await }).await?;
    left.push(&Round { cost, count: DEPTH });
    tokio::time::sleep(SETTLE).await;
    let after = rss_mib(bed.server.pid())?;
    let bytes = |mib: f64| (mib * 1024.0 * 1024.0 / DEPTH as f64).max(0.0);

    let submit: [Side; 2] = in_turn(ROUNDS, async |at| {
        let (client, tasks) = (bed.client.clone(), tasks(at, ROUND));
        let cost = measure(bed.parts([]), async move { fill(&client, tasks).await }).await?;
        Ok(Round { cost, count: ROUND })
    })
    .await?;

    bed.empty(&skills[1]).await?;

    let mut workers = Vec::new();
    for (at, skill) in skills.iter().enumerate() {
        workers.push(bed.worker(skill, &format!("backlog-{at}"), SLOTS, Duration::ZERO).await?);
    }
    let pull: [Side; 2] = in_turn(ROUNDS, async |at| {
        let skill = &skills[at];
        if at == 1 {
            fill(&bed.client, tasks(1, ROUND)).await?;
        }
        let enough = still(&bed.client, skill).await? - ROUND as u64;
        let before = release(&bed.client, skill).await?;
        let work = drain(bed.client.clone(), skill.clone(), enough);
        let (left, cost) = measured(bed.parts([&workers[at]]), work).await?;
        hold(&bed.client, skill).await?;
        Ok(Round { cost, count: usize::try_from(before - left)? })
    })
    .await?;
    drop(workers);

    bed.server.restart();
    tokio::time::sleep(SETTLE).await;
    let again = rss_mib(bed.server.pid())?;
    Ok(vec![
        Row::ratio(NAME, "backlog/empty: submit", &submit[0].over(&submit[1])).within(Bound::AtLeast(0.9)),
        Row::ratio(NAME, "backlog/empty: pull", &pull[0].over(&pull[1])).within(Bound::AtLeast(0.9)),
        Row::once(NAME, "memory for each waiting task", bytes(after - before), "B").within(Bound::Below(100.0)),
        Row::once(NAME, "memory for each waiting task, after a restart", bytes(again - before), "B"),
        left.row(NAME, "submit: the million", "tasks/s"),
        submit[0].row(NAME, "submit: behind the million", "tasks/s"),
        submit[1].row(NAME, "submit: empty queue", "tasks/s"),
        pull[0].row(NAME, "pull: from the million", "tasks/s"),
        pull[1].row(NAME, "pull: queue of 30,000", "tasks/s"),
    ])
}
