//! Submitting alone, beside bare publishes.

use anyhow::ensure;
use nova_client::Client;

use crate::bed::{Bed, NOOP, RAW};
use crate::cases::noop::task;
use crate::meter::{measure, measure_here};
use crate::row::Row;
use crate::sample::Rounds;
use crate::yardstick::{Kind, Yardstick};

pub const NAME: &str = "submit";
pub const ABOUT: &str = "submitting in bulk, each task with its receipt, beside bare publishes";
pub const NOTE: &str = "256 under way, 128 bytes, 5 rounds of 20,000, in turn. Raw is the same publish with its receipt, written \
                        by hand on the client library. The ratio is Nova to raw, round by round.";

const TASKS: usize = 20_000;
const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 5;

async fn nova(client: Client, tasks: usize) -> anyhow::Result<()> {
    let answers = client.submit_all((0..tasks).map(|_| task()), |_| {}).await;
    let refused = answers.into_iter().filter_map(Result::err).next();
    refused.map_or(Ok(()), |error| Err(error.into()))
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let mut submitter = Yardstick::submitter(&bed, Kind::Raw, RAW)?;
    nova(bed.client.clone(), TASKS / 4).await?;
    submitter.send(TASKS / 4, IN_FLIGHT).await?;
    let (mut rate, mut broker, mut own) = (
        [Rounds::default(), Rounds::default()],
        [Rounds::default(), Rounds::default()],
        [Rounds::default(), Rounds::default()],
    );
    for round in 0..ROUNDS {
        for side in [round % 2, 1 - round % 2] {
            let cost = if side == 0 {
                measure([bed.server.pid(), std::process::id()], nova(bed.client.clone(), TASKS)).await?
            } else {
                let processes = [bed.server.pid(), submitter.submitter_pid()];
                measure_here(processes, submitter.send(TASKS, IN_FLIGHT)).await?
            };
            rate[side].push(cost.rate(TASKS));
            broker[side].push(cost.cpu_us(0, TASKS));
            own[side].push(cost.cpu_us(1, TASKS));
        }
        ensure!(bed.lane(NOOP, nova_types::Priority::Normal).await?.pending > 0, "the tasks did not arrive");
        bed.empty(NOOP).await?;
        bed.empty(RAW).await?;
    }
    let mut rows = Vec::new();
    for (name, [ours, theirs], unit) in
        [("", &rate, "tasks/s"), (": CPU of the broker", &broker, "µs"), (": CPU of the submitter", &own, "µs")]
    {
        rows.push(Row::of(NAME, format!("nova{name}"), ours, unit).over(&ours.over(theirs)));
        rows.push(Row::of(NAME, format!("raw{name}"), theirs, unit));
    }
    Ok(rows)
}
