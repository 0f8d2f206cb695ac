//! Many items in one task, beside one task for each.

use std::time::Duration;

use anyhow::ensure;
use futures_util::{StreamExt as _, stream};
use nova_client::{Bundling, Client};
use nova_types::{OutcomeKind, Skill};
use nova_wire::Payload;

use crate::bed::{Bed, NOOP, PATIENCE};
use crate::cases::noop;
use crate::load::body;
use crate::meter::measure;
use crate::row::{Bound, Row};
use crate::side::{Round, Side, in_turn};

pub const NAME: &str = "bundle";
pub const ABOUT: &str = "items of 128 bytes that do nothing, many in one task, beside one plain task for each";
pub const NOTE: &str = "One worker with 256 slots and the submitter in processes of their own, 3 rounds in turn: 20,000 plain tasks with \
                        512 under way, and 100,000 items in bundles of 100 and of 10. Each item has a result of its own, which the \
                        submitter reads. CPU is per item.";

const TASKS: usize = 20_000;
const ITEMS: usize = 100_000;
const SLOTS: usize = 256;
const ROUNDS: usize = 3;
/// The size that the bound is for, and a small one.
const SIZES: [u32; 2] = [100, 10];

async fn bundled(client: Client, size: u32, items: usize) -> anyhow::Result<()> {
    let item = Payload::json(body(128));
    let items_of = stream::iter(std::iter::repeat_n(item.clone(), items));
    let how = Bundling::new(Skill::new(NOOP)?, size);
    let mut ends = std::pin::pin!(client.run_bundled(how, items_of, PATIENCE));
    let mut ended = 0;
    while let Some(end) = ends.next().await {
        let end = end?.end;
        ensure!(end.kind == OutcomeKind::Completed && end.body.bytes == item.bytes, "an item ended as {}", end.kind);
        ended += 1;
    }
    ensure!(ended == items, "{ended} of {items} items ended");
    Ok(())
}

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let worker = bed.worker(NOOP, "noop", SLOTS, Duration::ZERO).await?;
    noop::nova(bed.client.clone(), TASKS / 4).await?;
    for size in SIZES {
        bundled(bed.client.clone(), size, ITEMS / 4).await?;
    }
    let [single, large, small]: [Side; 3] = in_turn(ROUNDS, async |at| {
        let (client, parts) = (bed.client.clone(), bed.parts([&worker]));
        Ok(match at {
            0 => Round { cost: measure(parts, noop::nova(client, TASKS)).await?, count: TASKS },
            _ => Round { cost: measure(parts, bundled(client, SIZES[at - 1], ITEMS)).await?, count: ITEMS },
        })
    })
    .await?;
    Ok(vec![
        Row::ratio(NAME, "bundle/single", &large.over(&single)).within(Bound::AtLeast(5.0)),
        single.row(NAME, "single", "tasks/s"),
        large.row(NAME, format!("bundles of {}", SIZES[0]), "items/s"),
        small.row(NAME, format!("bundles of {}", SIZES[1]), "items/s").over(&small.over(&single)),
    ])
}
