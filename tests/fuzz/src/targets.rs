//! The table of targets: what reads bytes of others, and what must hold of what it makes of them.

mod body;
mod files;
mod message;
mod record;
mod review;
mod run;
mod text;
mod word;
mod work;

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that reads bytes.
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// What it reads, and what must hold.
    pub about: &'static str,
    /// Reads an input; fails with the promise that was broken.
    pub run: fn(&[u8]) -> Held,
    /// What inputs are made of.
    pub words: &'static [&'static str],
    /// The longest input, in bytes.
    pub longest: usize,
    /// How many mutations `make test` tries: what a second of an unoptimised build has room for.
    pub tries: u32,
    /// What an input may cost.
    pub bounds: Bounds,
}

/// Costs in proportion to the length of an input: so much, and so much more for each byte.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes held at once.
    pub held: (u64, u64),
    /// Allocations.
    pub steps: (u64, u64),
}

impl Bounds {
    /// Of what copies its input a few times. A JSON value takes 32 bytes for a digit and its comma, and an object of one
    /// field a node of 640 bytes for 6.
    pub const USUAL: Self = Self { held: (64 * 1024, 512), steps: (512, 16) };
}

/// What became of an input, when all promises held.
#[derive(Debug)]
pub struct Taken {
    /// Whether it was read, not refused.
    pub is_read: bool,
    /// What was said of it; tells inputs apart.
    pub told: String,
}

/// That, or the promise that was broken.
pub type Held = Result<Taken, String>;

/// It was read.
fn read(told: impl Into<String>) -> Held {
    Ok(Taken { is_read: true, told: told.into() })
}

/// It was refused, for a reason that somebody can do something with.
fn refused(why: impl ToString) -> Held {
    let told = why.to_string();
    if told.trim().is_empty() {
        Err("it is refused without a reason".to_owned())
    } else {
        Ok(Taken { is_read: false, told })
    }
}

/// Two things that must be the same.
fn same<T: PartialEq + Debug + ?Sized>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other { Ok(()) } else { Err(format!("{what} differ: {one:?} and {other:?}")) }
}

/// Something that must hold.
fn holds(what: &str, is_so: bool) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(format!("it does not hold that {what}")) }
}

/// A JSON record: what is read is written, and that is read as the same.
fn json_record<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Result<Result<T, String>, String> {
    let record: T = match serde_json::from_slice(bytes) {
        Ok(record) => record,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let written = serde_json::to_vec(&record).map_err(|error| format!("what was read cannot be written: {error}"))?;
    let again =
        serde_json::from_slice(&written).map_err(|error| format!("what was written cannot be read: {error}"))?;
    same("what was read and what was written", &record, &again)?;
    Ok(Ok(record))
}

/// A text, whatever the bytes: headers and subjects come as text, too.
fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All of them.
pub const ALL: &[Target] = &[
    word::IDS,
    word::WORDS,
    text::SUBJECT,
    text::STRUCTURED,
    text::OUTCOME,
    text::TRANSITION,
    text::BLOB,
    text::POSITIONS,
    text::KEY,
    text::SCHEDULE,
    text::MOMENT,
    message::TASK,
    message::LETTER,
    message::NOTES,
    record::ATTEMPTS,
    record::KEY,
    record::EVENT,
    record::PRESENCE,
    record::CRON,
    record::OBJECT,
    body::JSON,
    body::MSGPACK,
    body::BUNDLE,
    body::ENDS,
    body::STATE,
    run::WORKFLOW,
    run::EXPRESSION,
    run::REQUESTS,
    run::EVENTS,
    run::HISTORY,
    run::SNAPSHOT,
    work::SHELL,
    work::HTTP,
    work::REDIRECT,
    work::NETWORK,
    review::REVIEW,
    review::RULES,
    work::LIST,
    review::REPORT,
    files::CONFIG,
    files::CATALOGUE,
    files::FLEET,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_name_of_its_own() {
        let mut names: Vec<_> = ALL.iter().map(|target| target.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
