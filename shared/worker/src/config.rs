//! The settings of a worker process.

use serde::{Deserialize, Serialize};

/// The section `[worker]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The worker's name; host and skill with a random tail when empty.
    pub id: String,
    /// How many attempts run at once. Default 16.
    pub slots: usize,
    /// How many threads run skills, apart from the one that keeps the connection and the leases. Default 2, or 1 on one core.
    pub threads: usize,
    /// How long an attempt that must stop may take for it, in seconds. Default 5.
    pub cancel_grace_secs: u64,
    /// How long outcomes are kept on this broker, in seconds. Default one day, as provision sets it.
    pub outcomes_kept_secs: u64,
    /// Labels shown in presence, as `key=value`.
    pub labels: Vec<String>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            id: String::new(),
            slots: 16,
            threads: cores.min(2),
            cancel_grace_secs: 5,
            outcomes_kept_secs: 24 * 3600,
            labels: Vec::new(),
        }
    }
}
