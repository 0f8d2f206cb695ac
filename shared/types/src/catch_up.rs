//! What becomes of the moments a recurring schedule has missed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is made up for once the broker is back that was down while a recurring schedule was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Nothing: the next task is that of the next moment.
    Skip,
    /// The last missed moment, once; when nothing is said.
    #[default]
    One,
    /// Every missed moment, each as a task of its own.
    All,
}

/// A word that is none of `skip`, `one`, `all`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("catch-up `{0}` is none of skip, one, all")]
pub struct ParseCatchUpError(String);

impl CatchUp {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Skip, Self::One, Self::All];

    /// The word used in headers and flags.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::One => "one",
            Self::All => "all",
        }
    }
}

impl fmt::Display for CatchUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CatchUp {
    type Err = ParseCatchUpError;
    fn from_str(text: &str) -> Result<Self, ParseCatchUpError> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        found.ok_or_else(|| ParseCatchUpError(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_as_they_are_written() {
        for policy in CatchUp::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("none".parse::<CatchUp>().is_err());
    }
}
