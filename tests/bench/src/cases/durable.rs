//! The durable profile beside loops that wait for each sync.

use std::time::Duration;

use nova_provision::Profile;

use crate::bed::{Bed, NOOP, RAW, numbered};
use crate::load::{body, drain, fill, hold, task};
use crate::meter::{measure, measured};
use crate::one_by_one;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "durable";
pub const ABOUT: &str = "work and submits under the profile durable, beside loops that publish one by one";
pub const NOTE: &str = "Every acknowledged task and outcome survives a power cut: the broker syncs before each receipt. One by one is a \
                        loop by hand with the same guarantees that waits for the receipt of each publish before the next: it pulls \
                        256 at a time, and for each writes the outcome under compare-and-set, acks and tells. Work: queues of 4,000 \
                        tasks of 128 bytes, worked off by one worker with 64 slots, by 16 worker processes with 4 slots each, and by \
                        the loop. Submits: 4,000 in bulk, and by a loop. 3 rounds in turn.";

const TASKS: usize = 4_000;
const ROUNDS: usize = 3;
const SLOTS: usize = 64;
const FLEET: usize = 16;
const FLEET_SLOTS: usize = 4;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::of(Profile::Durable).await?;
    let small = numbered(0);
    let worker = bed.worker(NOOP, "durable", SLOTS, Duration::ZERO).await?;
    let fleet = bed.fleet(&small, FLEET, FLEET_SLOTS).await?;
    let hand = bed.one_by_one().await?;
    let queues = [NOOP, &small, RAW];
    let tasks = |skill: &str| std::iter::repeat_n(task(skill, &body(128)), TASKS);
    let work: [Side; 3] = in_turn(ROUNDS, async |at| {
        let skill = queues[at];
        hold(&bed.client, skill).await?;
        fill(&bed.client, tasks(skill)).await?;
        let parts = match at {
            0 => bed.parts([&worker]),
            1 => bed.parts(&fleet),
            _ => bed.parts([&hand]),
        };
        let (_, cost) = measured(parts, drain(bed.client.clone(), skill.to_owned(), 0)).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    drop((worker, fleet, hand));

    let submit: [Side; 2] = in_turn(ROUNDS, async |at| {
        let (client, tasks) = (bed.client.clone(), tasks(NOOP));
        let cost = if at == 0 {
            measure(bed.parts([]), async move { fill(&client, tasks).await }).await?
        } else {
            measure(bed.parts([]), one_by_one::submit(bed.broker.clone(), RAW.to_owned(), TASKS)).await?
        };
        bed.empty(NOOP).await?;
        bed.empty(RAW).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;

    let over = |side: &Side| side.over(&work[2]);
    Ok(vec![
        Row::ratio(NAME, "durable/one-by-one", &over(&work[0])).within(Bound::AtLeast(4.0)),
        Row::ratio(NAME, "durable-submit/one-by-one", &submit[0].over(&submit[1])).within(Bound::AtLeast(4.0)),
        Row::ratio(NAME, "durable-fleet/one-by-one", &over(&work[1])).within(Bound::AtLeast(2.0)),
        work[0].row(NAME, "work: one worker, 64 slots", "tasks/s"),
        work[1].row(NAME, "work: 16 workers, 4 slots each", "tasks/s"),
        work[2].row(NAME, "work: one by one", "tasks/s"),
        submit[0].row(NAME, "submit: in bulk", "tasks/s"),
        submit[1].row(NAME, "submit: one by one", "tasks/s"),
    ])
}
