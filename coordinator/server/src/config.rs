//! The settings of a coordinator process.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The section `[coordinator]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// The coordinator's name; `coordinator-` with a random tail when empty.
    pub id: String,
    /// How many calls may wait for their outcome at once. Default 10,000: each costs about 1 KiB; beyond it callers are
    /// told 429.
    pub calls_waiting: usize,
    /// How long a call waits unless it says otherwise, in seconds. Default 30.
    pub call_timeout_secs: u64,
    /// How long a worker gets to record a cancel itself, in milliseconds. Default 1,000.
    pub cancel_grace_ms: u64,
    /// How often queues are swept, in seconds. Default 3.
    pub sweep_secs: u64,
    /// How often history is trimmed, in seconds. Default 2.
    pub trim_secs: u64,
    /// How long finished tasks stay in their queue's history at most, in seconds. Default a week.
    pub history_secs: u64,
    /// How long a workflow run is kept once it has ended, in seconds. Default 30 days.
    pub runs_secs: u64,
    /// How many runs are held in memory at once. Default 10,000: beyond it what arrives for others waits.
    pub runs_live: usize,
    /// How often queues are measured, in seconds. Default 5.
    pub watch_secs: u64,
    /// How often a canary task goes through the `echo` skill, in seconds; never when absent, which is the default.
    pub canary_secs: Option<u64>,
    /// How long leadership outlives a leader that died, in seconds. Default 10.
    pub leader_secs: u64,
}

impl Default for CoordinatorConfig {
    fn default() -> Self {
        Self {
            id: String::new(),
            calls_waiting: 10_000,
            call_timeout_secs: 30,
            cancel_grace_ms: 1000,
            sweep_secs: 3,
            trim_secs: 2,
            history_secs: 7 * 24 * 3600,
            runs_secs: 30 * 24 * 3600,
            runs_live: 10_000,
            watch_secs: 5,
            canary_secs: None,
            leader_secs: 10,
        }
    }
}

impl CoordinatorConfig {
    /// A period of the configuration; none is shorter than a second, or a zero would spin.
    pub(crate) fn period(secs: u64) -> Duration {
        Duration::from_secs(secs.max(1))
    }
}
