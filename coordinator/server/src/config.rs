//! The settings of a coordinator process.

use std::path::PathBuf;
use std::time::Duration;

use nova_broker::jetstream::{Credentials, Options};
use nova_runtime::{SecretError, SecretRef};
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

/// The section `[nats]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// The servers, separated by commas. Default `nats://127.0.0.1:4222`, or `NATS_URL`.
    pub url: String,
    /// The user's name.
    pub user: String,
    /// The user's password, by reference.
    pub password: Option<SecretRef>,
    /// A token, by reference.
    pub token: Option<SecretRef>,
    /// The seed of an nkey, by reference.
    pub nkey: Option<SecretRef>,
    /// A credentials file.
    pub creds: Option<PathBuf>,
    /// Certificates to trust beside the machine's own.
    pub tls_ca: Option<PathBuf>,
    /// A certificate to be known by.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            url: std::env::var("NATS_URL").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned()),
            user: String::new(),
            password: None,
            token: None,
            nkey: None,
            creds: None,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
        }
    }
}

impl NatsConfig {
    /// The connection these settings ask for, under a name.
    ///
    /// # Errors
    /// [`SecretError`] when a referenced secret cannot be read.
    pub fn options(&self, name: &str) -> Result<Options, SecretError> {
        let read = |secret: &Option<SecretRef>| secret.as_ref().map(SecretRef::read).transpose();
        let mut options = Options::new(&*self.url, name);
        options.credentials = if let Some(path) = &self.creds {
            Credentials::File(path.clone())
        } else if let Some(seed) = read(&self.nkey)? {
            Credentials::NKey(seed)
        } else if let Some(token) = read(&self.token)? {
            Credentials::Token(token)
        } else if let Some(password) = read(&self.password)? {
            Credentials::UserPassword { user: self.user.clone(), password }
        } else {
            Credentials::None
        };
        options.tls_ca = self.tls_ca.clone();
        options.tls_client = self.tls_cert.clone().zip(self.tls_key.clone());
        Ok(options)
    }
}
