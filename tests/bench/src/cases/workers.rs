//! How the rate goes with the number of workers.

use nova_testkit::Process;

use crate::bed::{Bed, SMALL_QUEUE, numbered};
use crate::load::{IN_FLIGHT, body, closed, task};
use crate::meter::measure;
use crate::mode::Mode;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "workers";
pub const ABOUT: &str = "whole tasks over 1, 8 and 100 workers, each a process of its own";
pub const NOTE: &str = "Each worker has 16 slots (the default) and a connection of its own, about 10 MiB of memory. The three fleets \
                        serve skills of their own and stand by all the time, so that rounds are in turn and what idle workers cost \
                        hits all alike. 512 tasks of 128 bytes under way, 15,000 a round, 3 rounds. With FULL=1 also 2, 4, 16 and \
                        32 workers.";

const COUNTS: [usize; 3] = [1, 8, 100];
/// More points for the curve.
const FULL_COUNTS: [usize; 4] = [2, 4, 16, 32];
const TASKS: usize = 15_000;
const SLOTS: usize = 16;
const ROUNDS: usize = 3;

pub async fn run(mode: Mode) -> anyhow::Result<Vec<Row>> {
    let mut points = measured::<3>(COUNTS).await?;
    let [one, eight, hundred] = [0, 1, 2].map(|at| points[at].1.clone());
    if mode == Mode::Full {
        points.extend(measured::<4>(FULL_COUNTS).await?);
        points.sort_by_key(|(count, _)| *count);
    }
    let mut rows = vec![
        Row::ratio(NAME, "workers100/workers8", &hundred.over(&eight)).within(Bound::AtLeast(0.8)),
        Row::ratio(NAME, "workers8/workers1", &eight.over(&one)),
    ];
    for (count, side) in &points {
        let name = if *count == 1 { "1 worker".to_owned() } else { format!("{count} workers") };
        rows.push(side.row(NAME, name, "tasks/s").at("tasks/s", *count as f64));
    }
    Ok(rows)
}

/// Measures fleets of these sizes in turn.
async fn measured<const S: usize>(counts: [usize; S]) -> anyhow::Result<Vec<(usize, Side)>> {
    let skills = counts.map(numbered);
    let bed = Bed::with_skills(&skills, SMALL_QUEUE).await?;
    let mut fleets: Vec<Vec<Process>> = Vec::new();
    for (skill, count) in skills.iter().zip(counts) {
        fleets.push(bed.fleet(skill, count, SLOTS).await?);
    }
    let body = body(128);
    let tasks = |at: usize, count: usize| std::iter::repeat_n(task(&skills[at], &body), count);
    for at in 0..S {
        closed(bed.client.clone(), IN_FLIGHT, tasks(at, TASKS / 5)).await?;
    }
    let sides: [Side; S] = in_turn(ROUNDS, async |at| {
        let work = closed(bed.client.clone(), IN_FLIGHT, tasks(at, TASKS));
        let cost = measure(bed.parts(&fleets[at]), work).await?;
        bed.empty(&skills[at]).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    Ok(counts.into_iter().zip(sides).collect())
}
