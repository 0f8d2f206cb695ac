//! The loads: tasks waited for, tasks only submitted, tasks at a steady rate.

use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use nova_client::{Client, Submit, Submitted};
use tokio::sync::mpsc;

use super::times::Times;
use crate::cx::Cx;
use crate::end::failure_of;
use crate::failure::Failure;
use crate::progress::Progress;

/// How long a task may take: whoever waits longer has no use for a benchmark.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long tasks are started at most when no rate was asked for: a slow fleet, too, is told of soon.
const SPAN: Duration = Duration::from_secs(10);

/// How often tasks that are due are started at most: each start wakes a thread.
const SLICE: Duration = Duration::from_micros(500);

/// How many tasks a steady load may be ahead of what was counted before its starter waits.
const AHEAD: usize = 4096;

/// A rate, and the times behind it.
pub(super) struct Run {
    pub(super) per_sec: f64,
    pub(super) times: Times,
}

/// Runs whole tasks, so many under way.
pub(super) async fn whole(
    cx: &Cx,
    task: &Submit,
    tasks: u64,
    in_flight: u64,
    progress: &Progress,
) -> Result<Run, Failure> {
    let mut times = Times::default();
    let began = Instant::now();
    let all = in_time(tasks, began).map(|_| one(cx.client.clone(), task.clone()));
    let mut all = all.buffer_unordered(width(in_flight));
    while let Some(time) = all.try_next().await? {
        times.push(time);
        progress.at(times.len());
    }
    Ok(Run { per_sec: per_sec(times.len(), began), times })
}

/// So many tasks, or fewer when the time is over before.
fn in_time(tasks: u64, began: Instant) -> impl Stream<Item = u64> {
    stream::iter(0..tasks).take_while(move |_| std::future::ready(began.elapsed() < SPAN))
}

/// Submits tasks, so many under way, then waits until the last ones have ended; says how many had a receipt, and how many
/// per second.
pub(super) async fn submits(
    cx: &Cx,
    task: &Submit,
    tasks: u64,
    in_flight: u64,
    progress: &Progress,
) -> Result<(u64, f64), Failure> {
    let began = Instant::now();
    let mut all = in_time(tasks, began).map(|_| cx.client.submit(task.clone())).buffered(width(in_flight));
    let (mut taken, mut last): (u64, Option<Submitted>) = (0, None);
    while let Some(submitted) = all.try_next().await? {
        taken += 1;
        progress.at(taken);
        last = Some(submitted);
    }
    let rate = per_sec(taken, began);
    if let Some(last) = last {
        // Tasks are taken in their order: when the last has ended, next to none of the others is left.
        progress.note("waiting for their ends");
        let patience = PATIENCE.max(Duration::from_millis(10 * taken));
        cx.client.wait(&last.skill, &last.task, patience).await?;
    }
    Ok((taken, rate))
}

/// Starts tasks at a steady rate, each timed from the moment it was due.
pub(super) async fn steady(cx: &Cx, task: &Submit, tasks: u64, rate: u32, progress: &Progress) -> Result<Run, Failure> {
    let (done, mut ends) = mpsc::channel(AHEAD);
    let (client, task, runtime) = (cx.client.clone(), task.clone(), tokio::runtime::Handle::current());
    let began = Instant::now();
    // A thread of its own: the runtime's timers have a grain of a millisecond, as long as a task takes.
    std::thread::spawn(move || {
        let slice = SLICE.max(Duration::from_secs(1) / rate);
        let (mut started, mut slices) = (0, 0);
        while started < tasks && !done.is_closed() {
            let due = began + slice * slices;
            #[expect(clippy::disallowed_methods, reason = "paces a thread of its own, none of the runtime's")]
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            slices += 1;
            let until = (slice.as_secs_f64() * f64::from(slices) * f64::from(rate)).round() as u64;
            for _ in started..until.min(tasks) {
                let (client, task, done) = (client.clone(), task.clone(), done.clone());
                runtime.spawn(async move {
                    let ended = one(client, task).await.map(|_| due.elapsed());
                    // Nobody waits any more once one has failed.
                    let _ = done.send(ended).await;
                });
            }
            started = until.min(tasks);
        }
    });
    let mut times = Times::default();
    while let Some(ended) = ends.recv().await {
        times.push(ended?);
        progress.at(times.len());
    }
    Ok(Run { per_sec: per_sec(tasks, began), times })
}

/// One whole task, and how long it took.
async fn one(client: Client, task: Submit) -> Result<Duration, Failure> {
    let began = Instant::now();
    let ended = client.submit_and_wait(task, PATIENCE).await?;
    match ended.error() {
        None => Ok(began.elapsed()),
        Some(error) => Err(failure_of(&ended.outcome, &error)),
    }
}

fn width(in_flight: u64) -> usize {
    usize::try_from(in_flight).unwrap_or(usize::MAX)
}

fn per_sec(tasks: u64, began: Instant) -> f64 {
    tasks as f64 / began.elapsed().as_secs_f64()
}
