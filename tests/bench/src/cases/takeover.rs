//! Coordinators killed while runs are under way: how long the longest run then takes.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::bed::{Bed, NOOP};
use crate::mode::Mode;
use crate::row::{Bound, Row};
use crate::runs;
use crate::sample::Times;

pub const NAME: &str = "takeover";
pub const ABOUT: &str = "two coordinators, one of them killed (kill -9) while 32 runs of five steps are under way, three times, ten with FULL=1";
pub const NOTE: &str = "Each round starts 400 runs of five steps that do nothing, 32 at once, and kills one of the two coordinators \
                        100 ms later; another begins in its place after the round. The time is a run's, from submit to \
                        outcome: the longest one waited for the dead coordinator's leases to end.";

const RUNS: usize = 400;
const AT_ONCE: usize = 32;
const BEFORE_KILL: Duration = Duration::from_millis(100);

pub async fn run(mode: Mode) -> anyhow::Result<Vec<Row>> {
    let kills = mode.pick(3, 10);
    let bed = Bed::start().await?;
    let _worker = bed.worker(NOOP, "noop", 256, Duration::ZERO).await?;
    let mut coordinators = vec![runs::coordinator(&bed).await?, runs::coordinator(&bed).await?];
    runs::put(&bed, runs::chain("five", 5)).await?;
    let mut times = Times::new();
    for _ in 0..kills {
        let mut victim = coordinators.remove(0);
        let killed = async {
            tokio::time::sleep(BEFORE_KILL).await;
            victim.kill9();
        };
        let all = stream::iter(0..RUNS).map(|n| {
            let bed = &bed;
            async move {
                let began = Instant::now();
                runs::complete(bed, "five", json!({ "n": n })).await.map(|()| began.elapsed())
            }
        });
        let (taken, ()) = tokio::join!(all.buffer_unordered(AT_ONCE).collect::<Vec<_>>(), killed);
        for time in taken {
            times.record(time?);
        }
        coordinators.push(runs::coordinator(&bed).await?);
    }
    Ok(vec![
        Row::once(NAME, "the longest run", times.max_ms() / 1e3, "s").within(Bound::Below(5.0)),
        Row::once(NAME, "a run, p50", times.quantile_ms(0.5), "ms"),
    ])
}
