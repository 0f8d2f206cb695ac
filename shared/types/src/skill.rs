//! The name of a skill, which routes a task.

use crate::word::word;

/// A skill's name that is not 1 to 48 characters of `[a-z0-9-]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("skill `{0}` is not 1 to 48 characters of a-z 0-9 -")]
pub struct InvalidSkill(String);

word!(
    /// What a worker can do; the one word that routes a task.
    Skill,
    InvalidSkill,
    check
);

fn check(text: &str) -> Result<(), InvalidSkill> {
    let fits = (1..=48).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return Ok(());
    }
    Err(InvalidSkill(text.chars().take(48).flat_map(char::escape_default).collect()))
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
