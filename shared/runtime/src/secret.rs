//! Secrets by reference: configuration names where a secret is, never the secret itself.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest secret read, in bytes: a key or a credentials file is far below it, a device or a log is not.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// Names where a secret is kept: `file:/path` or `env:NAME`.
///
/// Printing one shows the reference only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretRef(Place);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Place {
    File(PathBuf),
    Env(String),
}

/// Why a secret could not be named or read; never contains the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is no reference, which may mean that it is the secret itself, so it is not shown.
    #[error("a secret is given by reference, `file:/path` or `env:NAME`, never by its value")]
    NotAReference,
    /// The file could not be read.
    #[error("could not read secret `{reference}`")]
    Read {
        /// Where the secret should have been.
        reference: SecretRef,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The variable is not set, or not UTF-8.
    #[error("secret `{reference}` names a variable that is not set")]
    Unset {
        /// Where the secret should have been.
        reference: SecretRef,
    },
    /// There is something, but it cannot be a secret.
    #[error("secret `{reference}` is {what}")]
    Unusable {
        /// Where the secret was looked for.
        reference: SecretRef,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl SecretError {
    /// Whether trying again may help: only a file that could not be read may appear later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Read { .. })
    }
}

impl SecretRef {
    /// Reads the secret, without white space at its ends.
    ///
    /// # Errors
    /// When it is missing, empty, not UTF-8 or over 64 KiB; safe to call again.
    pub fn read(&self) -> Result<String, SecretError> {
        let text = match &self.0 {
            Place::File(path) => self.read_file(path)?,
            Place::Env(name) => std::env::var(name).map_err(|_| SecretError::Unset { reference: self.clone() })?,
        };
        match text.trim() {
            "" => Err(self.unusable("empty")),
            secret => Ok(secret.to_owned()),
        }
    }

    /// The file the secret is in, for a caller that must hand a path on.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(path) => Some(path),
            Place::Env(_) => None,
        }
    }

    fn read_file(&self, path: &Path) -> Result<String, SecretError> {
        let failed = |source| SecretError::Read { reference: self.clone(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_SECRET_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_SECRET_BYTES {
            return Err(self.unusable("over 64 KiB"));
        }
        String::from_utf8(bytes).map_err(|_| self.unusable("not UTF-8"))
    }

    fn unusable(&self, what: &'static str) -> SecretError {
        SecretError::Unusable { reference: self.clone(), what }
    }
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self(Place::File(path.into()))),
            Some(("env", name)) if is_variable_name(name) => Ok(Self(Place::Env(name.to_owned()))),
            _ => Err(SecretError::NotAReference),
        }
    }
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => write!(f, "file:{}", path.display()),
            Place::Env(name) => write!(f, "env:{name}"),
        }
    }
}

impl fmt::Debug for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretRef({self})")
    }
}

impl<'de> Deserialize<'de> for SecretRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(ReferenceVisitor)
    }
}

/// Takes text only, and refuses all else in its own words: serde's would quote the value, which may be the secret.
struct ReferenceVisitor;

impl Visitor<'_> for ReferenceVisitor {
    type Value = SecretRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reference to a secret")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretRef, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretRef, E> {
        Err(E::custom(SecretError::NotAReference))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretRef, E> {
        Err(E::custom(SecretError::NotAReference))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretRef, E> {
        Err(E::custom(SecretError::NotAReference))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretRef, E> {
        Err(E::custom(SecretError::NotAReference))
    }
}

impl Serialize for SecretRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_prints_as_it_was_written() {
        for text in ["file:/run/secrets/nats", "env:NATS_PASSWORD"] {
            let secret: SecretRef = text.parse().unwrap();
            assert_eq!(secret.to_string(), text);
            assert_eq!(format!("{secret:?}"), format!("SecretRef({text})"));
        }
    }

    #[test]
    fn bare_secret_is_refused_and_not_shown() {
        for text in ["hunter2", "env:", "file:", "env:A B", "pass:word"] {
            let error = text.parse::<SecretRef>().unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("word`"), "{error}");
        }
        let error = toml::from_str::<std::collections::BTreeMap<String, SecretRef>>("a = 77123").unwrap_err();
        assert!(!error.message().contains("77123"), "{}", error.message());
    }

    #[test]
    fn file_is_read_without_its_last_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let secret: SecretRef = format!("file:{}", path.display()).parse().unwrap();
        assert_eq!(secret.read().unwrap(), "s3cret");
        std::fs::write(&path, "\n").unwrap();
        assert!(secret.read().unwrap_err().to_string().ends_with("is empty"));
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(secret.read().unwrap_err().to_string().ends_with("is over 64 KiB"));
    }

    #[test]
    fn missing_places_are_named() {
        let unset: SecretRef = "env:NOVA_TEST_NO_SUCH_VARIABLE".parse().unwrap();
        assert!(!unset.read().unwrap_err().is_transient());
        let gone: SecretRef = "file:/no/such/file".parse().unwrap();
        let error = gone.read().unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("file:/no/such/file"));
    }
}
