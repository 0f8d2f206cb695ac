//! The section `[nats]`, and the connection every process makes of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::jetstream::{self, Credentials, JetStream, Options};
use nova_broker::{Broker as _, BrokerError, Connection};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::health::State;
use crate::metrics::Metric;
use crate::process::Started;
use crate::secret::{SecretError, SecretRef};

/// The first pause before a broker that is not up is tried again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

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

/// A process that has no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A secret that the section `[nats]` refers to cannot be read.
    #[error("could not read the credentials of section `nats`")]
    Secret(#[from] SecretError),
    /// The broker cannot be used, and trying again would not help.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl ConnectError {
    /// Whether trying again may help: what may is tried again already.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

impl NatsConfig {
    /// The connection these settings ask for, under a name.
    fn options(&self, name: &str) -> Result<Options, SecretError> {
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

impl Started {
    /// Connects under a name, for as long as it takes: a process may be up before its broker is. `None` when it was told
    /// to stop first. The connection's state shows in health and metrics from now on.
    ///
    /// # Errors
    /// [`ConnectError`] when trying again would not help: an unreadable secret, a server that is too old.
    pub async fn connect(&self, nats: &NatsConfig, name: &str) -> Result<Option<Arc<JetStream>>, ConnectError> {
        let mut options = nats.options(name)?;
        let metrics = self.metrics.clone();
        options.on_complaint = Some(Arc::new(move |complaint: &str| {
            if complaint.to_ascii_lowercase().contains("permissions violation") {
                metrics.inc(Metric::PermissionViolations, &[]);
            }
        }));
        let stop = self.shutdown.token();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = tokio::select! {
                connected = jetstream::connect(options.clone()) => match connected {
                    Ok(broker) => {
                        tokio::spawn(show(broker.connection(), self.clone()));
                        return Ok(Some(Arc::new(broker)));
                    }
                    Err(error) if !error.is_transient() => return Err(error.into()),
                    Err(error) => error,
                },
                () = stop.cancelled() => return Ok(None),
            };
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "cannot reach the broker yet");
            self.health.set("broker", State::Down(error.to_string()));
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = stop.cancelled() => return Ok(None),
            }
        }
    }
}

/// Shows the connection's state in health and metrics, until the connection is dropped.
async fn show(mut connection: watch::Receiver<Connection>, started: Started) {
    let mut epoch = connection.borrow().epoch;
    loop {
        let now = *connection.borrow_and_update();
        let state = if now.is_up { State::Up } else { State::Down("the connection is lost".to_owned()) };
        started.health.set("broker", state);
        if now.epoch > epoch {
            started.metrics.add(Metric::Reconnects, &[], now.epoch - epoch);
            epoch = now.epoch;
        }
        if connection.changed().await.is_err() {
            return;
        }
    }
}
