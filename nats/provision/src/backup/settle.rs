//! Takes tasks out of restored queues whose outcome is in the backup.
//!
//! Workers would find the outcome and ack them unrun. But outcomes are kept for a day, and a backup may be older: then the
//! outcome goes as soon as it may age again, and the task would look as if it had never run. So what was on its way while
//! the backup was taken is looked through before.

use nova_broker::{Broker, BrokerError, Inspected, Purge, Stored};
use nova_types::OutcomeKind;
use nova_wire::{Task, assets, name, parse_outcome, subject};

use super::error::RestoreError;
use super::manifest::Position;

/// Deletes from every queue what has ended, from each consumer's acks to where it had come; says how many tasks.
pub(super) async fn settle(broker: &dyn Broker, reached: &[Position]) -> Result<u64, RestoreError> {
    let mut settled = 0;
    for position in reached {
        settled += one(broker, position).await.map_err(|source| {
            let consumer = position.id();
            RestoreError::Settle { consumer, source }
        })?;
    }
    Ok(settled)
}

async fn one(broker: &dyn Broker, position: &Position) -> Result<u64, BrokerError> {
    let (stream, mut settled) = (&position.stream, 0);
    let Some(consumer) = broker.consumer(stream.clone(), position.consumer.clone()).await? else { return Ok(0) };
    let mut from = consumer.ack_floor + 1;
    while from <= position.delivered {
        // One by one, whatever its headers are: anybody may have written it.
        let found = broker.inspect(stream.clone(), consumer.spec.filter.clone(), from).await?;
        let Some(Inspected { stored, unreadable }) = found else { break };
        let sequence = stored.sequence;
        if sequence > position.delivered {
            break;
        }
        if unreadable.is_none() && has_ended(broker, stream, stored).await? {
            settled += broker.purge(stream.clone(), Purge::Sequence(sequence)).await?;
        }
        from = sequence + 1;
    }
    Ok(settled)
}

/// Whether nothing is left to be done for a task; one that is dead needs its letter, too, which a worker writes.
async fn has_ended(broker: &dyn Broker, stream: &str, stored: Stored) -> Result<bool, BrokerError> {
    let Some(skill) = assets::skill_of_stream(stream) else { return Ok(false) };
    let id = match Task::parse(&stored.subject, stored.sequence, stored.headers, stored.body) {
        Ok(task) => task.id,
        Err(bad) => bad.id,
    };
    let outcome = broker.last(assets::OUTCOMES.to_owned(), subject::outcome(&skill, &id)).await?;
    let kind = outcome.and_then(|stored| parse_outcome(stored.headers.get(name::OUTCOME)?).ok()).map(|read| read.kind);
    match kind {
        None => Ok(false),
        Some(OutcomeKind::Completed | OutcomeKind::Cancelled) => Ok(true),
        Some(OutcomeKind::Dead) => {
            Ok(broker.last(assets::DEAD.to_owned(), subject::dead(&skill, &id)).await?.is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use nova_broker::memory::MemoryBroker;
    use nova_broker::{Expect, Message, Scan};
    use nova_types::UnixMillis;
    use nova_wire::Headers;

    use super::*;
    use crate::{ApplyOptions, Catalogue, Options, Profile, apply, desired};

    const QUEUE: &str = "NOVA_TASKS_echo";

    async fn put(broker: &MemoryBroker, subject: &str, header: &'static str, value: &str) -> u64 {
        let message = Message::new(subject, "1").with_headers(Headers::new().with(header, value));
        broker.publish(message, Expect::Any).await.expect("stored").sequence
    }

    #[tokio::test]
    async fn what_has_ended_leaves_its_queue_and_nothing_else_does() {
        let broker = MemoryBroker::new();
        let options = Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) };
        let wanted = desired(&Catalogue::built_in(), options);
        apply(&broker, &wanted, ApplyOptions::default(), |_| {}).await.expect("applied");
        let mut queued = Vec::new();
        for (n, kind) in [Some("completed"), Some("cancelled"), Some("dead"), Some("dead"), None, Some("completed")]
            .iter()
            .enumerate()
        {
            queued.push(put(&broker, "nova.task.echo", "Nats-Msg-Id", &format!("b.t{n}")).await);
            if let Some(kind) = kind {
                let code = if *kind == "completed" { "" } else { ";code=\"x\"" };
                let outcome = format!("{kind};task=\"b.t{n}\";skill=\"echo\";attempt=1;finished=5{code}");
                put(&broker, &format!("nova.outcome.echo.b.t{n}"), "Nova-Outcome", &outcome).await;
            }
        }
        // Of the two that are dead one has its letter; the last one was not handed out when the outcomes were packed.
        put(&broker, "nova.dead.echo.b.t2", "Nova-Dead", "x").await;
        let reached =
            |consumer: &str| Position { stream: QUEUE.to_owned(), consumer: consumer.to_owned(), delivered: queued[4] };
        let settled = settle(&broker, &[reached("high"), reached("normal"), reached("gone")]).await.expect("looked");
        assert_eq!(settled, 3);
        let left = broker.scan(Scan::all(QUEUE, "nova.task.echo", 10)).await.expect("read");
        assert_eq!(left.iter().map(|stored| stored.sequence).collect::<Vec<_>>(), queued[3..]);
    }
}
