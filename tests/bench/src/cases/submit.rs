//! Submitting alone, beside bare publishes.

use std::sync::Arc;

use anyhow::ensure;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_client::Client;

use crate::bed::{Bed, NOOP, RAW};
use crate::cases::noop::{body, task};
use crate::meter::measure;
use crate::raw::Submitter;
use crate::row::Row;
use crate::sample::Rounds;

pub const NAME: &str = "submit";
pub const ABOUT: &str = "submitting in bulk, each task with its receipt, beside bare publishes";
pub const NOTE: &str = "256 under way, 128 bytes, 3 rounds of 20,000, in turn. Raw is the broker port's publish with a dedupe key. \
                        The ratio is Nova to raw, round by round.";

const TASKS: usize = 20_000;
const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 3;

async fn nova(client: Client, tasks: usize) -> anyhow::Result<()> {
    let answers = client.submit_all((0..tasks).map(|_| task()), |_| {}).await;
    let refused = answers.into_iter().filter_map(Result::err).next();
    refused.map_or(Ok(()), |error| Err(error.into()))
}

async fn raw(submitter: Arc<Submitter>, tasks: usize) -> anyhow::Result<()> {
    let all = stream::iter(0..tasks).map(|_| submitter.submit(body())).buffered(IN_FLIGHT);
    all.try_for_each(|()| std::future::ready(Ok(()))).await
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let submitter = Submitter::start(&bed.broker, RAW).await?;
    nova(bed.client.clone(), TASKS / 4).await?;
    raw(Arc::clone(&submitter), TASKS / 4).await?;
    let processes = [bed.server.pid(), std::process::id()];
    let (mut rate, mut broker, mut own) = (
        [Rounds::default(), Rounds::default()],
        [Rounds::default(), Rounds::default()],
        [Rounds::default(), Rounds::default()],
    );
    for round in 0..ROUNDS {
        for side in [round % 2, 1 - round % 2] {
            let cost = if side == 0 {
                measure(processes, nova(bed.client.clone(), TASKS)).await?
            } else {
                measure(processes, raw(Arc::clone(&submitter), TASKS)).await?
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
