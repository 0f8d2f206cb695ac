//! The catalogue of skills: what `nats/skills.toml` and a user's own file say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nova_types::{DurationText, Rate, Skill};
use nova_wire::{EventLevel, Keyed, SkillPolicy, limits};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod bytes;
mod edit;

pub use bytes::{ByteText, ParseBytesError};
pub use edit::{SkillFile, SkillFileError};

/// The built-in catalogue, as it stands in the repository.
const BUILT_IN: &str = include_str!("../../skills.toml");
/// How the built-in catalogue is called in messages.
const BUILT_IN_NAME: &str = "nats/skills.toml";

/// The shortest lease: it is extended at a third of its length, and a shorter one would only be extensions.
const SHORTEST_LEASE: Duration = Duration::from_millis(200);
/// The longest lease: a worker that dies keeps its tasks for as long, and the history behind them pinned.
const LONGEST_LEASE: Duration = Duration::from_secs(3600);
/// The smallest queue: below it a few tasks of full inline size fill it.
const SMALLEST_QUEUE: u64 = 1024 * 1024;
/// The largest queue; larger than any disk, small enough for every sum to fit.
const LARGEST_QUEUE: u64 = 1 << 50;
/// The most of a queue's bytes that history may take, in percent: the rest must hold what waits.
const LARGEST_HISTORY_SHARE: u8 = 90;

/// The keys a skill may have, as messages list them.
const KEYS: &str = "about, lease, timeout, max_attempts, backoff, costly, events, keyed, partitions, key_concurrency, rate, key_rate, \
    max_bytes, history_share";

/// What a catalogue says about one skill; what is not said is the default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkillEntry {
    /// What it does, in one sentence.
    pub about: String,
    /// What holds for its tasks unless they ask for something else.
    pub policy: SkillPolicy,
    /// How many bytes its queue and history hold. Default: the profile's.
    pub max_bytes: Option<u64>,
    /// How much of that finished tasks may keep, in percent. Default 25.
    pub history_share: Option<u8>,
}

/// A catalogue file that cannot be used; the message names file, line and key, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {}{problem}", key.as_ref().map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct CatalogueError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The key, such as `echo.lease`.
    pub key: Option<String>,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl CatalogueError {
    /// Whether it may go away by itself; a person has to edit the file.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// All skills of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalogue(BTreeMap<Skill, SkillEntry>);

impl Catalogue {
    /// The skills that come with Nova.
    ///
    /// # Panics
    /// Never: a test reads the embedded file.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN_NAME, BUILT_IN).expect("the embedded catalogue is tested")
    }

    /// Reads a catalogue's text; `file` is only for messages.
    ///
    /// ```
    /// let mine = nova_provision::Catalogue::parse("mine.toml", r#"resize = { lease = "30s" }"#)?;
    /// assert_eq!(mine.iter().count(), 1);
    /// # Ok::<(), nova_provision::CatalogueError>(())
    /// ```
    ///
    /// # Errors
    /// [`CatalogueError`] for the first line that cannot be understood.
    pub fn parse(file: &str, text: &str) -> Result<Self, CatalogueError> {
        let reader = Reader { file, text };
        let table = DeTable::parse(text).map_err(|error| {
            reader.refuse(error.span().map_or(0, |span| span.start), None, error.message().to_owned())
        })?;
        let mut skills = BTreeMap::new();
        for (name, value) in table.get_ref() {
            let skill = Skill::new(&**name.get_ref())
                .map_err(|error| reader.refuse(name.span().start, None, error.to_string()))?;
            if skill == nova_types::run_skill() {
                let problem = "this name is Nova's own: its queue is always there, and the coordinators work it";
                return Err(reader.refuse(name.span().start, Some(skill.to_string()), problem));
            }
            let entry = reader.entry(&skill, name.span().start, value)?;
            skills.insert(skill, entry);
        }
        Ok(Self(skills))
    }

    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`SkillFileError`] when it cannot be read or understood.
    pub fn read(path: impl Into<PathBuf>) -> Result<Self, SkillFileError> {
        SkillFile::open(path).map(|file| file.catalogue().clone())
    }

    /// The same with the skills of another: a line there stands in place of one of the same name here.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// What is said about a skill.
    #[must_use]
    pub fn get(&self, skill: &Skill) -> Option<&SkillEntry> {
        self.0.get(skill)
    }

    /// All skills in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Skill, &SkillEntry)> {
        self.0.iter()
    }

    /// The names alone.
    pub fn skills(&self) -> impl Iterator<Item = &Skill> {
        self.0.keys()
    }
}

impl FromIterator<(Skill, SkillEntry)> for Catalogue {
    fn from_iter<I: IntoIterator<Item = (Skill, SkillEntry)>>(skills: I) -> Self {
        Self(skills.into_iter().collect())
    }
}

