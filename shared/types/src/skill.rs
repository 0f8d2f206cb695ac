//! The name of a skill, which routes a task.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A skill's name that is not 1 to 48 characters of `[a-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("skill `{0}` is not 1 to 48 characters of a-z 0-9 -")]
pub struct InvalidSkill(String);

/// What a worker can do; the one word that routes a task.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Skill(String);

impl Skill {
    /// Checks `text` and wraps it.
    ///
    /// # Errors
    /// [`InvalidSkill`] when it is not 1 to 48 characters of `[a-z0-9-]`.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidSkill> {
        let text = text.into();
        let fits = (1..=48).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            return Ok(Self(text));
        }
        Err(InvalidSkill(text.chars().take(48).flat_map(char::escape_default).collect()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Skill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Skill {
    type Err = InvalidSkill;
    fn from_str(text: &str) -> Result<Self, InvalidSkill> {
        Self::new(text)
    }
}

impl TryFrom<String> for Skill {
    type Error = InvalidSkill;
    fn try_from(text: String) -> Result<Self, InvalidSkill> {
        Self::new(text)
    }
}

impl From<Skill> for String {
    fn from(skill: Skill) -> String {
        skill.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skill_is_lower_case_digits_and_dashes() {
        assert!(Skill::new("code-review2").is_ok());
        for bad in ["", "Echo", "a_b", "a.b", "*", &"x".repeat(49)] {
            assert!(Skill::new(bad).is_err(), "{bad:?}");
        }
    }
}
