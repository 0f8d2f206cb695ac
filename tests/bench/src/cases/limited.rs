//! A skill whose rate is never reached, beside one without a rate: what the limit itself costs.

use nova_testkit::Process;

use crate::bed::{Bed, LIMITED, NOOP};
use crate::load::{IN_FLIGHT, body, closed, task};
use crate::meter::measure;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "limited";
pub const ABOUT: &str = "whole tasks of a skill whose rate lies far above, beside one without a rate";
pub const NOTE: &str = "512 tasks of 128 bytes under way, 256 slots, two workers of each skill in processes of their own, 3 rounds of \
                        20,000 tasks, limited (a million per second) and unlimited in turn.";

const TASKS: usize = 20_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut workers: Vec<Vec<Process>> = Vec::new();
    for skill in [LIMITED, NOOP] {
        workers.push(bed.fleet(skill, 2, SLOTS).await?);
    }
    let tasks = |at: usize, count: usize| std::iter::repeat_n(task([LIMITED, NOOP][at], &body(128)), count);
    for at in [0, 1] {
        closed(bed.client.clone(), IN_FLIGHT, tasks(at, TASKS / 4)).await?;
    }
    let [limited, unlimited]: [Side; 2] = in_turn(ROUNDS, async |at| {
        let work = closed(bed.client.clone(), IN_FLIGHT, tasks(at, TASKS));
        Ok(Round { cost: measure(bed.parts(&workers[at]), work).await?, count: TASKS })
    })
    .await?;
    Ok(vec![
        Row::ratio(NAME, "limited/unlimited", &limited.over(&unlimited)).within(Bound::AtLeast(0.6)),
        limited.row(NAME, "limited", "tasks/s"),
        unlimited.row(NAME, "unlimited", "tasks/s"),
    ])
}
