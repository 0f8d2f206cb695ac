//! The `[code-review]` section of the process configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of the skill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Folder with rules of your own (`*.yml`, searched deeply). Default: none.
    pub rules_dir: Option<PathBuf>,
    /// Ids of rules that are not applied. Default: none.
    pub disable: Vec<String>,
    /// Cyclomatic complexity up to which a function is accepted. Default: 15.
    pub max_complexity: u32,
    /// Lines of code up to which a function is accepted. Default: 80.
    pub max_function_lines: u32,
    /// Size up to which a file is reviewed. Default: 2 MiB.
    pub max_file_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules_dir: None,
            disable: Vec::new(),
            max_complexity: 15,
            max_function_lines: 80,
            max_file_bytes: 2 * 1024 * 1024,
        }
    }
}
