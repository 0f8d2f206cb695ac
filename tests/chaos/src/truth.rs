//! What a server holds when all is over: everything is read, from each replica by itself.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use nova_broker::{BrokerRef, Scan, Stored};
use nova_wire::{ContentType, DeadLetter, Headers, Payload, assets, name, parse_outcome, subject};
use nova_workflow::Transition;
use serde::Deserialize;

use crate::check::{Copy, Lane, Letter, Record};

/// Every outcome.
pub const ALL_OUTCOMES: &str = "nova.outcome.>";
const ALL_LETTERS: &str = "nova.dead.>";
const ALL_FENCED: &str = "nova.event.task.fenced.>";
/// How many messages are read at once.
const PAGE: usize = 1_000;

/// The number of an order or an answer; other bytes have none.
#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

/// Reads all that a server holds.
///
/// # Errors
/// When it does not answer, or holds what cannot be understood.
pub async fn read(broker: &BrokerRef, server: &str) -> anyhow::Result<Copy> {
    let mut copy = Copy { server: server.to_owned(), ..Copy::default() };
    all(broker, assets::OUTCOMES, ALL_OUTCOMES, |stored| {
        let header = stored.headers.get(name::OUTCOME).context("an outcome without its header")?;
        let outcome = parse_outcome(header)?;
        let (n, is_large) = (numbered(&stored.headers, &stored.body), stored.headers.get(name::BLOB).is_some());
        copy.outcomes.push(Record { sequence: stored.sequence, at: stored.at, outcome, n, is_large });
        Ok(())
    })
    .await?;
    all(broker, assets::DEAD, ALL_LETTERS, |stored| {
        let letter = DeadLetter::parse(&stored.headers, stored.body.clone())?;
        let (n, is_large) = (numbered(&letter.headers, &letter.body), letter.headers.get(name::BLOB).is_some());
        let redrive_of = letter.headers.get(name::REDRIVE_OF).map(str::parse).transpose()?;
        copy.letters.push(Letter { skill: letter.skill, task: letter.task, n, redrive_of, is_large });
        Ok(())
    })
    .await?;
    all(broker, assets::EVENTS, ALL_FENCED, |stored| {
        let event: nova_wire::TaskEventRecord = serde_json::from_slice(&stored.body).context("an event")?;
        copy.fenced.push(event.task);
        Ok(())
    })
    .await?;
    all(broker, assets::RUNS, subject::ALL_RUNS, |stored| {
        let (_, run) = subject::parse_run(&stored.subject).context("a run's subject")?;
        let transition: Transition = serde_json::from_slice(&stored.body).context("a transition")?;
        copy.transitions.push((run, transition));
        Ok(())
    })
    .await?;
    copy.lanes = lanes(broker).await?;
    Ok(copy)
}

fn numbered(headers: &Headers, body: &Bytes) -> Option<u64> {
    let content_type = headers.get(name::CONTENT_TYPE).map_or(Some(ContentType::Json), ContentType::from_media_type)?;
    let payload = Payload { content_type, bytes: body.clone() };
    payload.decode::<Numbered>().ok().map(|numbered| numbered.n)
}

async fn all(
    broker: &BrokerRef,
    stream: &str,
    filter: &str,
    mut each: impl FnMut(&Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let info = broker.stream(stream.to_owned()).await?.with_context(|| format!("no stream {stream}"))?;
    let (mut from, mut read) = (1, 0);
    loop {
        let page = broker.scan(Scan::all(stream, filter, PAGE).from(from)).await?;
        for stored in &page {
            each(stored).with_context(|| format!("{stream} at {}: {}", stored.sequence, stored.subject))?;
            from = stored.sequence + 1;
            read += 1;
        }
        if page.len() < PAGE {
            break;
        }
    }
    // A stream of one kind of subject was read whole, or the verdict would be over a part.
    let is_whole = filter != ALL_OUTCOMES || read >= info.messages;
    ensure!(is_whole, "of {} messages of {stream} only {read} could be read", info.messages);
    Ok(())
}

/// All priorities and partitions of all queues.
///
/// # Errors
/// When the server does not answer.
pub async fn lanes(broker: &BrokerRef) -> anyhow::Result<Vec<Lane>> {
    let mut lanes = Vec::new();
    for stream in broker.streams(assets::TASKS_PREFIX.to_owned()).await? {
        let name = stream.spec.name;
        for info in broker.consumers(name.clone()).await? {
            let lane = format!("{name} {}", info.spec.name);
            lanes.push(Lane { name: lane, pending: info.pending, ack_pending: info.ack_pending });
        }
    }
    Ok(lanes)
}
