//! Describes a nats-server before it starts and writes its configuration file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::{NatsServer, config, find_nats_server};

/// When the server syncs a write to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// The server's default: synced every two minutes, so a killed process loses nothing but a power cut does.
    #[default]
    Fast,
    /// `sync_interval: always`: synced before each receipt.
    Durable,
}

/// Describes a server before it starts; made by [`NatsServer::builder`].
#[derive(Debug, Clone, Default)]
pub struct Builder {
    store: Option<PathBuf>,
    profile: Profile,
    config: String,
    config_file: Option<PathBuf>,
    users: Vec<User>,
    env: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct User {
    name: String,
    password: String,
    permissions: String,
}

impl Builder {
    /// Keeps the store in `dir`, which is not removed afterwards; default is a temporary directory that is.
    #[must_use]
    pub fn store(mut self, dir: impl Into<PathBuf>) -> Self {
        self.store = Some(dir.into());
        self
    }

    /// Chooses when writes are synced; default [`Profile::Fast`].
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds configuration text in nats-server's own format; a `jetstream` block in it replaces the profile's.
    #[must_use]
    pub fn config(mut self, text: impl AsRef<str>) -> Self {
        self.config.push_str(text.as_ref());
        self.config.push('\n');
        self
    }

    /// Takes a configuration file; its own `jetstream` block holds, its port and store directory do not.
    #[must_use]
    pub fn config_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_file = Some(path.into());
        self
    }

    /// Adds a user; `permissions` is the inside of nats-server's `permissions { }` block, empty for everything.
    #[must_use]
    pub fn user(
        mut self,
        name: impl Into<String>,
        password: impl Into<String>,
        permissions: impl Into<String>,
    ) -> Self {
        self.users.push(User { name: name.into(), password: password.into(), permissions: permissions.into() });
        self
    }

    /// Adds users that may do everything, as `(name, password)` pairs.
    #[must_use]
    pub fn users<'a>(self, users: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        users.into_iter().fold(self, |all, (name, password)| all.user(name, password, ""))
    }

    /// Sets an environment variable of the server, over restarts too: a password its configuration names, a folder of time
    /// zones (`ZONEINFO`).
    #[must_use]
    pub fn env(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Starts the server and waits until it greets.
    ///
    /// # Panics
    /// When it cannot be started; the message says why and shows the server's log.
    #[track_caller]
    pub fn start(self) -> NatsServer {
        match self.try_start() {
            Ok(server) => server,
            Err(e) => panic!("{e:#}"),
        }
    }

    /// Starts the server and waits until it greets, or says why it did not.
    ///
    /// # Errors
    /// No nats-server found (the message names `make setup`), a refused configuration or store, a start that hangs.
    pub fn try_start(self) -> anyhow::Result<NatsServer> {
        let program = find_nats_server()?;
        let home = TempDir::with_prefix("nova-nats-").context("could not create a temporary directory")?;
        let store = self.store.clone().unwrap_or_else(|| home.path().join("store"));
        let config = home.path().join("test.conf");
        let (text, config_names_store) = self.render(&store)?;
        std::fs::write(&config, text).context("could not write the server's configuration")?;
        let env = self.env;
        let mut server = NatsServer { program, home, store, config_names_store, env, port: 0, running: None };
        server.launch()?;
        Ok(server)
    }

    /// The configuration file, and whether it names the store itself.
    pub(super) fn render(&self, store: &Path) -> anyhow::Result<(String, bool)> {
        let mut own = self.config.clone();
        if let Some(path) = &self.config_file {
            let path = path.canonicalize().with_context(|| format!("no configuration file at {}", path.display()))?;
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("could not read the configuration file {}", path.display()))?;
            own = config::rebase_includes(&text, path.parent().unwrap_or(Path::new("/"))) + "\n" + &own;
        }
        // The server refuses a store directory given twice, even when one of them is a flag.
        let (own, names_store) = config::replace_store(&own, store);
        let mut text = String::new();
        if !own.contains("jetstream") {
            // Fixed limits: the defaults are shares of the machine and would differ from one to the next.
            text.push_str("jetstream { max_mem: 256MB, max_file: 16GB");
            if self.profile == Profile::Durable {
                text.push_str(", sync_interval: always");
            }
            text.push_str(" }\n");
        }
        if !self.users.is_empty() {
            text.push_str("authorization { users = [\n");
            for User { name, password, permissions } in &self.users {
                write!(text, "  {{ user: {}, password: {}", quoted(name)?, quoted(password)?)?;
                if !permissions.is_empty() {
                    write!(text, ", permissions: {{ {permissions} }}")?;
                }
                text.push_str(" }\n");
            }
            text.push_str("] }\n");
        }
        Ok((text + &own, names_store))
    }
}

fn quoted(word: &str) -> anyhow::Result<String> {
    ensure!(!word.contains(['"', '\\', '\n']), "user names and passwords of tests hold no quotes: {word:?}");
    Ok(format!("\"{word}\""))
}
