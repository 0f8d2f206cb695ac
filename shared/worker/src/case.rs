//! One delivered task with all that was found out about it: what `attempt` prepares and `end` concludes.

use nova_broker::Delivery;
use nova_types::{Policy, UnixMillis};
use nova_wire::Task;

use crate::horizon::Place;
use crate::retry::Attempts;

/// A task that may start.
pub(crate) struct Case {
    pub(crate) delivery: Box<Delivery>,
    pub(crate) task: Task,
    pub(crate) policy: Policy,
    pub(crate) attempts: Attempts,
    pub(crate) attempt: u32,
    pub(crate) nonce: String,
    pub(crate) started: Option<UnixMillis>,
}

impl Case {
    pub(crate) fn place(&self) -> Place {
        Place { lane: self.task.priority, sequence: self.delivery.sequence }
    }
}
