//! What it costs a worker to serve many skills.

use crate::bed::{Bed, SMALL_QUEUE, numbered};
use crate::load::{IN_FLIGHT, body, closed, task};
use crate::meter::measure;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "skills";
pub const ABOUT: &str = "whole tasks over 1, 10, 100 and 200 skills of one worker process";
pub const NOTE: &str = "All 200 queues are on the server. Each round starts a worker with the first so many skills and 256 slots, warms \
                        it, and spreads 15,000 tasks of 128 bytes over them in turn, 512 under way; the worker is ended before the \
                        next. 3 rounds, in turn. A skill is a stream with three consumers, at which an idle worker waits.";

const COUNTS: [usize; 4] = [1, 10, 100, 200];
const TASKS: usize = 15_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let skills: Vec<String> = (0..COUNTS[3]).map(numbered).collect();
    let bed = Bed::with_skills(&skills, SMALL_QUEUE).await?;
    let body = body(128);
    let sides: [Side; COUNTS.len()] = in_turn(ROUNDS, async |at| {
        let served = &skills[..COUNTS[at]];
        let worker = bed.serving(served, &format!("skills-{}", served.len()), SLOTS).await?;
        let tasks = |count: usize| {
            let spread: Vec<_> = served.iter().map(|skill| task(skill, &body)).collect();
            spread.into_iter().cycle().take(count)
        };
        closed(bed.client.clone(), IN_FLIGHT, tasks(TASKS / 5)).await?;
        let cost = measure(bed.parts([&worker]), closed(bed.client.clone(), IN_FLIGHT, tasks(TASKS))).await?;
        for skill in served {
            bed.empty(skill).await?;
        }
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    let mut rows = vec![
        Row::ratio(NAME, "skills100/skills1", &sides[2].over(&sides[0])).within(Bound::AtLeast(0.7)),
        Row::ratio(NAME, "skills200/skills1", &sides[3].over(&sides[0])),
    ];
    for (count, side) in COUNTS.into_iter().zip(&sides) {
        let name = if count == 1 { "1 skill".to_owned() } else { format!("{count} skills") };
        rows.push(side.row(NAME, name, "tasks/s").at("tasks/s", count as f64));
    }
    Ok(rows)
}
