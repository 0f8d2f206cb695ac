//! Making the connection, and telling its state.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::{ConnectOptions, Event};
use tokio::sync::watch;

use super::JetStream;
use super::inboxes::Inboxes;
use super::mux::Mux;
use super::outbox::Outbox;
use crate::{BrokerError, Connection};

/// The oldest server that has all Nova needs: schedules with time zones and their fixes.
pub const OLDEST_SERVER: &str = "2.14.3";

/// How a connection proves who it is.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Not at all; `nova dev` on loopback.
    #[default]
    None,
    /// By name and password.
    UserPassword {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// By a token.
    Token(String),
    /// By the seed of an nkey.
    NKey(String),
    /// By a credentials file's path (JWT and seed).
    File(PathBuf),
}

/// Hears what the server complains of.
pub type OnComplaint = Arc<dyn Fn(&str) + Send + Sync>;

/// What a connection needs.
#[derive(Clone)]
pub struct Options {
    /// The servers, separated by commas. Default `nats://127.0.0.1:4222`.
    pub url: String,
    /// Names the connection in the server's lists and its inbox `_INBOX_<name>`.
    pub name: String,
    /// Who it is.
    pub credentials: Credentials,
    /// A file of certificates to trust beside the machine's own.
    pub tls_ca: Option<PathBuf>,
    /// A certificate and its key, to be known by.
    pub tls_client: Option<(PathBuf, PathBuf)>,
    /// How long the first connection may take. Default 5 s.
    pub connect_timeout: Duration,
    /// Whether an unreachable server is tried again for ever at the start, too.
    pub keep_trying: bool,
    /// Is told what the server complains of, such as a publish that is not permitted.
    pub on_complaint: Option<OnComplaint>,
}

impl Options {
    /// A connection without credentials, called `name`.
    #[must_use]
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            credentials: Credentials::None,
            tls_ca: None,
            tls_client: None,
            connect_timeout: Duration::from_secs(5),
            keep_trying: false,
            on_complaint: None,
        }
    }
}

/// Connects, checks the server's version and opens the reply inbox.
///
/// # Errors
/// [`BrokerError::Connect`] when no server can be reached or it refuses the credentials, [`BrokerError::OldServer`].
pub async fn connect(options: Options) -> Result<JetStream, BrokerError> {
    let shown = without_credentials(&options.url);
    let refused =
        |source: Box<dyn std::error::Error + Send + Sync>| BrokerError::Connect { url: shown.clone(), source };
    let (state, connection) = watch::channel(Connection { epoch: 0, is_up: false });
    let state = Arc::new(state);
    let mut nats = base_options(&options, Arc::clone(&state)).await.map_err(|e| refused(e.into()))?;
    if options.keep_trying {
        nats = nats.retry_on_initial_connect();
    }
    let urls: Vec<&str> = options.url.split(',').map(str::trim).collect();
    let client = nats.connect(urls).await.map_err(|e| refused(Box::new(e)))?;
    if options.keep_trying {
        let mut up = connection.clone();
        up.wait_for(|c| c.is_up).await.map_err(|e| refused(Box::new(e)))?;
    } else {
        // The event that says so may come a moment later than the connection itself.
        state.send_if_modified(|c| {
            let is_first = c.epoch == 0;
            if is_first {
                *c = Connection { epoch: 1, is_up: true };
            }
            is_first
        });
    }
    let info = client.server_info();
    if !is_new_enough(&info.version, OLDEST_SERVER) {
        return Err(BrokerError::OldServer { url: shown, found: info.version, needed: OLDEST_SERVER });
    }
    // Two processes of one name, or one that restarted, must not hear each other's answers.
    let prefix = format!("_INBOX_{}.{:08x}", options.name, fastrand::u32(..));
    let inboxes = Inboxes::new(format!("{prefix}p"));
    let mux = Mux::start(&client, connection.clone(), format!("{prefix}r")).await.map_err(|e| refused(Box::new(e)))?;
    let outbox = Arc::new(Outbox::start(client.clone(), connection.clone(), Arc::clone(&mux)));
    Ok(JetStream { client, mux, outbox, inboxes, connection, url: shown.into() })
}

