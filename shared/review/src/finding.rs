//! What a `code-review` task answers, as far as a report needs it.

use serde::{Deserialize, Serialize};

use crate::Skip;

/// How much a finding matters; the worst last, as they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Likely wrong, or hard to keep right.
    Warning,
    /// Wrong.
    Error,
}

impl Severity {
    /// All of them, the worst first.
    pub const WORST_FIRST: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    /// The word for several.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Error => "errors",
            Self::Warning => "warnings",
            Self::Info => "infos",
        }
    }

    /// So many of them in words.
    #[must_use]
    pub fn counted(self, count: u64) -> String {
        let word = self.plural();
        format!("{count} {}", if count == 1 { word.trim_end_matches('s') } else { word })
    }
}

/// One place a rule speaks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: String,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// First line, from 1.
    pub line: u64,
    /// First column, in code points from 1.
    pub column: u64,
    /// Last line.
    pub end_line: u64,
    /// The column after the last character.
    pub end_column: u64,
    /// The place's first line, shortened.
    #[serde(default)]
    pub snippet: String,
    /// Stays the same when the place moves to other lines.
    #[serde(default)]
    pub fingerprint: String,
}

/// A reviewer's answer for one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Its lines.
    pub lines: u64,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Why it was not looked at.
    pub skipped: Option<Skip>,
    /// Numbers about it.
    pub metrics: Option<Metrics>,
}

/// The one number of a reviewer's metrics that a report needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// Findings left out because there were too many.
    pub findings_cut: u64,
}

/// A rule, as the reviewers describe it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// What it finds, in a few words.
    #[serde(default)]
    pub summary: String,
    /// How much its findings matter.
    pub severity: Severity,
    /// What to do about them.
    #[serde(default)]
    pub help: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_a_newer_worker_is_still_read() {
        let text = r#"{"path":"a","new":1,"findings":[],"skipped":"haunted","metrics":{"findings_cut":2,"more":1}}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        assert_eq!((answer.skipped, answer.metrics.map(|m| m.findings_cut)), (Some(Skip::Other), Some(2)));
    }
}
