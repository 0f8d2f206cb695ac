//! Loads: so many tasks under way, so many per second whatever becomes of them, and a queue that was filled before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_broker::ConsumerInfo;
use nova_client::{Client, Submit};
use nova_types::{Priority, Skill, UnixMillis};
use nova_wire::{Payload, assets};
use tokio::sync::mpsc;

use crate::bed::PATIENCE;
use crate::sample::Times;

/// Enough under way to keep every part busy, few enough for the dedupe and ack windows of any installation.
pub const IN_FLIGHT: usize = 512;

/// How often tasks that are due are started at most: each start wakes a thread, and two cores have other things to do.
const SLICE: Duration = Duration::from_micros(500);
/// How often a queue is looked at while it runs empty: each look costs the broker a tenth of a millisecond.
const LOOK: Duration = Duration::from_millis(10);
/// How long a queue is kept from being worked on at most, in milliseconds; whoever holds it lets it go long before.
const HELD: i64 = 3_600_000;

/// A JSON input of this many bytes.
pub fn body(bytes: usize) -> Bytes {
    Bytes::from(format!("{{\"text\":\"{}\"}}", "x".repeat(bytes.saturating_sub(11))))
}

/// A task of a skill that does nothing.
pub fn task(skill: &str, body: &Bytes) -> Submit {
    Submit::new(Skill::new(skill).expect("the skills here are well formed"), Payload::json(body.clone()))
}

/// Submits a task and waits until it has completed.
///
/// # Errors
/// When it does not complete.
pub async fn whole(client: &Client, task: Submit) -> anyhow::Result<()> {
    let ended = client.submit_and_wait(task, PATIENCE).await?;
    let Some(error) = ended.error() else { return Ok(()) };
    bail!("a task ended as {}: {}, {}", ended.outcome.kind.as_str(), error.code, error.message)
}

/// Keeps so many tasks under way until all have completed.
///
/// # Errors
/// When one does not complete.
pub async fn closed(
    client: Client,
    in_flight: usize,
    tasks: impl Iterator<Item = Submit> + Send,
) -> anyhow::Result<()> {
    let all = stream::iter(tasks).map(|task| whole(&client, task)).buffer_unordered(in_flight);
    all.try_for_each(|()| std::future::ready(Ok(()))).await
}

/// What became of a steady load.
pub struct Steady {
    /// From the moment each was due until its submitter was told.
    pub times: Times,
    /// How many were due.
    pub offered: u64,
    /// How many had completed when the last was due.
    pub in_time: u64,
}

impl Steady {
    /// Whether the rate was reached: what was due had completed but for what is always under way.
    pub fn is_reached(&self) -> bool {
        self.in_time as f64 >= self.offered as f64 * 0.95
    }
}

/// Starts tasks at a steady rate, whatever becomes of those before: a late start counts as waiting.
///
/// # Errors
/// When one does not complete.
pub async fn open(client: Client, task: Submit, rate: u32, time: Duration) -> anyhow::Result<Steady> {
    let offered = u64::from(rate) * u64::try_from(time.as_millis())? / 1000;
    // Bounded by what is offered.
    let (done, mut ends) = mpsc::channel(usize::try_from(offered)?.max(1));
    let runtime = tokio::runtime::Handle::current();
    let began = Instant::now();
    // A thread of its own: the runtime's timers have a grain of a millisecond, which is as long as a task takes.
    let starter = std::thread::spawn(move || {
        let slice = SLICE.max(Duration::from_secs(1) / rate);
        let (mut started, mut slices) = (0, 0);
        while started < offered {
            let due = began + slice * slices;
            #[expect(clippy::disallowed_methods, reason = "paces a thread of its own, none of the runtime's")]
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            slices += 1;
            let until = ((slice * slices).as_secs_f64() * f64::from(rate)).round() as u64;
            for _ in started..until.min(offered) {
                let (client, task, done) = (client.clone(), task.clone(), done.clone());
                runtime.spawn(async move {
                    let ended = whole(&client, task).await.map(|()| due.elapsed());
                    let _ = done.send(ended).await;
                });
            }
            started = until.min(offered);
        }
    });
    let (mut times, mut in_time) = (Times::new(), 0);
    while let Some(ended) = ends.recv().await {
        times.record(ended?);
        in_time += u64::from(began.elapsed() <= time);
    }
    ensure!(starter.join().is_ok(), "the thread that starts tasks broke");
    Ok(Steady { times, offered, in_time })
}