async fn base_options(options: &Options, state: Arc<watch::Sender<Connection>>) -> std::io::Result<ConnectOptions> {
    let on_complaint = options.on_complaint.clone();
    let epochs = AtomicU64::new(0);
    let mut nats = ConnectOptions::new()
        .name(&options.name)
        .custom_inbox_prefix(format!("_INBOX_{}", options.name))
        .connection_timeout(options.connect_timeout)
        .request_timeout(Some(super::ANSWER))
        // The server's own default notices a half-open connection after four minutes.
        .ping_interval(Duration::from_secs(10))
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| reconnect_delay(attempts, fastrand::f64()))
        // A burst of deliveries of the largest pull fits many times over.
        .subscription_capacity(65_536)
        .event_callback(move |event| {
            let epoch = match event {
                Event::Connected => epochs.fetch_add(1, Ordering::Relaxed) + 1,
                _ => epochs.load(Ordering::Relaxed),
            };
            on_event(&event, epoch, &state, on_complaint.as_deref());
            std::future::ready(())
        });
    nats = match &options.credentials {
        Credentials::None => nats,
        Credentials::UserPassword { user, password } => nats.user_and_password(user.clone(), password.clone()),
        Credentials::Token(token) => nats.token(token.clone()),
        Credentials::NKey(seed) => nats.nkey(seed.clone()),
        Credentials::File(path) => nats.credentials_file(path).await?,
    };
    if let Some(ca) = &options.tls_ca {
        nats = nats.add_root_certificates(ca.clone());
    }
    if let Some((certificate, key)) = &options.tls_client {
        nats = nats.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(nats)
}

fn on_event(
    event: &Event,
    epoch: u64,
    state: &watch::Sender<Connection>,
    on_complaint: Option<&(dyn Fn(&str) + Send + Sync)>,
) {
    match event {
        Event::Connected => {
            tracing::info!(epoch, "connected to the broker");
            state.send_replace(Connection { epoch, is_up: true });
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!(epoch, "lost the connection to the broker");
            state.send_modify(|c| c.is_up = false);
        }
        Event::ServerError(error) => {
            let complaint = error.to_string();
            tracing::warn!(complaint, "the broker complains");
            if let Some(tell) = on_complaint {
                tell(&complaint);
            }
        }
        other => tracing::debug!(event = %other, "connection event"),
    }
}

/// The pause before reconnect attempt `attempts`: at once first, then up to 2 s, spread so that a fleet does not stampede.
fn reconnect_delay(attempts: usize, random: f64) -> Duration {
    let whole = match attempts {
        0 | 1 => Duration::from_millis(50),
        n => Duration::from_millis(100).saturating_mul(1 << n.min(5)).min(Duration::from_secs(2)),
    };
    whole / 2 + (whole / 2).mul_f64(random)
}

pub(super) fn is_new_enough(version: &str, oldest: &str) -> bool {
    let parts = |text: &str| -> Vec<u64> {
        // A pre-release such as 2.15.0-RC.1 counts as its release.
        text.split(['.', '-']).take(3).map(|part| part.parse().unwrap_or(0)).collect()
    };
    parts(version) >= parts(oldest)
}

/// The address without what stands before an `@`.
fn without_credentials(url: &str) -> String {
    url.split(',')
        .map(|one| match (one.split_once("://"), one.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            (None, Some((_, host))) => host.to_owned(),
            _ => one.to_owned(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_told_from_new_ones() {
        for (version, verdict) in [
            ("2.14.3", true),
            ("2.15.1", true),
            ("3.0.0", true),
            ("2.14.2", false),
            ("2.9.25", false),
            ("", false),
            ("2.15.0-RC.1", true),
        ] {
            assert_eq!(is_new_enough(version, OLDEST_SERVER), verdict, "{version}");
        }
    }

    #[test]
    fn credentials_never_show_in_an_address() {
        assert_eq!(without_credentials("nats://u:p@h:1,tls://t@i"), "nats://h:1,tls://i");
        assert_eq!(without_credentials("nats://h:1"), "nats://h:1");
    }

    #[test]
    fn reconnects_come_quickly_and_never_stampede() {
        assert!(reconnect_delay(1, 1.0) <= Duration::from_millis(50));
        assert!(reconnect_delay(100, 1.0) <= Duration::from_secs(2));
        assert!(reconnect_delay(100, 0.0) >= Duration::from_secs(1));
    }
}
