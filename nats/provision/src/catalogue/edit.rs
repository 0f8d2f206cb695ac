//! A user's own catalogue file, changed line by line so that comments and order stay.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use nova_types::{DurationText, Skill};
use nova_wire::{EventLevel, SkillPolicy};
use toml::de::DeTable;

use super::{ByteText, Catalogue, CatalogueError, SkillEntry, shown_path};

/// A catalogue file that cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SkillFileError {
    /// It could not be read.
    #[error("could not read the catalogue {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It could not be written; what stood there is untouched.
    #[error("could not write the catalogue {path}")]
    Write {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be understood.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// The skill is there already.
    #[error("{path} has a skill `{skill}` already")]
    Exists {
        /// The file.
        path: String,
        /// The skill.
        skill: Skill,
    },
    /// The skill is not there.
    #[error("{path} has no skill `{skill}`")]
    Missing {
        /// The file.
        path: String,
        /// The skill.
        skill: Skill,
    },
}

impl SkillFileError {
    /// Whether it may go away by itself.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// A user's own catalogue: read it, change it, save it.
#[derive(Debug, Clone)]
pub struct SkillFile {
    path: PathBuf,
    text: String,
    catalogue: Catalogue,
}

impl SkillFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SkillFileError::Read`], also when there is none; [`SkillFileError::Catalogue`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SkillFileError> {
        let path = path.into();
        let text = std::fs::read_to_string(&path)
            .map_err(|source| SkillFileError::Read { path: shown_path(&path), source })?;
        Self::from_text(path, text)
    }

    /// Reads the file; one that does not exist yet is empty.
    ///
    /// # Errors
    /// As for [`open`](Self::open), but for a missing file.
    pub fn open_or_new(path: impl Into<PathBuf>) -> Result<Self, SkillFileError> {
        let path = path.into();
        match Self::open(&path) {
            Err(SkillFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::from_text(path, String::new())
            }
            other => other,
        }
    }

    fn from_text(path: PathBuf, text: String) -> Result<Self, SkillFileError> {
        let catalogue = Catalogue::parse(&shown_path(&path), &text)?;
        Ok(Self { path, text, catalogue })
    }

    /// The skills in it.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Its text as it is now.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds a skill as the last line.
    ///
    /// # Errors
    /// [`SkillFileError::Exists`]; [`SkillFileError::Catalogue`] when the entry's values are not allowed.
    pub fn add(&mut self, skill: &Skill, entry: &SkillEntry) -> Result<(), SkillFileError> {
        if self.catalogue.get(skill).is_some() {
            return Err(SkillFileError::Exists { path: shown_path(&self.path), skill: skill.clone() });
        }
        let mut text = self.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line(skill, entry));
        *self = Self::from_text(self.path.clone(), text)?;
        Ok(())
    }

    /// Removes a skill's line; comments stay.
    ///
    /// # Errors
    /// [`SkillFileError::Missing`].
    pub fn remove(&mut self, skill: &Skill) -> Result<(), SkillFileError> {
        let missing = || SkillFileError::Missing { path: shown_path(&self.path), skill: skill.clone() };
        let span = {
            let table = DeTable::parse(&self.text).expect("the text was parsed when it was read");
            let found = table.get_ref().iter().find(|(name, _)| &**name.get_ref() == skill.as_str());
            found.map(|(name, value)| name.span().start..value.span().end)
        };
        let span = span.ok_or_else(missing)?;
        let start = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[span.end..].find('\n').map_or(self.text.len(), |at| span.end + at + 1);
        let mut text = self.text.clone();
        text.replace_range(start..end, "");
        *self = Self::from_text(self.path.clone(), text)?;
        Ok(())
    }

    /// Writes the file, whole or not at all, and makes its folder when there is none.
    ///
    /// # Errors
    /// [`SkillFileError::Write`].
    pub fn save(&self) -> Result<(), SkillFileError> {
        let refused = |source| SkillFileError::Write { path: shown_path(&self.path), source };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(refused)?;
        // A rename is atomic: whoever reads meanwhile sees the old file or the new one, never half of it.
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(format!(".{}.new", std::process::id()));
        let fresh = PathBuf::from(fresh);
        std::fs::write(&fresh, &self.text).and_then(|()| std::fs::rename(&fresh, &self.path)).map_err(|source| {
            let _ = std::fs::remove_file(&fresh);
            refused(source)
        })
    }
}

/// The line that says what differs from the defaults.
fn line(skill: &Skill, entry: &SkillEntry) -> String {
    let plain = SkillPolicy::default();
    let SkillEntry { about, policy, max_bytes, history_share } = entry;
    let mut fields = vec![format!("about = {}", toml::Value::String(about.clone()))];
    // The lease is always said: it is the first thing to think about in a new skill.
    fields.push(format!("lease = \"{}\"", DurationText(policy.lease)));
    if policy.policy.timeout != plain.policy.timeout {
        fields.push(format!("timeout = \"{}\"", DurationText(policy.policy.timeout)));
    }
    if policy.policy.max_attempts != plain.policy.max_attempts {
        fields.push(format!("max_attempts = {}", policy.policy.max_attempts));
    }
    if policy.policy.backoff != plain.policy.backoff {
        fields.push(format!("backoff = \"{}\"", policy.policy.backoff));
    }
    if policy.is_costly {
        fields.push("costly = true".to_owned());
    }
    if policy.events == EventLevel::Full {
        fields.push("events = \"full\"".to_owned());
    }
    fields.extend(policy.rate.map(|rate| format!("rate = \"{rate}\"")));
    fields.extend(policy.key_rate.map(|rate| format!("key_rate = \"{rate}\"")));
    fields.extend(max_bytes.map(|bytes| format!("max_bytes = \"{}\"", ByteText(bytes))));
    fields.extend(history_share.map(|share| format!("history_share = \"{share}%\"")));
    let mut line = String::new();
    writeln!(line, "{skill} = {{ {} }}", fields.join(", ")).expect("writing to a String cannot fail");
    line
}
