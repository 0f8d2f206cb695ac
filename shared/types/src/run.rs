//! Ids and states of workflow runs.
//!
//! A run is a task of the skill [`run_skill`], worked by the coordinators: its id follows from the task's.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::word::word;
use crate::{Fnv1a, Name, Scope, Skill, TaskId};

/// The skill of workflow runs: its tasks are worked by the coordinators themselves.
///
/// No catalogue may name it for anything else.
#[must_use]
pub fn run_skill() -> Skill {
    Skill::new(RUN_SKILL).expect("the word is a skill's name")
}

/// See [`run_skill`].
pub const RUN_SKILL: &str = "nova-run";

/// A run, step or workflow name that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` is not {allowed}")]
pub struct InvalidRunWord {
    what: &'static str,
    given: String,
    allowed: &'static str,
}

fn check(what: &'static str, allowed: &'static str, text: &str, fits: bool) -> Result<(), InvalidRunWord> {
    if fits {
        return Ok(());
    }
    let given = text.chars().take(64).flat_map(char::escape_default).collect();
    Err(InvalidRunWord { what, given, allowed })
}

fn is_run(text: &str) -> bool {
    (1..=MAX_RUN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_step(text: &str) -> bool {
    (1..=48).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

word!(
    /// A run's id: one subject token, short enough for the names of its tasks, `<run>_<16 hex digits>`.
    RunId,
    InvalidRunWord,
    |text| check("run id", "1 to 47 characters of A-Z a-z 0-9 _ -", text, is_run(text))
);
word!(
    /// A step's id inside its workflow: a word of the expression language, so that `steps.<id>` can be written.
    StepId,
    InvalidRunWord,
    |text| check("step id", "1 to 48 characters of a-z 0-9 _, beginning with a letter", text, is_step(text))
);
word!(
    /// A workflow's name.
    WorkflowName,
    InvalidRunWord,
    |text| check("workflow", "1 to 48 characters of a-z 0-9 -", text, Skill::new(text).is_ok())
);

/// The longest run id.
const MAX_RUN: usize = 47;

impl RunId {
    /// The run that a task of [`run_skill`] is.
    ///
    /// `<name>` for a plain id, else `<scope>-<name>`; where that is too long, `x` and 32 hex digits of its hash (FNV-1a,
    /// 128 bits). Two tasks can come to the same run; whoever starts it compares.
    #[must_use]
    pub fn of(task: &TaskId) -> Self {
        let text = if *task.scope() == Scope::plain() {
            task.name().to_string()
        } else {
            format!("{}-{}", task.scope(), task.name())
        };
        if text.len() <= MAX_RUN {
            Self(text.into())
        } else {
            Self(format!("x{:032x}", fnv1a_128(text.as_bytes())).into())
        }
    }

    /// The partition of the run, of `partitions`.
    #[must_use]
    pub fn partition(&self, partitions: u32) -> u32 {
        let hash = Fnv1a::of(self.0.as_bytes()).value() % u64::from(partitions.max(1));
        u32::try_from(hash).expect("a remainder is below its divisor")
    }

    /// The name of a task or timer of this run: `<run>_<16 hex digits>` of the hash of what it is for.
    #[must_use]
    pub fn name_of(&self, part: &str) -> Name {
        Name::new(format!("{}_{:016x}", self.0, Fnv1a::of(part.as_bytes()).value()))
            .expect("a run id leaves room for the hash")
    }

    /// The run that a task's name belongs to, when it is the name of a run's task.
    #[must_use]
    pub fn of_part(name: &Name) -> Option<Self> {
        let (run, hash) = name.as_str().rsplit_once('_')?;
        let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        if is_hash { Self::new(run).ok() } else { None }
    }
}

/// The scope of the tasks of runs in one partition, `r<partition>`.
#[must_use]
pub fn partition_scope(partition: u32) -> Scope {
    Scope::new(format!("r{partition}")).expect("a letter and digits make a scope")
}

/// FNV-1a with 128 bits.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It is accepted, and waits for room among the runs of its workflow.
    Queued,
    /// It moves.
    Running,
    /// It starts nothing new until it is resumed.
    Paused,
    /// It failed or was cancelled; what runs is ended and finished steps are undone.
    Undoing,
    /// Every step ended well.
    Completed,
    /// A step failed, or its deadline passed.
    Failed,
    /// Someone asked for it to end.
    Cancelled,
}

impl RunStatus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Queued, Self::Running, Self::Paused, Self::Undoing, Self::Completed, Self::Failed, Self::Cancelled];

    /// The word used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Undoing => "undoing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether nothing more happens.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_run(task: &str, expect: &str) {
        assert_eq!(RunId::of(&task.parse().expect("an id")).as_str(), expect, "{task}");
    }

    #[test]
    fn a_run_is_called_after_its_task() {
        check_run("_.nightly", "nightly");
        check_run("cli7.018f", "cli7-018f");
        let long = RunId::of(&format!("r3.{0}_0123456789abcdef", "x".repeat(40)).parse().expect("an id"));
        assert_eq!((long.as_str().len(), &long.as_str()[..1]), (33, "x"));
    }

    #[test]
    fn the_name_of_a_part_tells_its_run() {
        let run = RunId::new("a_b").expect("a run");
        assert_eq!(RunId::of_part(&run.name_of("files/do/0")), Some(run.clone()));
        assert_ne!(run.name_of("files/do/0"), run.name_of("files/do/1"));
        for other in ["a", "a_b", "_0123456789abcdef", "a_0123456789ABCDEF"] {
            assert_eq!(RunId::of_part(&Name::new(other).expect("a name")), None, "{other}");
        }
        assert!((0..4).contains(&run.partition(4)));
    }

    #[test]
    fn a_step_is_a_word_of_the_expression_language() {
        for bad in ["", "a-b", "A", "1a", "_a", "a.b", &"a".repeat(49)] {
            assert!(StepId::new(bad).is_err(), "{bad:?}");
        }
        assert!(StepId::new("list_files2").is_ok());
    }
}
