//! What a worker tells of itself while it lives.

use nova_types::{Skill, UnixMillis, WorkerId};
use serde::{Deserialize, Serialize};

/// One skill of a worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSkill {
    /// Its name.
    pub name: Skill,
    /// Its version.
    pub version: String,
}

/// One worker, kept in `nova-workers` with a time to live.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its name.
    pub worker: WorkerId,
    /// Its process id on its host.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// What it can do.
    pub skills: Vec<WorkerSkill>,
    /// The version of its binary.
    pub version: String,
    /// How many attempts it runs at once.
    pub slots: u32,
    /// How many it runs now.
    pub running: u32,
    /// Whether it takes no more.
    #[serde(default)]
    pub draining: bool,
    /// Tells this process from another of the same name.
    #[serde(default)]
    pub nonce: String,
    /// When it started.
    pub started: UnixMillis,
    /// When it said so.
    pub seen: UnixMillis,
    /// Where its metrics and health are served, when they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// The durability profile and server it is connected to are the broker's; its labels are its own.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub labels: std::collections::BTreeMap<String, String>,
}
