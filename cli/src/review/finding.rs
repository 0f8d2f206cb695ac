//! What a `code-review` task is given and what it answers, as far as a report needs it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a finding matters; the worst last, as they compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Worth knowing.
    Info,
    /// Likely wrong, or hard to keep right.
    Warning,
    /// Wrong.
    Error,
}

impl Severity {
    /// All of them, the worst first.
    pub(crate) const WORST_FIRST: [Self; 3] = [Self::Error, Self::Warning, Self::Info];

    /// The word for several.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::Error => "errors",
            Self::Warning => "warnings",
            Self::Info => "infos",
        }
    }
}

/// Why a file was not reviewed: our reasons first, then the workers' own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Skip {
    /// A symbolic link: never followed.
    Symlink,
    /// Another repository.
    Submodule,
    /// Its name is no text.
    NonUtf8Name,
    /// Tracked, but not in the work tree.
    Missing,
    /// Something else stands where git knows a file.
    NotAFile,
    /// The system does not let us read it.
    Unreadable,
    /// Larger than the limit.
    TooLarge,
    /// Holds NUL bytes.
    Binary,
    /// No parser for its language.
    UnsupportedLanguage,
    /// Text, but not in UTF-8.
    NotUtf8,
    /// Written by a machine for a machine.
    Minified,
    /// Says of itself that a program wrote it.
    Generated,
    /// Nested too deeply.
    TooComplex,
    /// A reason that a newer worker knows.
    #[serde(other)]
    Other,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symlink => "symbolic link",
            Self::Submodule => "submodule",
            Self::NonUtf8Name => "name is not UTF-8",
            Self::Missing => "not in the work tree",
            Self::NotAFile => "not a file",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too large",
            Self::Binary => "binary",
            Self::UnsupportedLanguage => "no supported language",
            Self::NotUtf8 => "not UTF-8",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::TooComplex => "too deeply nested",
            Self::Other => "another reason",
        })
    }
}

/// One place a rule speaks about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The rule's id.
    pub(crate) rule: String,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) message: String,
    /// First line, from 1.
    pub(crate) line: u64,
    /// First column, in code points from 1.
    pub(crate) column: u64,
    /// Last line.
    pub(crate) end_line: u64,
    /// The column after the last character.
    pub(crate) end_column: u64,
    /// The place's first line, shortened.
    #[serde(default)]
    pub(crate) snippet: String,
    /// Stays the same when the place moves to other lines.
    #[serde(default)]
    pub(crate) fingerprint: String,
}

/// A worker's answer for one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    /// Its lines.
    pub(crate) lines: u64,
    /// What was found.
    pub(crate) findings: Vec<Finding>,
    /// Why it was not looked at.
    pub(crate) skipped: Option<Skip>,
    /// Numbers about it.
    pub(crate) metrics: Option<Metrics>,
}

/// The one number of a worker's metrics that a report needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Metrics {
    /// Findings left out because there were too many.
    pub(crate) findings_cut: u64,
}

/// A rule, as the workers describe it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Rule {
    /// Its id.
    pub(crate) id: String,
    /// What it finds, in a few words.
    #[serde(default)]
    pub(crate) summary: String,
    /// How much its findings matter.
    pub(crate) severity: Severity,
    /// What to do about them.
    #[serde(default)]
    pub(crate) help: String,
}

/// What a worker is asked for one file.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Question<'a> {
    /// Names the file and tells its language.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) path: &'a str,
    /// Its text; or
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<&'a str>,
    /// its bytes, where they are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_base64: Option<String>,
    /// Rules beside the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<&'a str>,
    /// Asks for the rules instead.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) list_rules: bool,
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
