//! Moves old waiting tasks to the end of their queue, so that the history behind them can go.

use nova_broker::{BrokerError, ConsumerInfo, Expect, Message, PublishError, Purge};
use nova_engine::rehome::Rehome;
use nova_types::{Generation, Skill, TaskId};
use nova_wire::Task;

use crate::Parts;
use crate::vanish::Removals;

/// Publishes each task again as its next generation, then deletes the old message; says how many.
///
/// Between the two a worker may take the old one: then both run, and one outcome stands, as with any redelivery.
pub(crate) async fn carry_out(
    parts: &Parts,
    lane: &ConsumerInfo,
    rehome: Rehome,
    (skill, removals): (&Skill, &Removals),
) -> Result<u64, BrokerError> {
    let stream = &lane.spec.stream;
    let mut from = rehome.from;
    let mut moved = 0;
    for _ in 0..rehome.most {
        let found = parts.broker.inspect(stream.clone(), lane.spec.filter.clone(), from).await?;
        let Some(found) = found else { break };
        let stored = found.stored;
        from = stored.sequence + 1;
        // What nobody can read is the sweeper's; what is no task ends when a worker takes it.
        if found.unreadable.is_some() {
            continue;
        }
        let parsed = Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), stored.body.clone());
        let Ok(Task { id, .. }) = parsed else { continue };
        if !publish_again(parts, &id, &stored).await {
            break;
        }
        removals.begin(skill, 1);
        parts.broker.purge(stream.clone(), Purge::Sequence(stored.sequence)).await?;
        removals.end(skill, 1);
        moved += 1;
    }
    Ok(moved)
}

async fn publish_again(parts: &Parts, id: &TaskId, stored: &nova_broker::Stored) -> bool {
    let headers = Task::republished_headers(&stored.headers, id, Generation::moved(stored.sequence));
    let message = Message::new(stored.subject.clone(), stored.body.clone()).with_headers(headers);
    match parts.broker.publish(message, Expect::Any).await {
        Ok(_) => true,
        Err(error) => {
            let is_full = matches!(error, PublishError::Full { .. });
            tracing::warn!(task = %id, %error, is_full, "a waiting task could not be moved");
            false
        }
    }
}
