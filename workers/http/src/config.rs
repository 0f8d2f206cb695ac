//! The `[http]` section of the process configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a deployment allows its `http` workers; every key has a safe default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Whether loopback, private and shared addresses may be called; default no. Link-local ones, and with them the
    /// metadata services of clouds, stay closed either way.
    pub allow_private: bool,
    /// Networks that may be called whatever kind they are, as `10.1.0.0/16` or a single address; default none.
    pub allow_networks: Vec<String>,
    /// Hosts that may be called, as `example.com` or `*.example.com`; default empty, which is all.
    pub allow_hosts: Vec<String>,
    /// Hosts that may not be called, even when allowed above; default none.
    pub deny_hosts: Vec<String>,
    /// Whether a redirect may lead from https to http; default no.
    pub allow_downgrade: bool,
    /// Largest response body, which a task may only lower; default 1 MiB.
    pub max_response_bytes: u64,
    /// Time for a whole call with its redirects when the task names none; default 30,000 ms.
    pub timeout_ms: u64,
    /// Time to connect to one address, TLS included; default 10,000 ms.
    pub connect_timeout_ms: u64,
    /// Longest wait a server may ask for by `Retry-After`; default 3,600 s.
    pub max_retry_after_secs: u64,
    /// More trusted certificate authorities, as a PEM file; default none beyond the machine's own.
    pub ca_file: Option<PathBuf>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            allow_private: false,
            allow_networks: Vec::new(),
            allow_hosts: Vec::new(),
            deny_hosts: Vec::new(),
            allow_downgrade: false,
            max_response_bytes: 1024 * 1024,
            timeout_ms: 30_000,
            connect_timeout_ms: 10_000,
            max_retry_after_secs: 3_600,
            ca_file: None,
        }
    }
}

impl HttpConfig {
    /// Time to connect to one address.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Longest wait a server may ask for.
    pub fn max_retry_after(&self) -> Duration {
        Duration::from_secs(self.max_retry_after_secs)
    }
}
