//! The `[shell]` section of the configuration: which commands may run, where, with what environment and limits.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::Patience;
use crate::limits::{Limits, LimitsError, LimitsSpec};

/// How limits on the process tree are enforced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// By cgroup where this process may make one, limit by limit, else by sampling.
    #[default]
    Auto,
    /// By cgroup; the worker does not start without.
    Cgroup,
    /// By sampling only.
    Sampling,
}

/// The skill's configuration as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Commands that may run: exact names, looked up in `path`, or absolute paths. None by default.
    pub allowed: Vec<String>,
    /// Lets any command run in any folder. For development on loopback.
    pub allow_all: bool,
    /// Where names are looked up, and the child's `PATH`.
    pub path: String,
    /// Folders a task may choose its working directory in; the first is used when it chooses none.
    pub cwd_roots: Vec<PathBuf>,
    /// Variables of the worker's environment a child gets besides `HOME`, `LANG` and `TMPDIR`.
    pub pass_env: Vec<String>,
    /// What a task gets when it asks for nothing.
    pub limits: LimitsSpec,
    /// The most a task can ask for; `limits` by default.
    pub max_limits: LimitsSpec,
    /// How limits are enforced.
    pub enforcement: Enforcement,
    /// A cgroup v2 folder delegated to this worker.
    pub cgroup_parent: Option<PathBuf>,
    /// Seconds between SIGTERM and SIGKILL when an attempt is cancelled.
    pub grace_secs: f64,
    /// Milliseconds a command's children may keep its output open after it ended.
    pub drain_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        let patience = Patience::default();
        Self {
            allowed: Vec::new(),
            allow_all: false,
            path: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            cwd_roots: Vec::new(),
            pass_env: Vec::new(),
            limits: LimitsSpec::default(),
            max_limits: LimitsSpec::default(),
            enforcement: Enforcement::Auto,
            cgroup_parent: None,
            grace_secs: patience.grace.as_secs_f64(),
            drain_ms: patience.drain.as_millis() as u64,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A limit out of range.
    #[error("bad limits in the configuration")]
    Limits(#[from] LimitsError),
    /// The default is above the maximum.
    #[error("a default limit is above the maximum: defaults {limits:?}, maximum {maximum:?}")]
    AboveMaximum {
        /// The defaults.
        limits: Limits,
        /// The maximum.
        maximum: Limits,
    },
    /// A variable that may hold the worker's own secrets.
    #[error("`{name}` cannot be passed on: NATS_* and NOVA_* may hold the worker's own secrets")]
    SecretEnv {
        /// The variable.
        name: String,
    },
    /// An allowed command with a relative path.
    #[error("allowed command `{command}` is neither a plain name nor an absolute path")]
    RelativeCommand {
        /// The entry.
        command: String,
    },
    /// A root that is not a folder.
    #[error("cwd root {root:?} cannot be used")]
    Root {
        /// The folder.
        root: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A time out of range.
    #[error("`{key}` must be between 0 and one hour")]
    Time {
        /// The key.
        key: &'static str,
    },
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As written, with `cwd_roots` made canonical.
    pub config: Config,
    /// What a task gets when it asks for nothing.
    pub limits: Limits,
    /// The most a task can get.
    pub maximum: Limits,
    /// Grace and drain.
    pub patience: Patience,
}

impl Config {
    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the first thing that cannot be meant.
    pub fn check(mut self) -> Result<Settings, ConfigError> {
        let limits = self.limits.over(&Limits::default())?;
        let maximum = self.max_limits.over(&limits)?;
        if limits.at_most(&maximum) != limits {
            return Err(ConfigError::AboveMaximum { limits, maximum });
        }
        if let Some(name) = self.pass_env.iter().find(|name| holds_secrets(name)) {
            return Err(ConfigError::SecretEnv { name: name.clone() });
        }
        if let Some(command) = self.allowed.iter().find(|c| c.is_empty() || (c.contains('/') && !c.starts_with('/'))) {
            return Err(ConfigError::RelativeCommand { command: command.clone() });
        }
        for root in &mut self.cwd_roots {
            let real = std::fs::canonicalize(&*root);
            *root = real.map_err(|source| ConfigError::Root { root: root.clone(), source })?;
        }
        if !(0.0..=3600.0).contains(&self.grace_secs) {
            return Err(ConfigError::Time { key: "grace_secs" });
        }
        if self.drain_ms > 3_600_000 {
            return Err(ConfigError::Time { key: "drain_ms" });
        }
        let patience =
            Patience { grace: Duration::from_secs_f64(self.grace_secs), drain: Duration::from_millis(self.drain_ms) };
        Ok(Settings { config: self, limits, maximum, patience })
    }
}

/// Whether a variable is one of those the worker itself is configured by.
fn holds_secrets(name: &str) -> bool {
    name.starts_with("NATS_") || name.starts_with("NOVA_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_allowed_by_default() {
        let settings = Config::default().check().expect("defaults are good");
        assert!(settings.config.allowed.is_empty() && !settings.config.allow_all);
        assert_eq!((settings.limits, settings.maximum), (Limits::default(), Limits::default()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.check().expect_err("it must be refused").to_string()
        };
        assert!(refused(|c| c.pass_env = vec!["NATS_TOKEN".into()]).contains("NATS_TOKEN"));
        assert!(refused(|c| c.allowed = vec!["./x".into()]).contains("./x"));
        assert!(refused(|c| c.cwd_roots = vec!["/no/such/folder".into()]).contains("/no/such"));
        assert!(refused(|c| c.grace_secs = -1.0).contains("grace_secs"));
        assert!(refused(|c| c.max_limits.processes = Some(3)).contains("maximum"));
        assert!(refused(|c| c.limits.wall_secs = Some(0.0)).contains("limits"));
    }

    #[test]
    fn raised_defaults_raise_the_maximum_with_them() {
        let config = Config {
            limits: LimitsSpec { wall_secs: Some(120.0), ..LimitsSpec::default() },
            max_limits: LimitsSpec { processes: Some(500), ..LimitsSpec::default() },
            ..Config::default()
        };
        let settings = config.check().expect("a good configuration");
        assert_eq!(settings.maximum.wall, Duration::from_secs(120));
        assert_eq!((settings.limits.processes, settings.maximum.processes), (64, 500));
    }
}
