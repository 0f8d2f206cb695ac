//! The settings of a worker process.

use std::path::PathBuf;

use nova_broker::jetstream::{Credentials, Options};
use nova_runtime::{SecretError, SecretRef};
use serde::{Deserialize, Serialize};

/// The section `[worker]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// The worker's name; host and skill with a random tail when empty.
    pub id: String,
    /// How many attempts run at once. Default 16.
    pub slots: usize,
    /// How long an attempt that must stop may take for it, in seconds. Default 5.
    pub cancel_grace_secs: u64,
    /// How long outcomes are kept on this broker, in seconds. Default one day, as provision sets it.
    pub outcomes_kept_secs: u64,
    /// Labels shown in presence, as `key=value`.
    pub labels: Vec<String>,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self { id: String::new(), slots: 16, cancel_grace_secs: 5, outcomes_kept_secs: 24 * 3600, labels: Vec::new() }
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
