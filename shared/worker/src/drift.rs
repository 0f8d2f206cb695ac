//! Whether a skill's queue is as provision makes it; a worker refuses to start on drift.

use std::time::Duration;

use nova_broker::{BrokerError, BrokerRef, ConsumerInfo};
use nova_types::{Priority, Skill};
use nova_wire::{InvalidNote, SkillPolicy, assets, subject};
use tokio_util::sync::CancellationToken;

/// How soon a queue that did not answer is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often in a row nothing could be sent before the connection counts as broken for good.
const BROKEN: u32 = 3;

/// The fewest deliveries that must be allowed out at once: below it, tasks that back off freeze their queue.
const MIN_ACK_PENDING: i64 = 20_000;

/// A queue that a worker cannot work on.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// It does not exist.
    #[error("skill `{skill}` has no queue on this broker: add it to the catalogue and run `nova provision apply`")]
    Missing {
        /// The skill.
        skill: Skill,
    },
    /// It is not as it should be.
    #[error("queue `{skill}` {what}: see `nova provision check`, mend it with `nova provision apply`")]
    Drift {
        /// The skill.
        skill: Skill,
        /// What differs.
        what: String,
    },
    /// It could not be looked at.
    #[error("could not look at the queue of skill `{skill}`")]
    Unreachable {
        /// The skill.
        skill: Skill,
        /// Why.
        #[source]
        source: BrokerError,
    },
}

/// What [`check`] says once the broker answers: while its servers elect a leader it does not. `None` when told to stop meanwhile.
pub(crate) async fn checked(
    broker: &BrokerRef,
    skill: &Skill,
    stop: &CancellationToken,
) -> Result<Option<SkillPolicy>, QueueError> {
    let mut broken = 0;
    loop {
        match check(broker, skill).await {
            Err(QueueError::Unreachable { source, .. }) if source.is_transient() && broken < BROKEN => {
                // Nothing can be sent over a connection that stands: it broke for good, and only a new process helps.
                let is_lost = matches!(source, BrokerError::Disconnected { .. });
                broken = if is_lost && broker.connection().borrow().is_up { broken + 1 } else { 0 };
                tracing::warn!(%skill, error = &source as &dyn std::error::Error, "the broker does not answer yet");
            }
            checked => return checked.map(Some),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Checks the consumers of a skill, three and one for each partition of its keys, and returns its policy.
async fn check(broker: &BrokerRef, skill: &Skill) -> Result<SkillPolicy, QueueError> {
    let mut policy = None;
    for priority in Priority::ALL {
        let read = look(broker, skill, assets::consumer(priority), &subject::task(skill, priority)).await?;
        policy.get_or_insert(read);
    }
    let policy = policy.expect("there are three priorities");
    for partition in 0..policy.keyed.map_or(0, |keyed| keyed.partitions) {
        let (name, filter) = (assets::partition_consumer(partition), subject::partition(skill, partition));
        let read = look(broker, skill, &name, &filter).await?;
        if read.keyed != policy.keyed {
            let what = format!("has a consumer {name} that divides its keys otherwise");
            return Err(QueueError::Drift { skill: skill.clone(), what });
        }
    }
    Ok(policy)
}

/// Checks one consumer and returns its policy.
async fn look(broker: &BrokerRef, skill: &Skill, name: &str, filter: &str) -> Result<SkillPolicy, QueueError> {
    let info = broker.consumer(assets::tasks_stream(skill), name.to_owned()).await;
    let info = info.map_err(|source| match source {
        BrokerError::NotFound { .. } => QueueError::Missing { skill: skill.clone() },
        source => QueueError::Unreachable { skill: skill.clone(), source },
    })?;
    let info = info.ok_or_else(|| QueueError::Missing { skill: skill.clone() })?;
    judge(name, filter, &info).map_err(|what| QueueError::Drift { skill: skill.clone(), what })
}

/// Compares one consumer with what it should be; pure.
fn judge(name: &str, filter: &str, info: &ConsumerInfo) -> Result<SkillPolicy, String> {
    let spec = &info.spec;
    let policy = SkillPolicy::from_metadata(&spec.metadata)
        .map_err(|error: InvalidNote| format!("has a consumer {name} with a bad note ({error})"))?;
    if spec.filter != filter {
        return Err(format!("has a consumer {name} that reads `{}` and not `{filter}`", spec.filter));
    }
    if spec.ack_wait != policy.lease {
        return Err(format!("has a consumer {name} with a lease of {:?} and not {:?}", spec.ack_wait, policy.lease));
    }
    if spec.max_ack_pending < MIN_ACK_PENDING {
        let allowed = spec.max_ack_pending;
        return Err(format!("has a consumer {name} that allows {allowed} deliveries out, not {MIN_ACK_PENDING}"));
    }
    if let Some(setting) = info.foreign.first() {
        return Err(format!("has a consumer {name} with the foreign setting {setting}"));
    }
    Ok(policy)
}
