//! Reading the queues as they are: one stream with three consumers for each skill.

use nova_broker::{BrokerError, BrokerRef, ConsumerInfo, StreamInfo};
use nova_types::{Priority, Skill};
use nova_wire::{assets, subject};

/// One priority of a queue.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) priority: Priority,
    pub(crate) info: ConsumerInfo,
}

/// All queues there are.
pub(crate) async fn all(broker: &BrokerRef) -> Result<Vec<(Skill, StreamInfo)>, BrokerError> {
    let streams = broker.streams(assets::TASKS_PREFIX.to_owned()).await?;
    Ok(streams.into_iter().filter_map(|info| Some((assets::skill_of_stream(&info.spec.name)?, info))).collect())
}

/// A queue's consumers; fewer than three when one is missing or was altered to read something else.
pub(crate) async fn lanes(broker: &BrokerRef, skill: &Skill) -> Result<Vec<Lane>, BrokerError> {
    let consumers = broker.consumers(assets::tasks_stream(skill)).await?;
    let lane = |priority: Priority| {
        let is_lane = |info: &&ConsumerInfo| {
            info.spec.name == assets::consumer(priority) && info.spec.filter == subject::task(skill, priority)
        };
        consumers.iter().find(is_lane).map(|info| Lane { priority, info: info.clone() })
    };
    Ok(Priority::ALL.into_iter().filter_map(lane).collect())
}
