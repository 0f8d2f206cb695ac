//! Where a run is kept: its partition, and the subjects and names that follow from it.

use nova_types::{Name, RunId, TaskId, partition_scope};
use nova_wire::subject;

/// A run and its partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) run: RunId,
    pub(crate) partition: u32,
}

impl Place {
    /// The place of a run, of `partitions`.
    pub(crate) fn new(run: RunId, partitions: u32) -> Self {
        let partition = run.partition(partitions);
        Self { run, partition }
    }

    /// Where its history stands.
    pub(crate) fn history(&self) -> String {
        subject::run(self.partition, &self.run)
    }

    /// Where its snapshot stands.
    pub(crate) fn snapshot(&self) -> String {
        subject::snapshot(self.partition, &self.run)
    }

    /// The id of one of its tasks or timers.
    pub(crate) fn task(&self, name: Name) -> TaskId {
        TaskId::new(partition_scope(self.partition), name)
    }
}
