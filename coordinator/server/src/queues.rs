//! Reading the queues as they are: one stream for each skill, with three consumers, and one for each partition of its keys.

use nova_broker::{BrokerError, BrokerRef, ConsumerInfo, StreamInfo};
use nova_types::{Priority, Skill};
use nova_wire::{SkillPolicy, assets, subject};

/// What one consumer of a queue reads.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    /// The priority; `None` for a partition of a keyed skill, which holds all of them.
    pub(crate) priority: Option<Priority>,
    pub(crate) info: ConsumerInfo,
}

impl Lane {
    /// What it is called where people read it.
    pub(crate) fn name(&self) -> &str {
        &self.info.spec.name
    }
}

/// All queues there are.
pub(crate) async fn all(broker: &BrokerRef) -> Result<Vec<(Skill, StreamInfo)>, BrokerError> {
    let streams = broker.streams(assets::TASKS_PREFIX.to_owned()).await?;
    Ok(streams.into_iter().filter_map(|info| Some((assets::skill_of_stream(&info.spec.name)?, info))).collect())
}

/// A queue's consumers; fewer than there should be when one is missing or was altered to read something else.
pub(crate) async fn lanes(broker: &BrokerRef, skill: &Skill) -> Result<Vec<Lane>, BrokerError> {
    let consumers = broker.consumers(assets::tasks_stream(skill)).await?;
    let partitions = partitions(&consumers);
    let lane = |priority: Option<Priority>, name: &str, filter: String| {
        let is_lane = |info: &&ConsumerInfo| info.spec.name == name && info.spec.filter == filter;
        consumers.iter().find(is_lane).map(|info| Lane { priority, info: info.clone() })
    };
    let by_priority = Priority::ALL
        .into_iter()
        .filter_map(|priority| lane(Some(priority), assets::consumer(priority), subject::task(skill, priority)));
    let by_partition = (0..partitions).filter_map(|partition| {
        lane(None, &assets::partition_consumer(partition), subject::partition(skill, partition))
    });
    Ok(by_priority.chain(by_partition).collect())
}

/// The filters of everything that a queue's stream holds: its subjects, and the partitions into which it puts keys.
pub(crate) fn stored(skill: &Skill, stream: &StreamInfo, lanes: &[Lane]) -> Vec<String> {
    let keys = subject::keyed_space(skill);
    let partitions = lanes.first().map_or(0, |lane| partitions(std::slice::from_ref(&lane.info)));
    let subjects = stream.spec.subjects.iter().filter(|subject| partitions == 0 || **subject != keys).cloned();
    subjects.chain((0..partitions).map(|number| subject::partition(skill, number))).collect()
}

/// Whether a queue has all the consumers it should have.
pub(crate) fn is_whole(lanes: &[Lane]) -> bool {
    let partitions = lanes.first().map_or(0, |lane| partitions(std::slice::from_ref(&lane.info)));
    lanes.len() == Priority::ALL.len() + usize::from(partitions)
}

/// Into how many partitions the keys of these consumers' skill fall.
fn partitions(consumers: &[ConsumerInfo]) -> u16 {
    let of = |info: &ConsumerInfo| SkillPolicy::from_metadata(&info.spec.metadata).ok()?.keyed;
    consumers.iter().find_map(of).map_or(0, |keyed| keyed.partitions)
}
