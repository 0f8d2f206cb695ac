//! Submitting alone, beside bare publishes.

use anyhow::ensure;

use crate::bed::{Bed, NOOP, RAW};
use crate::load::{body, fill, task};
use crate::meter::{measure, measured_here};
use crate::row::Row;
use crate::side::{Round, Side, in_turn};
use crate::yardstick::{Kind, Yardstick};

pub const NAME: &str = "submit";
pub const ABOUT: &str = "submitting in bulk, each task with its receipt, beside bare publishes";
pub const NOTE: &str = "256 under way, 128 bytes, 3 rounds of 20,000, in turn. Raw is the same publish with its receipt, written \
                        by hand on the client library. ";

const TASKS: usize = 20_000;
const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut submitter = Yardstick::submitter(&bed, Kind::Raw, RAW)?;
    let tasks = |count: usize| std::iter::repeat_n(task(NOOP, &body(128)), count);
    fill(&bed.client, tasks(TASKS / 4)).await?;
    submitter.send(TASKS / 4, IN_FLIGHT).await?;
    let [nova, raw]: [Side; 2] = in_turn(ROUNDS, async |at| {
        let cost = if at == 0 {
            let (client, tasks) = (bed.client.clone(), tasks(TASKS));
            measure(bed.parts([]), async move { fill(&client, tasks).await }).await?
        } else {
            measured_here(bed.parts_by_hand(&submitter), submitter.send(TASKS, IN_FLIGHT)).await?.1
        };
        let queue = [NOOP, RAW][at];
        ensure!(bed.lane(queue, nova_types::Priority::Normal).await?.pending > 0, "the tasks did not arrive");
        bed.empty(queue).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    Ok(vec![
        Row::ratio(NAME, "submit/raw", &nova.over(&raw)),
        nova.row(NAME, "nova", "tasks/s"),
        raw.row(NAME, "raw", "tasks/s"),
    ])
}
