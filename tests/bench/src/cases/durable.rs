//! The durable profile beside loops that wait for each sync.

use std::time::Duration;

use nova_provision::Profile;

use crate::bed::{Bed, NOOP, RAW, numbered};
use crate::load::{body, drain, fill, hold, release, task};
use crate::meter::{measure, measured, measured_here};
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};
use crate::yardstick::{Kind, Yardstick};

pub const NAME: &str = "durable";
pub const ABOUT: &str = "work and submits under the profile durable, beside loops that publish one by one";
pub const NOTE: &str = "Every acknowledged task and outcome survives a power cut: the broker syncs before each receipt. One by one is a \
                        loop by hand with the same guarantees that waits for the receipt of each publish before the next: it pulls \
                        256 at a time, and for each writes the outcome under compare-and-set, acks and tells. Work: queues of 1,000 \
                        tasks of 128 bytes, worked off by one worker with 64 slots, by 16 worker processes with 4 slots each, and by \
                        the loop; the same 16 once more under the profile replicated, three servers on this machine that share its \
                        cores and its disk. Submits: in bulk, and by a loop. The single worker and the bulk \
                        get 2,000 tasks. 3 rounds in turn.";

/// Those of the fast sides; the others get fewer, so that a round of theirs takes seconds, too.
const TASKS: usize = 2_000;
const FEWER: usize = 1_000;
const ROUNDS: usize = 3;
const SLOTS: usize = 64;
const FLEET: usize = 16;
const FLEET_SLOTS: usize = 4;
/// What the loop pulls at a time: more than the largest worker here has slots.
const PULLED: usize = 256;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let (bed, replicated) = (Bed::of(Profile::Durable).await?, Bed::of(Profile::Replicated).await?);
    let small = numbered(0);
    let worker = bed.worker(NOOP, "durable", SLOTS, Duration::ZERO).await?;
    let fleet = bed.fleet(&small, FLEET, FLEET_SLOTS).await?;
    let mut by_hand = Yardstick::start(&bed, Kind::OneByOne, RAW, PULLED).await?;
    let other_fleet = replicated.fleet(&small, FLEET, FLEET_SLOTS).await?;
    let sides = [
        (&bed, NOOP, TASKS, bed.parts([&worker])),
        (&bed, &*small, FEWER, bed.parts(&fleet)),
        (&bed, RAW, FEWER, bed.parts_by_hand(&by_hand)),
        (&replicated, &*small, FEWER, replicated.parts(&other_fleet)),
    ];
    let tasks = |skill: &str, count: usize| std::iter::repeat_n(task(skill, &body(128)), count);
    let work: [Side; 4] = in_turn(ROUNDS, async |at| {
        let (bed, skill, count, parts) = &sides[at];
        hold(&bed.client, skill).await?;
        fill(&bed.client, tasks(skill, *count)).await?;
        let count = usize::try_from(release(&bed.client, skill).await?)?;
        let (_, cost) = measured(parts.clone(), drain(bed.client.clone(), (*skill).to_owned(), 0)).await?;
        Ok(Round { cost, count })
    })
    .await?;
    drop((worker, fleet, other_fleet));

    let submit: [Side; 2] = in_turn(ROUNDS, async |at| {
        let cost = if at == 0 {
            hold(&bed.client, NOOP).await?;
            let (client, tasks) = (bed.client.clone(), tasks(NOOP, TASKS));
            measure(bed.parts([]), async move { fill(&client, tasks).await }).await?
        } else {
            hold(&bed.client, RAW).await?;
            measured_here(bed.parts_by_hand(&by_hand), by_hand.send(FEWER, 1)).await?.1
        };
        bed.empty([NOOP, RAW][at]).await?;
        Ok(Round { cost, count: [TASKS, FEWER][at] })
    })
    .await?;

    let over = |side: &Side| side.over(&work[2]);
    Ok(vec![
        Row::ratio(NAME, "durable/one-by-one", &over(&work[0])).within(Bound::AtLeast(4.0)),
        Row::ratio(NAME, "durable/one-by-one: submit", &submit[0].over(&submit[1])).within(Bound::AtLeast(4.0)),
        Row::ratio(NAME, "durable-fleet/one-by-one", &over(&work[1])).within(Bound::AtLeast(2.0)),
        Row::ratio(NAME, "replicated-fleet/one-by-one", &over(&work[3])),
        work[0].row(NAME, "work: one worker, 64 slots", "tasks/s"),
        work[1].row(NAME, "work: 16 workers, 4 slots each", "tasks/s"),
        work[2].row(NAME, "work: one by one", "tasks/s"),
        work[3].row(NAME, "work: 16 workers, 4 slots each, replicated", "tasks/s"),
        submit[0].row(NAME, "submit: in bulk", "tasks/s"),
        submit[1].row(NAME, "submit: one by one", "tasks/s"),
    ])
}
