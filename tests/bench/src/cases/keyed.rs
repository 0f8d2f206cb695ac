//! A keyed skill, a thousand keys, beside an unkeyed one: what order by key costs.

use nova_client::Submit;
use nova_testkit::Process;

use crate::bed::{Bed, KEYED, NOOP};
use crate::load::{IN_FLIGHT, body, closed, task};
use crate::meter::measure;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "keyed";
pub const ABOUT: &str = "whole tasks of a keyed skill, a thousand keys in turn, beside one that is not keyed";
pub const NOTE: &str = "512 tasks of 128 bytes under way, 256 slots, two workers of each skill in processes of their own, 8 partitions, \
                        3 rounds of 20,000 tasks, keyed and unkeyed in turn. The last line has one key alone: its tasks run one \
                        after the other.";

const TASKS: usize = 20_000;
const KEYS: usize = 1_000;
/// The tasks of one key alone: each takes a round trip.
const ALONE: usize = 2_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

fn keyed(keys: usize, count: usize) -> impl Iterator<Item = Submit> + Send {
    let task = task(KEYED, &body(128));
    (0..count).map(move |n| task.clone().with_key(format!("k{}", n % keys)))
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut workers: Vec<Vec<Process>> = Vec::new();
    for skill in [KEYED, NOOP] {
        workers.push(bed.fleet(skill, 2, SLOTS).await?);
    }
    let unkeyed = |count: usize| std::iter::repeat_n(task(NOOP, &body(128)), count);
    closed(bed.client.clone(), IN_FLIGHT, keyed(KEYS, TASKS / 4)).await?;
    closed(bed.client.clone(), IN_FLIGHT, unkeyed(TASKS / 4)).await?;
    let sides: [Side; 2] = in_turn(ROUNDS, async |at| {
        let (client, parts) = (bed.client.clone(), bed.parts(&workers[at]));
        let cost = match at {
            0 => measure(parts, closed(client, IN_FLIGHT, keyed(KEYS, TASKS))).await?,
            _ => measure(parts, closed(client, IN_FLIGHT, unkeyed(TASKS))).await?,
        };
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    let mut alone = Side::default();
    let cost = measure(bed.parts(&workers[0]), closed(bed.client.clone(), IN_FLIGHT, keyed(1, ALONE))).await?;
    alone.push(&Round { cost, count: ALONE });
    Ok(vec![
        Row::ratio(NAME, "keyed/unkeyed", &sides[0].over(&sides[1])).within(Bound::AtLeast(0.6)),
        sides[0].row(NAME, "keyed", "tasks/s"),
        sides[1].row(NAME, "unkeyed", "tasks/s"),
        alone.row(NAME, "one key alone", "tasks/s"),
    ])
}
