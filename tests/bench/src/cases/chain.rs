//! A chain of three steps, one run at a time and many at once, beside the same number of plain tasks.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::bed::{Bed, NOOP};
use crate::cases::noop;
use crate::row::{Bound, Row};
use crate::runs;
use crate::sample::{Rounds, Times};

pub const NAME: &str = "chain";
pub const ABOUT: &str = "workflow runs of 3 and 5 steps that do nothing, unloaded and under load, beside plain tasks";
pub const NOTE: &str = "One coordinator, one worker with 256 slots. Unloaded: 300 runs of three steps one after another, from submit \
                        to outcome, in turn with single tasks; beyond its tasks is a run's time less three times the median task's. \
                        Under load: 2,000 runs of five steps, 512 at once, and as many plain tasks as they had steps, 512 at once, \
                        in turn; the ratio is steps per second to tasks per second.";

const SINGLE: usize = 300;
const RUNS: usize = 2_000;
const AT_ONCE: usize = 512;
const STEPS: usize = 5;
const ROUNDS: usize = 3;

pub async fn run() -> anyhow::Result<Vec<Row>> {
    let bed = Bed::start().await?;
    let _worker = bed.worker(NOOP, "noop", 256, Duration::ZERO).await?;
    let _coordinator = runs::coordinator(&bed).await?;
    runs::put(&bed, runs::chain("three", 3)).await?;
    runs::put(&bed, runs::chain("five", STEPS)).await?;
    for _ in 0..50 {
        runs::complete(&bed, "three", json!({"n": 1})).await?;
    }

    let (mut whole, mut task) = (Times::new(), Times::new());
    for n in 0..SINGLE {
        let began = Instant::now();
        runs::complete(&bed, "three", json!({"n": n})).await?;
        whole.record(began.elapsed());
        let began = Instant::now();
        noop::one(&bed.client).await?;
        task.record(began.elapsed());
    }
    let beyond = whole.quantile_ms(0.5) - 3.0 * task.quantile_ms(0.5);

    let (mut steps, mut tasks) = (Rounds::default(), Rounds::default());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let all =
            stream::iter(0..RUNS).map(|n| runs::complete(&bed, "five", json!({ "n": n }))).buffer_unordered(AT_ONCE);
        all.try_for_each(|()| std::future::ready(Ok(()))).await?;
        steps.push((RUNS * STEPS) as f64 / began.elapsed().as_secs_f64());
        let began = Instant::now();
        noop::nova(bed.client.clone(), RUNS * STEPS).await?;
        tasks.push((RUNS * STEPS) as f64 / began.elapsed().as_secs_f64());
    }
    Ok(vec![
        Row::once(NAME, "3 steps, one run at a time: beyond its tasks, p50", beyond, "ms").within(Bound::Below(5.0)),
        Row::once(NAME, "3 steps, one run at a time: whole, p50", whole.quantile_ms(0.5), "ms"),
        Row::once(NAME, "3 steps, one run at a time: whole, p99", whole.quantile_ms(0.99), "ms"),
        Row::once(NAME, "a task, one at a time, p50", task.quantile_ms(0.5), "ms"),
        Row::of(NAME, "steps of runs", &steps, "steps/s").over(&steps.over(&tasks)),
        Row::of(NAME, "plain tasks", &tasks, "tasks/s"),
    ])
}
