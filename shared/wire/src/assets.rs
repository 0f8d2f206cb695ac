//! The names of the broker's assets; only `nova provision` creates them.

use nova_types::{Priority, Skill};

/// Terminal records.
pub const OUTCOMES: &str = "NOVA_OUTCOMES";
/// Failed attempts, claims and checkpoints.
pub const ATTEMPTS: &str = "NOVA_ATTEMPTS";
/// Delayed and recurring tasks, and what is due.
pub const SCHEDULES: &str = "NOVA_SCHEDULES";
/// Accepted cancels.
pub const CONTROL: &str = "NOVA_CONTROL";
/// Dead letters.
pub const DEAD: &str = "NOVA_DEAD";
/// Workflow runs.
pub const RUNS: &str = "NOVA_RUNS";
/// Lifecycle facts.
pub const EVENTS: &str = "NOVA_EVENTS";
/// The key-value bucket of worker presence.
pub const WORKERS_BUCKET: &str = "nova-workers";
/// The key-value bucket of fleet-wide state, such as the sweeper's leadership.
pub const CONFIG_BUCKET: &str = "nova-config";
/// The key-value bucket of idempotency keys and unique tasks.
pub const KEYS_BUCKET: &str = "nova-keys";
/// The object store of large payloads.
pub const BLOBS_BUCKET: &str = "nova-blobs";
/// The key-value bucket of workflow definitions and of the room for their runs.
pub const WORKFLOWS_BUCKET: &str = "nova-workflows";
/// The note on the stream of runs that says how many partitions they have; fixed when it is made.
pub const PARTITIONS_NOTE: &str = "nova-partitions";
/// The coordinators' shared consumer of orders to runs.
pub const ORDER_CONSUMER: &str = "coordinator-orders";

/// The coordinators' shared consumer of what became of one partition's run tasks.
#[must_use]
pub fn run_consumer(partition: u32) -> String {
    format!("run-{partition}")
}

/// The coordinators' shared consumer of due tasks.
pub const DUE_CONSUMER: &str = "coordinator-due";
/// The coordinators' shared consumer of cancels.
pub const CANCEL_CONSUMER: &str = "coordinator-cancel";

/// The prefix of task streams, one per skill.
pub const TASKS_PREFIX: &str = "NOVA_TASKS_";

/// The stream that holds a skill's queue.
#[must_use]
pub fn tasks_stream(skill: &Skill) -> String {
    format!("{TASKS_PREFIX}{skill}")
}

/// The skill whose queue a stream holds.
#[must_use]
pub fn skill_of_stream(stream: &str) -> Option<Skill> {
    Skill::new(stream.strip_prefix(TASKS_PREFIX)?).ok()
}

/// The durable consumer of one priority; the same name in every task stream.
#[must_use]
pub const fn consumer(priority: Priority) -> &'static str {
    priority.as_str()
}

/// The durable consumer of one partition of a keyed skill; the same name in every such task stream.
#[must_use]
pub fn partition_consumer(partition: u16) -> String {
    format!("k{partition}")
}

/// The key of [`CONFIG_BUCKET`] that holds what a skill's rate has left.
#[must_use]
pub fn rate_key(skill: &Skill) -> String {
    format!("rate.{skill}")
}

/// The stream behind a key-value bucket.
#[must_use]
pub fn bucket_stream(bucket: &str) -> String {
    format!("KV_{bucket}")
}

/// The stream behind an object store.
#[must_use]
pub fn object_stream(bucket: &str) -> String {
    format!("OBJ_{bucket}")
}
