//! The nats CLI's contexts, read and never written.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exit::Exit;
use crate::failure::Failure;

/// One context, as far as it concerns us.
#[derive(Debug, Clone, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct NatsContext {
    /// The servers.
    pub(crate) url: String,
    /// The user's name.
    pub(crate) user: String,
    /// Its password.
    pub(crate) password: String,
    /// A token.
    pub(crate) token: String,
    /// The path of a credentials file.
    pub(crate) creds: String,
    /// The path of a file with an nkey's seed.
    pub(crate) nkey: String,
    /// The path of a client certificate.
    pub(crate) cert: String,
    /// The path of its key.
    pub(crate) key: String,
    /// The path of certificates to trust.
    pub(crate) ca: String,
    /// What the user's inboxes begin with.
    pub(crate) inbox_prefix: String,
    pub(super) nsc: String,
    pub(super) user_jwt: String,
    pub(super) user_seed: String,
    pub(super) socks_proxy: String,
    pub(super) jetstream_domain: String,
    pub(super) jetstream_api_prefix: String,
    pub(super) tls_first: bool,
}

impl NatsContext {
    /// What the context asks for that we cannot do: going on without it would reach another place, or nothing.
    fn unsupported(&self) -> Option<&'static str> {
        let asked = [
            ("nsc", !self.nsc.is_empty()),
            ("user_jwt", !self.user_jwt.is_empty() || !self.user_seed.is_empty()),
            ("socks_proxy", !self.socks_proxy.is_empty()),
            ("jetstream_domain", !self.jetstream_domain.is_empty()),
            ("jetstream_api_prefix", !self.jetstream_api_prefix.is_empty()),
            ("tls_first", self.tls_first),
        ];
        asked.into_iter().find(|(_, is_asked)| *is_asked).map(|(name, _)| name)
    }
}

/// The folder of the nats CLI's configuration.
fn folder(env: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let config = env("XDG_CONFIG_HOME").map(PathBuf::from);
    let config = config.or_else(|| Some(Path::new(&env("HOME")?).join(".config")))?;
    Some(config.join("nats"))
}

/// The name of the context that `nats context select` chose.
pub(crate) fn selected(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let text = std::fs::read_to_string(folder(env)?.join("context.txt")).ok()?;
    let name = text.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Reads a context by name, or by the path of its file.
///
/// # Errors
/// A failure that names the file: missing, malformed, or asking for what is not supported.
pub(crate) fn read(name: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<NatsContext, Failure> {
    let by_name = folder(env).map(|folder| folder.join("context").join(format!("{name}.json")));
    let path = if name.contains('/') { Some(PathBuf::from(name)) } else { by_name };
    let Some(path) = path else {
        return Err(Failure::usage(format!(
            "context `{name}` cannot be looked up: neither HOME nor XDG_CONFIG_HOME is set"
        )));
    };
    let text = std::fs::read_to_string(&path).map_err(|source| {
        let is_missing = source.kind() == std::io::ErrorKind::NotFound;
        let failure = Failure::io(format!("read the nats context `{name}` from {}", path.display()), source);
        if is_missing {
            Failure { exit: Exit::NOT_FOUND, code: "no_context".into(), ..failure }
                .help("what there is: nats context ls")
        } else {
            failure
        }
    })?;
    let context: NatsContext = serde_json::from_str(&text).map_err(|source| {
        let error = anyhow::Error::new(source).context(format!("{} is no context of the nats CLI", path.display()));
        Failure::because(Exit::USAGE, "bad_context", error)
    })?;
    match context.unsupported() {
        None => Ok(context),
        Some(what) => {
            let message = format!("context `{name}` sets `{what}`, which nova does not support");
            Err(Failure::new(Exit::USAGE, "bad_context", message)
                .help("use a context with url and user/password, token, creds or nkey"))
        }
    }
}

/// A path as the nats CLI reads it: `~` is the home folder.
pub(crate) fn expand(path: &str, env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    match (path.strip_prefix("~/"), env("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(path),
    }
}