/// Where we are in which file, for messages.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn refuse(&self, at: usize, key: Option<String>, problem: impl Into<String>) -> CatalogueError {
        let line = 1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        CatalogueError { file: self.file.to_owned(), line, key, problem: problem.into() }
    }

    fn entry(&self, skill: &Skill, at: usize, value: &Spanned<DeValue<'_>>) -> Result<SkillEntry, CatalogueError> {
        // Sections would be legal TOML, but one line per skill is what people, scripts and `nova skill rm` can edit.
        let is_inline = self.text[value.span().start.min(self.text.len())..].starts_with('{');
        let Some(table) = value.get_ref().as_table().filter(|_| is_inline) else {
            let problem = format!("write it as one line: {skill} = {{ about = \"...\", lease = \"10s\" }}");
            return Err(self.refuse(at, Some(skill.to_string()), problem));
        };
        let mut entry = SkillEntry::default();
        let is_keyed =
            table.iter().any(|(key, value)| key.get_ref() == "keyed" && value.get_ref().as_bool() == Some(true));
        entry.policy.keyed = is_keyed.then(Keyed::default);
        for (key, value) in table {
            read_key(&mut entry, key.get_ref(), value.get_ref()).map_err(|problem| {
                self.refuse(key.span().start, Some(format!("{skill}.{}", key.get_ref())), problem)
            })?;
        }
        Ok(entry)
    }
}

fn read_key(entry: &mut SkillEntry, key: &str, value: &DeValue<'_>) -> Result<(), String> {
    let policy = &mut entry.policy;
    match key {
        "about" => entry.about = text(value, "a sentence in quotes").and_then(one_line)?,
        "lease" => policy.lease = duration(value, SHORTEST_LEASE, LONGEST_LEASE)?,
        "timeout" => policy.policy.timeout = duration(value, Duration::from_millis(1), Duration::MAX)?,
        "max_attempts" => policy.policy.max_attempts = integer(value, limits::MAX_ATTEMPTS)?,
        "backoff" => {
            let allowed = "two durations, smaller first, such as \"1s..5m\"";
            policy.policy.backoff =
                text(value, allowed)?.parse().map_err(|_| format!("{} is not {allowed}", shown(value)))?;
        }
        "costly" => {
            policy.is_costly = value.as_bool().ok_or_else(|| format!("{} is not true or false", shown(value)))?;
        }
        "events" => {
            policy.events = match value.as_str() {
                Some("default") => EventLevel::Default,
                Some("full") => EventLevel::Full,
                _ => return Err(format!("{} is not \"default\" or \"full\"", shown(value))),
            };
        }
        "rate" => policy.rate = Some(rate(value)?),
        "key_rate" if policy.keyed.is_none() => return Err("only a skill with keyed = true has it".to_owned()),
        "key_rate" => policy.key_rate = Some(rate(value)?),
        "keyed" => {
            value.as_bool().ok_or_else(|| format!("{} is not true or false", shown(value)))?;
        }
        "partitions" | "key_concurrency" => {
            let keyed = policy.keyed.as_mut().ok_or("only a skill with keyed = true has it")?;
            if key == "partitions" {
                let count = integer(value, u32::from(Keyed::MOST_PARTITIONS))?;
                keyed.partitions = u16::try_from(count).expect("it is small");
            } else {
                keyed.concurrency = integer(value, Keyed::MOST_CONCURRENCY)?;
            }
        }
        "max_bytes" => entry.max_bytes = Some(bytes(value)?),
        "history_share" => entry.history_share = Some(percent(value)?),
        _ => return Err(format!("unknown key; allowed are {KEYS}")),
    }
    Ok(())
}

fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("`{text}`"),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        other => format!("this {}", other.type_str()),
    }
}

fn text<'a>(value: &'a DeValue<'_>, allowed: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("{} is not {allowed}", shown(value)))
}

fn one_line(text: &str) -> Result<String, String> {
    if text.chars().any(char::is_control) {
        return Err("the sentence holds a line break or another control character".to_owned());
    }
    Ok(text.to_owned())
}

fn duration(value: &DeValue<'_>, least: Duration, most: Duration) -> Result<Duration, String> {
    let refused = || {
        let upper = if most == Duration::MAX { String::new() } else { format!(" to \"{}\"", DurationText(most)) };
        format!("{} is not a duration from \"{}\"{upper}, in ms, s, m, h or d", shown(value), DurationText(least))
    };
    let given: DurationText = value.as_str().and_then(|text| text.parse().ok()).ok_or_else(refused)?;
    if given.0 < least || given.0 > most { Err(refused()) } else { Ok(given.0) }
}

fn integer(value: &DeValue<'_>, most: u32) -> Result<u32, String> {
    value
        .as_integer()
        .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok())
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| format!("{} is not a whole number from 1 to {most}", shown(value)))
}

fn rate(value: &DeValue<'_>) -> Result<Rate, String> {
    let allowed = "at most so many per s, m or h, such as \"100/s\", \"20/m\" or \"100/s burst 500\" with a burst of a tenth of a second's worth or more";
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| format!("{} is not {allowed}", shown(value)))
}

fn bytes(value: &DeValue<'_>) -> Result<u64, String> {
    let given = match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => value.as_str().and_then(|text| text.parse::<ByteText>().ok()).map(|bytes| bytes.0),
    };
    given.filter(|bytes| (SMALLEST_QUEUE..=LARGEST_QUEUE).contains(bytes)).ok_or_else(|| {
        format!("{} is not a size of 1MiB or more, such as \"512MiB\" or \"2GiB\", or a number of bytes", shown(value))
    })
}

fn percent(value: &DeValue<'_>) -> Result<u8, String> {
    value
        .as_str()
        .and_then(|text| text.strip_suffix('%')?.parse().ok())
        .filter(|share| (1..=LARGEST_HISTORY_SHARE).contains(share))
        .ok_or_else(|| format!("{} is not a share from \"1%\" to \"{LARGEST_HISTORY_SHARE}%\"", shown(value)))
}

/// The name a file goes by in messages.
fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests;
