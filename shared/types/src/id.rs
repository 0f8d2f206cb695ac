//! Ids of tasks and workers, checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::word::word;

/// The longest scope, name or worker id, in characters: three of them and a skill stay far below a subject's limit.
const MAX_LEN: usize = 64;

/// An id that is empty, too long or holds a character outside `[A-Za-z0-9_-]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` is not 1 to 64 characters of A-Z a-z 0-9 _ -")]
pub struct InvalidId {
    what: &'static str,
    given: String,
}

fn check(what: &'static str, text: &str) -> Result<(), InvalidId> {
    let fits = !text.is_empty()
        && text.len() <= MAX_LEN
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fits {
        return Ok(());
    }
    // An attacker's id may be long or binary: the message keeps only what a person can read.
    let given = text.chars().take(MAX_LEN).flat_map(char::escape_default).collect();
    Err(InvalidId { what, given })
}

word!(
    /// Who named a task: one per client, so that ids of two clients cannot meet.
    Scope,
    InvalidId,
    |text| check("scope", text)
);
word!(
    /// A task's name inside its scope.
    Name,
    InvalidId,
    |text| check("name", text)
);
word!(
    /// The name of one worker process.
    WorkerId,
    InvalidId,
    |text| check("worker id", text)
);

impl Scope {
    /// The scope of a plain id, `_`.
    #[must_use]
    pub fn plain() -> Self {
        Self("_".into())
    }

    /// The scope of ids made from stream sequences, `_seq`.
    #[must_use]
    pub fn sequence() -> Self {
        Self("_seq".into())
    }

    /// Whether clients may use this scope: those that begin with `_` belong to Nova, but for `_` itself.
    #[must_use]
    pub fn is_for_clients(&self) -> bool {
        !self.0.starts_with('_') || &*self.0 == "_"
    }
}

/// A task's id, `<scope>.<name>`; unique per skill.
///
/// ```
/// let id: nova_types::TaskId = "cli7.order-41".parse()?;
/// assert_eq!((id.scope().as_str(), id.name().as_str()), ("cli7", "order-41"));
/// assert_eq!("plain".parse::<nova_types::TaskId>()?.to_string(), "_.plain");
/// # Ok::<(), nova_types::InvalidId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    scope: Scope,
    name: Name,
}

impl TaskId {
    /// Joins a scope and a name.
    #[must_use]
    pub fn new(scope: Scope, name: Name) -> Self {
        Self { scope, name }
    }

    /// The id of a task that was given none: `_seq.<stream sequence>`.
    #[must_use]
    pub fn from_sequence(sequence: u64) -> Self {
        Self { scope: Scope::sequence(), name: Name(sequence.to_string().into()) }
    }

    /// Parses the id a client gave, refusing the scopes that are Nova's own.
    ///
    /// # Errors
    /// [`InvalidId`] when a part is malformed or the scope begins with `_` and is not `_`.
    pub fn from_client(text: &str) -> Result<Self, InvalidId> {
        let id: Self = text.parse()?;
        if id.scope.is_for_clients() {
            return Ok(id);
        }
        Err(InvalidId { what: "reserved scope in id", given: text.chars().take(MAX_LEN).collect() })
    }

    /// The part before the dot.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The part after the dot.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.scope, self.name)
    }
}

impl FromStr for TaskId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('.') {
            Some((scope, name)) => Ok(Self { scope: Scope::new(scope)?, name: Name::new(name)? }),
            None => Ok(Self { scope: Scope::plain(), name: Name::new(text)? }),
        }
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> String {
        id.to_string()
    }
}

/// Which publish of a task this is: 0 for the submitter's own, any other number for a later one.
///
/// It only keeps the broker's dedupe window from swallowing a task's later publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// Of a task whose time came: the schedules' stream sequence, on even numbers.
    #[must_use]
    pub const fn due(sequence: u64) -> Self {
        Self(sequence.saturating_mul(2))
    }

    /// Of a task moved within its own queue: that stream's sequence, on odd numbers, so that one that comes due at the
    /// same moment is never taken for it.
    #[must_use]
    pub const fn moved(sequence: u64) -> Self {
        Self(sequence.saturating_mul(2).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_id(text: &str, expect: Option<&str>) {
        assert_eq!(TaskId::from_client(text).ok().map(|id| id.to_string()).as_deref(), expect, "{text:?}");
    }

    #[test]
    fn an_id_is_a_scope_and_a_name() {
        check_id("a.b", Some("a.b"));
        check_id("b", Some("_.b"));
        check_id("_.b", Some("_.b"));
        check_id(&format!("{0}.{0}", "x".repeat(64)), Some(&format!("{0}.{0}", "x".repeat(64))));
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "x".repeat(65);
        for bad in ["", ".", "a.", ".b", "a.b.c", "a b", "ä", "a.*", ">", "_seq.7", "_x.y", long.as_str(), "a\n"] {
            check_id(bad, None);
        }
    }

    #[test]
    fn the_refusal_of_a_binary_id_is_readable() {
        let error = TaskId::from_client("a\u{1}b").expect_err("control characters are refused");
        assert_eq!(error.to_string(), r"name `a\u{1}b` is not 1 to 64 characters of A-Z a-z 0-9 _ -");
    }
}
