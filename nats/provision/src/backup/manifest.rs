//! What a backup says of itself: the file that makes a folder of packs a backup; pure.

use nova_broker::StreamSpec;
use nova_broker::jetstream::SnapshotHead;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::AssetId;

/// The version of the layout that is written, and the newest that is read.
pub const FORMAT: u64 = 1;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout.
    pub format: u64,
    /// The version of Nova that took it.
    pub nova: String,
    /// The version of the server it was taken from.
    pub server: String,
    /// The profile the server was provisioned for.
    pub profile: String,
    /// When it was begun, RFC 3339: what was acknowledged before is in it.
    pub began: String,
    /// When it was whole.
    pub ended: String,
    /// The streams, in the order in which they were packed.
    pub streams: Vec<Packed>,
    /// The consumers that were paused for the backup alone, as `stream/consumer`.
    pub paused: Vec<String>,
    /// How far tasks had been handed out when the outcomes were packed, by queue and consumer.
    pub reached: Vec<Position>,
}

/// One stream of a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    /// Its name.
    pub name: String,
    /// How Nova sees its configuration.
    pub spec: StreamSpec,
    /// How many messages it held.
    pub messages: u64,
    /// Its last sequence.
    pub last_sequence: u64,
    /// What the snapshot said of it; `None` for one that is made empty.
    pub head: Option<SnapshotHead>,
    /// The file that holds the snapshot.
    pub snapshot: Option<StoredFile>,
    /// The file of what was written while the snapshot was taken.
    pub tail: Option<StoredFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its name in the folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex digits.
    pub sha256: String,
}

/// A consumer and a sequence of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The stream.
    pub stream: String,
    /// The consumer.
    pub consumer: String,
    /// The last sequence it had delivered.
    pub delivered: u64,
}

impl Position {
    /// The consumer's name.
    #[must_use]
    pub fn id(&self) -> AssetId {
        AssetId::consumer(&self.stream, &self.consumer)
    }
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It was written by a later version.
    #[error("it has format {found}, and this version of nova reads up to {FORMAT}")]
    Newer {
        /// The format.
        found: u64,
    },
    /// It is not what was written.
    #[error("it is not as it was written: its own checksum differs")]
    Altered,
    /// It cannot be read at all.
    #[error("it is no manifest of a backup")]
    Garbled(#[source] serde_json::Error),
    /// It names a file outside of its folder.
    #[error("it names a file that cannot be of a backup: `{0}`")]
    Stray(String),
}

/// What bytes hash to, in lower-case hex digits.
pub(super) fn digits(hash: impl AsRef<[u8]>) -> String {
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn seal(backup: &Value) -> String {
    digits(Sha256::digest(backup.to_string()))
}

impl Manifest {
    /// The manifest as the text of its file: a damaged one is known by the checksum beside it.
    ///
    /// # Panics
    /// Never: every part of it is JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        let backup = serde_json::to_value(self).expect("a manifest has text keys only");
        let sealed = json!({ "sha256": seal(&backup), "backup": backup });
        let text = serde_json::to_string_pretty(&sealed).expect("a value is JSON");
        text + "\n"
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// [`ManifestError`], the format before anything else: what a later version writes need not look like this.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let sealed: Value = serde_json::from_str(text).map_err(ManifestError::Garbled)?;
        let backup = sealed.get("backup").unwrap_or(&Value::Null);
        match backup.get("format").and_then(Value::as_u64) {
            Some(found) if found > FORMAT => return Err(ManifestError::Newer { found }),
            _ => {}
        }
        let read = Self::deserialize(backup).map_err(ManifestError::Garbled)?;
        if sealed.get("sha256").and_then(Value::as_str) != Some(&*seal(backup)) {
            return Err(ManifestError::Altered);
        }
        let is_stray = |file: &&StoredFile| file.file.contains(['/', '\\']) || file.file.starts_with('.');
        let stray = read.files().find(is_stray).map(|file| file.file.clone());
        stray.map_or(Ok(read), |stray| Err(ManifestError::Stray(stray)))
    }

    /// Every file but the manifest itself.
    pub fn files(&self) -> impl Iterator<Item = &StoredFile> {
        self.streams.iter().flat_map(|packed| [&packed.snapshot, &packed.tail]).flatten()
    }

    /// Whether a server of this version reads what that of the backup wrote: an older one need not.
    #[must_use]
    pub fn is_readable_by(&self, server: &str) -> bool {
        let minor = |version: &str| -> Vec<u64> {
            version.split(['.', '-']).take(2).map(|part| part.parse().unwrap_or(0)).collect()
        };
        minor(server) >= minor(&self.server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            nova: "0.1.0".into(),
            server: "2.15.1".into(),
            profile: "fast".into(),
            began: "2026-11-22T18:00:00Z".into(),
            ended: "2026-11-22T18:00:01Z".into(),
            streams: vec![],
            paused: vec![],
            reached: vec![Position { stream: "NOVA_TASKS_echo".into(), consumer: "high".into(), delivered: 7 }],
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expect: &str) {
        let mut text: Value = serde_json::from_str(&manifest().to_text()).expect("JSON");
        change(&mut text);
        let got = Manifest::parse(&text.to_string()).map_or_else(|error| error.to_string(), |read| read.server);
        assert_eq!(got, expect);
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_not_otherwise() {
        assert_eq!(Manifest::parse(&manifest().to_text()).expect("read"), manifest());
        check(|_| {}, "2.15.1");
        check(|text| text["backup"]["server"] = "2.15.2".into(), &ManifestError::Altered.to_string());
        check(|text| text["backup"]["reached"][0]["delivered"] = 8.into(), &ManifestError::Altered.to_string());
        check(|text| *text = json!({}), "it is no manifest of a backup");
    }

    #[test]
    fn a_later_format_is_told_before_anything_else() {
        let expect = "it has format 2, and this version of nova reads up to 1";
        check(|text| text["backup"] = json!({"format": 2, "other": true}), expect);
    }

    #[test]
    fn a_file_outside_of_the_folder_is_refused() {
        for file in ["../x", "a/b", ".hidden", "a\\b"] {
            let mut manifest = manifest();
            let stored = StoredFile { file: file.into(), bytes: 0, sha256: String::new() };
            manifest.streams.push(Packed {
                name: "S".into(),
                spec: spec(),
                messages: 0,
                last_sequence: 0,
                head: None,
                snapshot: Some(stored),
                tail: None,
            });
            let told = Manifest::parse(&manifest.to_text()).expect_err("refused").to_string();
            assert!(told.contains(file), "{told}");
        }
    }

    fn spec() -> StreamSpec {
        let options = crate::Options { profile: crate::Profile::Fast, now: nova_types::UnixMillis(0) };
        match crate::desired(&crate::Catalogue::default(), options).swap_remove(0) {
            crate::Asset::Stream(spec) => spec,
            crate::Asset::Consumer(_) => panic!("streams come first"),
        }
    }

    #[test]
    fn an_older_server_is_not_trusted_to_read_it() {
        for (server, verdict) in [("2.15.0", true), ("2.16.3", true), ("3.0.0", true), ("2.14.5", false), ("", false)] {
            assert_eq!(manifest().is_readable_by(server), verdict, "{server}");
        }
    }
}