/// Keeps a queue from being worked on, so that it can be filled.
///
/// # Errors
/// When the broker refuses.
pub async fn hold(client: &Client, skill: &str) -> anyhow::Result<()> {
    let skill = Skill::new(skill)?;
    let now = lane(client, &skill).await?.now;
    Ok(client.pause(&skill, UnixMillis(now.0 + HELD)).await?)
}

/// Submits tasks in bulk.
///
/// # Errors
/// When one is refused.
pub async fn fill(client: &Client, tasks: impl Iterator<Item = Submit> + Send) -> anyhow::Result<()> {
    let answers = client.submit_all(tasks, |_| {}).await;
    let refused = answers.into_iter().filter_map(Result::err).next();
    refused.map_or(Ok(()), |error| Err(error).context("a task was refused"))
}

/// How many tasks wait in a held queue, once those under way have ended.
///
/// # Errors
/// When the broker does not say, or it takes too long.
pub async fn still(client: &Client, skill: &str) -> anyhow::Result<u64> {
    let skill = Skill::new(skill)?;
    let began = Instant::now();
    loop {
        let lane = lane(client, &skill).await?;
        if lane.ack_pending == 0 {
            return Ok(lane.pending);
        }
        ensure!(began.elapsed() < PATIENCE, "{} tasks are still under way after {PATIENCE:?}", lane.ack_pending);
        tokio::time::sleep(LOOK).await;
    }
}

/// Lets a held queue go and waits until the first of its tasks are taken; says how many still wait or are under way.
///
/// The broker lets waiting pulls of a consumer that was paused wait on, until their time is over or a message arrives: one
/// more task is submitted to wake them.
///
/// # Errors
/// When the broker does not say, or it takes too long.
pub async fn release(client: &Client, skill: &str) -> anyhow::Result<u64> {
    let nudge = task(skill, &body(128));
    let skill = Skill::new(skill)?;
    let all = lane(client, &skill).await?.pending;
    client.resume(&skill).await?;
    client.submit(nudge).await?;
    until(client, &skill, |lane| lane.pending < all).await
}

/// Waits until no more than `enough` tasks of a queue are waiting or under way; says how many.
///
/// # Errors
/// When the broker does not say, or it takes too long.
pub async fn drain(client: Client, skill: String, enough: u64) -> anyhow::Result<u64> {
    let skill = Skill::new(skill)?;
    until(&client, &skill, |lane| lane.pending + lane.ack_pending <= enough).await
}

/// Looks at a queue until it is as wanted; says how many tasks wait or are under way.
async fn until(client: &Client, skill: &Skill, wanted: impl Fn(&ConsumerInfo) -> bool) -> anyhow::Result<u64> {
    let began = Instant::now();
    loop {
        let lane = lane(client, skill).await?;
        let left = lane.pending + lane.ack_pending;
        if wanted(&lane) {
            return Ok(left);
        }
        ensure!(began.elapsed() < PATIENCE, "{left} tasks still wait after {PATIENCE:?}");
        tokio::time::sleep(LOOK).await;
    }
}

async fn lane(client: &Client, skill: &Skill) -> anyhow::Result<ConsumerInfo> {
    let consumer = assets::consumer(Priority::Normal).to_owned();
    let found = client.broker().consumer(assets::tasks_stream(skill), consumer).await?;
    found.with_context(|| format!("queue {skill} is not provisioned"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_size_asked_for() {
        assert_eq!(body(128).len(), 128);
        assert_eq!(body(1 << 20).len(), 1 << 20);
    }
}
