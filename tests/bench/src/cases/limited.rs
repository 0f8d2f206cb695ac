//! A skill whose rate is never reached, beside one without a rate: what the limit itself costs.

use std::time::Duration;

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_client::{Client, Submit};
use nova_types::{OutcomeKind, Skill};
use nova_wire::Payload;

use crate::bed::{Bed, LIMITED, NOOP, PATIENCE};
use crate::cases::noop::body;
use crate::meter::{Cost, measure};
use crate::row::{Bound, Row};
use crate::sample::Rounds;

pub const NAME: &str = "limited";
pub const ABOUT: &str = "whole tasks of a skill whose rate lies far above, beside one without a rate";
pub const NOTE: &str = "The tasks of `noop`, 512 under way, 256 slots, two workers of each skill in processes of their own, 5 rounds \
                        of 20,000 tasks, limited (a million per second) and unlimited in turn. The ratio is limited to \
                        unlimited, round by round.";

const TASKS: usize = 20_000;
const IN_FLIGHT: usize = 512;
const SLOTS: usize = 256;
const ROUNDS: usize = 5;

async fn one(client: &Client, skill: &Skill) -> anyhow::Result<()> {
    let task = Submit::new(skill.clone(), Payload::json(body()));
    let ended = client.submit_and_wait(task, PATIENCE).await?;
    ensure!(ended.outcome.kind == OutcomeKind::Completed, "a task ended as {}", ended.outcome.kind.as_str());
    Ok(())
}

async fn all(client: Client, skill: &'static str, tasks: usize) -> anyhow::Result<()> {
    let skill = Skill::new(skill)?;
    let all = stream::iter(0..tasks).map(|_| one(&client, &skill)).buffer_unordered(IN_FLIGHT);
    all.try_for_each(|()| std::future::ready(Ok(()))).await
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut workers = Vec::new();
    for skill in [LIMITED, NOOP] {
        for n in 0..2 {
            workers.push(bed.worker(skill, &format!("{skill}-{n}"), SLOTS, Duration::ZERO).await?);
        }
    }
    for skill in [LIMITED, NOOP] {
        all(bed.client.clone(), skill, TASKS / 4).await?;
    }
    let processes = [bed.server.pid(), std::process::id()];
    let (mut rate, mut broker) = ([Rounds::default(), Rounds::default()], [Rounds::default(), Rounds::default()]);
    for round in 0..ROUNDS {
        for side in [round % 2, 1 - round % 2] {
            let cost: Cost<2> = measure(processes, all(bed.client.clone(), [LIMITED, NOOP][side], TASKS)).await?;
            rate[side].push(cost.rate(TASKS));
            broker[side].push(cost.cpu_us(0, TASKS));
        }
    }
    let [limited, unlimited] = &rate;
    let ratio = limited.over(unlimited);
    Ok(vec![
        Row::of(NAME, "limited", limited, "tasks/s").over(&ratio),
        Row::of(NAME, "unlimited", unlimited, "tasks/s"),
        Row::of(NAME, "limited: share of the unlimited speed", &ratio, "x").within(Bound::AtLeast(0.6)),
        Row::of(NAME, "limited: CPU of the broker", &broker[0], "µs").over(&broker[0].over(&broker[1])),
    ])
}
