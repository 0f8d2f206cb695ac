//! The `[list-files]` section of the process configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of the skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folders below which tasks may have files listed. Default: none, so nothing is listed.
    pub roots: Vec<PathBuf>,
    /// Lets tasks have any folder listed that this process may read. For development on loopback.
    pub allow_all: bool,
    /// Size up to which a file is listed; a task may ask for less. Default: 2 MiB, all that `code-review` takes.
    pub max_file_bytes: u64,
    /// Size up to which all files of one list together are given. Default: 32 MiB.
    pub max_total_bytes: u64,
    /// Entries up to which a folder is listed at all. Default: 200,000.
    pub max_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            allow_all: false,
            max_file_bytes: 2 * 1024 * 1024,
            // A result of 64 MiB is the most that travels; as JSON, text grows.
            max_total_bytes: 32 * 1024 * 1024,
            max_entries: 200_000,
        }
    }
}
