//! The yardstick of the durable profile: loops that wait for the receipt of each publish before the next.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use nova_broker::{BrokerRef, Delivery, Expect, Message, PublishError, PullItem, PullRequest, Settle};
use nova_runtime::{Clock as _, SystemClock};
use nova_types::{Name, Outcome, OutcomeKind, Priority, Scope, Skill, TaskId, Usage, WorkerId};
use nova_wire::{Headers, assets, name, subject, write_outcome};

use crate::bed::connect;
use crate::load::body;

/// How many tasks the loop asks for at once: what the largest worker here has slots.
const BATCH: usize = 256;
/// How long the broker holds a waiting pull.
const WAIT: Duration = Duration::from_secs(5);

/// Works on a queue until the process ends.
///
/// # Errors
/// When the broker cannot be reached or refuses.
pub async fn work(url: &str, skill: &str) -> anyhow::Result<()> {
    let broker = connect(url, "bench-one-by-one").await?;
    let skill = Skill::new(skill)?;
    writeln!(std::io::stdout().lock(), "ready")?;
    loop {
        let request = PullRequest {
            stream: assets::tasks_stream(&skill),
            consumer: assets::consumer(Priority::Normal).to_owned(),
            batch: BATCH,
            wait: Some(WAIT),
        };
        let mut pull = broker.pull(request).await?;
        while let Some(item) = pull.next().await {
            if let PullItem::Delivery(delivery) = item? {
                handle(&broker, &skill, *delivery).await?;
            }
        }
    }
}

async fn handle(broker: &BrokerRef, skill: &Skill, delivery: Delivery) -> anyhow::Result<()> {
    let Some(task) = delivery.headers.get(name::MSG_ID).and_then(|id| id.parse::<TaskId>().ok()) else {
        return Ok(());
    };
    let now = SystemClock::skewed(0).now();
    let outcome = Outcome {
        kind: OutcomeKind::Completed,
        task: task.clone(),
        skill: skill.clone(),
        attempt: 1,
        worker: WorkerId::new("one-by-one").ok(),
        nonce: Some(delivery.sequence.to_string()),
        submitted: Some(delivery.at),
        started: Some(now),
        finished: now,
        code: None,
        usage: Usage::default(),
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(skill, &task), delivery.body.clone()).with_headers(headers.clone());
    match broker.publish(record, Expect::NOTHING).await {
        Ok(_) | Err(PublishError::Conflict { .. }) => {}
        // Not known to be stored: it comes again when its lease ends.
        Err(_) => return Ok(()),
    }
    broker.settle(&delivery.token, Settle::Ack).await?;
    let word = Message::new(subject::done(skill, &task), delivery.body).with_headers(headers);
    broker.tell(word).await?;
    Ok(())
}

/// Submits tasks, each after the receipt of the one before.
///
/// # Errors
/// When there is no receipt.
pub async fn submit(broker: BrokerRef, skill: String, count: usize) -> anyhow::Result<()> {
    let (skill, scope, body): (_, _, Bytes) = (Skill::new(skill)?, Scope::new("onebyone")?, body(128));
    let run = fastrand::u32(..);
    for n in 0..count {
        // As long as a UUID: a shorter one would be cheaper to keep.
        let task = TaskId::new(scope.clone(), Name::new(format!("{run:08x}-{n:027}"))?);
        let headers = Headers::new().with(name::MSG_ID, task.to_string());
        let message = Message::new(subject::task(&skill, Priority::Normal), body.clone()).with_headers(headers);
        broker.publish(message, Expect::Any).await?;
    }
    Ok(())
}
