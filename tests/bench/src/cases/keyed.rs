//! A keyed skill, a thousand keys, beside an unkeyed one: what order by key costs.

use std::time::Duration;

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_client::{Client, Submit};
use nova_types::{OutcomeKind, Skill};
use nova_wire::{Payload, TaskOptions};

use crate::bed::{Bed, KEYED, NOOP, PATIENCE};
use crate::cases::noop::body;
use crate::meter::{Cost, measure};
use crate::row::{Bound, Row};
use crate::sample::Rounds;

pub const NAME: &str = "keyed";
pub const ABOUT: &str = "whole tasks of a keyed skill, a thousand keys in turn, beside one that is not keyed";
pub const NOTE: &str = "The tasks of `noop`, 512 under way, 256 slots, two workers of each skill in processes of their own, 8 \
                        partitions, 5 rounds of 20,000 tasks, keyed and unkeyed in turn. The ratio is keyed to unkeyed, \
                        round by round. The last line has one key alone: its tasks run one after the other.";

const TASKS: usize = 20_000;
const KEYS: usize = 1_000;
/// The tasks of one key alone: each takes a round trip.
const ALONE: usize = 2_000;
const IN_FLIGHT: usize = 512;
const SLOTS: usize = 256;
const ROUNDS: usize = 5;

async fn one(client: &Client, skill: &Skill, key: Option<String>) -> anyhow::Result<()> {
    let options = TaskOptions { key, ..TaskOptions::default() };
    let task = Submit::new(skill.clone(), Payload::json(body())).with_options(options);
    let ended = client.submit_and_wait(task, PATIENCE).await?;
    ensure!(ended.outcome.kind == OutcomeKind::Completed, "a task ended as {}", ended.outcome.kind.as_str());
    Ok(())
}

async fn all(client: Client, keys: Option<usize>, tasks: usize) -> anyhow::Result<()> {
    let skill = Skill::new(if keys.is_some() { KEYED } else { NOOP })?;
    let key = |n: usize| keys.map(|keys| format!("k{}", n % keys));
    let all = stream::iter(0..tasks).map(|n| one(&client, &skill, key(n))).buffer_unordered(IN_FLIGHT);
    all.try_for_each(|()| std::future::ready(Ok(()))).await
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut workers = Vec::new();
    for skill in [KEYED, NOOP] {
        for n in 0..2 {
            workers.push(bed.worker(skill, &format!("{skill}-{n}"), SLOTS, Duration::ZERO).await?);
        }
    }
    let sides = [Some(KEYS), None];
    for keys in sides {
        all(bed.client.clone(), keys, TASKS / 4).await?;
    }
    let processes = [bed.server.pid(), std::process::id()];
    let (mut rate, mut broker) = ([Rounds::default(), Rounds::default()], [Rounds::default(), Rounds::default()]);
    for round in 0..ROUNDS {
        for side in [round % 2, 1 - round % 2] {
            let cost: Cost<2> = measure(processes, all(bed.client.clone(), sides[side], TASKS)).await?;
            rate[side].push(cost.rate(TASKS));
            broker[side].push(cost.cpu_us(0, TASKS));
        }
    }
    let alone: Cost<2> = measure(processes, all(bed.client.clone(), Some(1), ALONE)).await?;
    let [keyed, unkeyed] = &rate;
    let ratio = keyed.over(unkeyed);
    Ok(vec![
        Row::of(NAME, "keyed", keyed, "tasks/s").over(&ratio),
        Row::of(NAME, "unkeyed", unkeyed, "tasks/s"),
        Row::of(NAME, "keyed: share of the unkeyed speed", &ratio, "x").within(Bound::AtLeast(0.6)),
        Row::of(NAME, "keyed: CPU of the broker", &broker[0], "µs").over(&broker[0].over(&broker[1])),
        Row::once(NAME, "one key alone", alone.rate(ALONE), "tasks/s"),
    ])
}
