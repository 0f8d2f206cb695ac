//! What somebody does to a queue by hand; what has to be noticed; and what its runbook says to do then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use nova_broker::{Expect, Message, PauseState, Purge, Scan, Stored};
use nova_types::{Generation, Priority, Skill};
use nova_wire::{Task, assets, subject};

use crate::field::{Field, consumers};
use crate::worker::SKILL;

/// What a coordinator says of a queue without a consumer.
const NO_CONSUMER: &str = "tasks wait where no consumer reads";
/// What a coordinator says of a queue that was purged.
const GONE: &str = "waiting tasks are gone that nobody took";
/// How long an alarm may take: until another coordinator leads, and two of its rounds.
const ALARM: Duration = Duration::from_secs(30);
/// The same of a purge, which only a coordinator notices that led before it: some rounds.
const ROUNDS: Duration = Duration::from_secs(12);
/// How often a queue is purged at most, so that one of the times somebody has led for long enough.
const PURGES: usize = 4;
/// How long servers may take to answer for a queue: an election and more.
const ANSWER: Duration = Duration::from_secs(30);
/// How many tasks are to wait in a queue that is purged.
const WAITING: u64 = 50;
/// How many tasks are submitted again at once.
const AT_ONCE: usize = 64;
/// How many messages are read at once.
const PAGE: usize = 1_000;

/// Whether a queue is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paused {
    Yes,
    No,
}

/// The stream of the queue that is purged.
pub(super) fn purged() -> String {
    assets::tasks_stream(&skill())
}

/// Deletes one of the consumers.
pub(super) async fn delete(field: &Field, target: usize) -> anyhow::Result<()> {
    let (stream, consumer) = &consumers()[target];
    answered(&format!("{consumer} of {stream} could not be deleted"), async || {
        // An answer may be lost: that it is gone is what counts.
        let deleted = field.control.delete_consumer(stream.clone(), consumer.clone()).await;
        let is_gone = field.control.consumer(stream.clone(), consumer.clone()).await?.is_none();
        if is_gone { Ok(()) } else { deleted.context("it is still there") }
    })
    .await
}

/// Whether a coordinator says, again, that a consumer is missing: it does so for as long as one is.
pub(super) async fn is_noticed(field: &Field) -> bool {
    is_said(field, NO_CONSUMER, field.warnings(NO_CONSUMER), ALARM).await
}

/// Pauses all priorities of the queue that is to be purged, or lets it go on.
pub(super) async fn pause(field: &Field, paused: Paused) -> anyhow::Result<()> {
    let now = nova_runtime::system_clock().now();
    let until = (paused == Paused::Yes).then(|| now.plus(Duration::from_secs(3600)));
    for priority in Priority::ALL {
        answered("a queue could not be paused", async || {
            let consumer = assets::consumer(priority).to_owned();
            Ok(field.control.pause_consumer(purged(), consumer, PauseState { until }).await?)
        })
        .await?;
    }
    Ok(())
}

/// Purges the queue, waits for the alarm and submits again what has not ended; says whether the alarm came.
pub(super) async fn purge(field: &Field) -> anyhow::Result<bool> {
    for _ in 0..PURGES {
        answered("too few tasks wait to be purged", async || {
            let lanes = field.control.consumers(purged()).await?;
            let waiting: u64 = lanes.iter().map(|lane| lane.pending).sum();
            ensure!(waiting >= WAITING, "{waiting} of {WAITING}");
            Ok(())
        })
        .await?;
        let said = field.warnings(GONE);
        let mut gone = BTreeMap::new();
        answered("the queue could not be purged", async || take_all(field, &mut gone).await).await?;
        let is_told = is_said(field, GONE, said, ROUNDS).await;
        let again = stream::iter(gone.into_values()).map(async |message| {
            answered("a purged task could not be submitted again", async || submit_again(field, &message).await).await
        });
        again.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        if is_told {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads everything that may be open, then purges exactly that. What was read stays, should the answer to the purge be lost.
async fn take_all(field: &Field, all: &mut BTreeMap<u64, Stored>) -> anyhow::Result<()> {
    let broker = &field.control;
    let lanes = broker.consumers(purged()).await?;
    let floor = lanes.iter().map(|lane| lane.ack_floor).min().context("a queue without consumers")?;
    let last = broker.stream(purged()).await?.context("no queue")?.last_sequence;
    let mut from = floor + 1;
    while from <= last {
        let page = broker.scan(Scan::all(purged(), ">", PAGE).from(from)).await?;
        let Some(end) = page.last() else { break };
        from = end.sequence + 1;
        all.extend(page.into_iter().filter(|stored| stored.sequence <= last).map(|stored| (stored.sequence, stored)));
    }
    broker.purge(purged(), Purge::Below(last + 1)).await?;
    Ok(())
}

/// Publishes a task as its next generation, so that the broker does not take it for a copy of the one that is gone.
async fn submit_again(field: &Field, stored: &Stored) -> anyhow::Result<()> {
    let parsed = Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), stored.body.clone());
    // What is no task was to end dead; it may be lost with the queue, but its end is awaited.
    let id = match parsed {
        Ok(task) => task.id,
        Err(refused) => refused.id,
    };
    let ended = field.control.last(assets::OUTCOMES.to_owned(), subject::outcome(&skill(), &id)).await?;
    if ended.is_none() {
        let headers = Task::republished_headers(&stored.headers, &id, Generation::moved(stored.sequence));
        let message = Message::new(stored.subject.clone(), stored.body.clone()).with_headers(headers);
        field.control.publish(message, Expect::Any).await?;
    }
    Ok(())
}

/// Whether a coordinator says this more often than it did.
async fn is_said(field: &Field, alarm: &str, before: usize, within: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if field.warnings(alarm) > before {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Tries until it succeeds: leaders may just be elected.
async fn answered<T>(what: &str, mut attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(why) if begun.elapsed() > ANSWER => return Err(why.context(what.to_owned())),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn skill() -> Skill {
    Skill::new(SKILL).expect("a valid name")
}
