//! What durability costs: the three profiles side by side.

use std::time::Duration;

use nova_provision::Profile;
use nova_testkit::Process;

use crate::bed::{Bed, NOOP};
use crate::load::{IN_FLIGHT, body, closed, fill, task};
use crate::meter::measure;
use crate::row::Row;
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "profiles";
pub const ABOUT: &str = "whole tasks and bulk submits under the profiles fast, durable and replicated";
pub const NOTE: &str = "Fast: one server that syncs every two minutes. Durable: one that syncs each write before its receipt. \
                        Replicated: three servers on this machine that do, and share its cores and its disk. One worker with 256 \
                        slots each; 512 whole tasks or 256 submits of 128 bytes under way, 5,000 a round; 3 rounds in turn.";

const TASKS: usize = 5_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let mut beds: Vec<(Bed, Process)> = Vec::new();
    for profile in Profile::ALL {
        let bed = Bed::of(profile).await?;
        let worker = bed.worker(NOOP, "profiles", SLOTS, Duration::ZERO).await?;
        beds.push((bed, worker));
    }
    let tasks = |count: usize| std::iter::repeat_n(task(NOOP, &body(128)), count);
    for (bed, _) in &beds {
        closed(bed.client.clone(), IN_FLIGHT, tasks(TASKS / 5)).await?;
    }
    let whole: [Side; 3] = in_turn(ROUNDS, async |at| {
        let (bed, worker) = &beds[at];
        let cost = measure(bed.parts([worker]), closed(bed.client.clone(), IN_FLIGHT, tasks(TASKS))).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    let beds: Vec<Bed> = beds.into_iter().map(|(bed, _)| bed).collect();
    let submit: [Side; 3] = in_turn(ROUNDS, async |at| {
        let (bed, client) = (&beds[at], beds[at].client.clone());
        let cost = measure(bed.parts([]), async move { fill(&client, tasks(TASKS)).await }).await?;
        bed.empty(NOOP).await?;
        Ok(Round { cost, count: TASKS })
    })
    .await?;
    let mut rows = Vec::new();
    for (what, sides) in [("whole tasks", &whole), ("submits", &submit)] {
        for (profile, side) in Profile::ALL.into_iter().zip(sides) {
            let row = side.row(NAME, format!("{profile}: {what}"), "tasks/s");
            rows.push(if profile == Profile::Fast { row } else { row.over(&side.over(&sides[0])) });
        }
    }
    Ok(rows)
}
