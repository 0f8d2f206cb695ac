//! Flags that say which tasks or dead letters are meant.

use std::collections::BTreeMap;
use std::str::FromStr;

use nova_client::{DeadFilter, TaskFilter};
use nova_types::{Code, Skill, TaskState, UnixMillis};

use crate::clock;
use crate::moment::Moment;

/// A label, `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) String, pub(crate) String);

impl FromStr for Label {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self(key.to_owned(), value.to_owned())),
            _ => Err("not a label: write key=value".to_owned()),
        }
    }
}

/// All labels as one map; the last of one key wins.
pub(crate) fn labels(given: &[Label]) -> BTreeMap<String, String> {
    given.iter().map(|Label(key, value)| (key.clone(), value.clone())).collect()
}

/// Reads a state's name.
pub(crate) fn state(text: &str) -> Result<TaskState, String> {
    let quoted = serde_json::Value::String(text.to_owned());
    serde_json::from_value(quoted)
        .map_err(|_| "not a state: scheduled, available, running, retryable, completed, cancelled or dead".to_owned())
}

/// A state's name.
pub(crate) fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Scheduled => "scheduled",
        TaskState::Available => "available",
        TaskState::Running => "running",
        TaskState::Retryable => "retryable",
        TaskState::Completed => "completed",
        TaskState::Cancelled => "cancelled",
        TaskState::Dead => "dead",
    }
}

/// What every list can be narrowed by.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct CommonArgs {
    /// Only since then: 1h, 2026-11-22T18:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<Moment>,
    /// Only with this label; may be given several times
    #[arg(long, short = 'l', value_name = "KEY=VALUE")]
    pub(crate) label: Vec<Label>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

impl CommonArgs {
    /// Whether anything narrows it down; a limit does not.
    pub(crate) fn is_narrow(&self) -> bool {
        self.since.is_some() || !self.label.is_empty()
    }

    /// The first moment that counts.
    pub(crate) fn since(&self) -> Option<UnixMillis> {
        self.since.map(|since| since.past(clock::now()))
    }

    /// The labels that are asked for.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        labels(&self.label)
    }
}

/// Which tasks.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct TaskFilterArgs {
    /// Only in this state; may be given several times
    #[arg(long, value_name = "STATE", value_parser = state, value_delimiter = ',')]
    pub(crate) state: Vec<TaskState>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl TaskFilterArgs {
    /// Whether anything narrows it down.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.state.is_empty() || self.common.is_narrow()
    }

    /// As the client takes it.
    pub(crate) fn filter(&self, skill: Option<Skill>, limit: usize) -> TaskFilter {
        TaskFilter {
            states: self.state.clone(),
            skill,
            since: self.common.since(),
            labels: self.common.labels(),
            limit: self.common.limit.unwrap_or(limit),
        }
    }
}

/// Which dead letters.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct DeadFilterArgs {
    /// Only of this skill
    #[arg(long, value_name = "SKILL")]
    pub(crate) skill: Option<Skill>,
    /// Only with this code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl DeadFilterArgs {
    /// As the client takes it.
    pub(crate) fn filter(&self) -> DeadFilter {
        DeadFilter {
            skill: self.skill.clone(),
            code: self.code.as_deref().map(Code::new),
            since: self.common.since(),
            labels: self.common.labels(),
            limit: self.common.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_named_as_they_are_read() {
        for name in ["scheduled", "available", "running", "retryable", "completed", "cancelled", "dead"] {
            assert_eq!(state(name).map(state_word), Ok(name));
        }
        assert!(state("lost").is_err());
    }

    #[test]
    fn a_label_needs_a_key() {
        assert_eq!("a=b=c".parse(), Ok(Label("a".into(), "b=c".into())));
        assert!("=b".parse::<Label>().is_err() && "a".parse::<Label>().is_err());
    }
}
