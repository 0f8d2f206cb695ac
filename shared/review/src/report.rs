//! The report of a review: what the worker `report` makes and whoever started the review shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Finding, Severity, Skip};

/// Everything a review found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The repository or folder, as its lister knows it.
    pub root: String,
    /// The commit that is checked out.
    pub commit: Option<String>,
    /// Entries looked at.
    pub files: u64,
    /// Files that were reviewed.
    pub reviewed: u64,
    /// Their lines.
    pub lines: u64,
    /// How many findings there are of each severity.
    pub counts: Counts,
    /// How many findings each rule has.
    pub by_rule: BTreeMap<String, u64>,
    /// How many findings each file with findings has.
    pub by_file: BTreeMap<String, u64>,
    /// What was found, by severity, then place.
    pub findings: Vec<Found>,
    /// Findings the reviewers left out because a file had too many.
    pub findings_cut: u64,
    /// What was not reviewed.
    pub skipped: Vec<Skipped>,
    /// What could not be reviewed.
    pub failed: Vec<Failed>,
    /// The same as a SARIF 2.1.0 document, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sarif: Option<String>,
    /// The same as Markdown, when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub markdown: Option<String>,
}

/// Findings by severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Errors.
    pub errors: u64,
    /// Warnings.
    pub warnings: u64,
    /// Infos.
    pub infos: u64,
}

/// A finding and its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The file.
    pub path: String,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A file that was not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Skipped {
    /// The file.
    pub path: String,
    /// Why not.
    pub why: Skip,
}

/// A file whose review did not complete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failed {
    /// The file.
    pub path: String,
    /// Its position among the files to review, which tells its task.
    pub item: u32,
    /// Why, as far as the report knows.
    pub code: String,
    /// The same in words.
    pub message: String,
}

impl Counts {
    /// Takes note of one more.
    pub fn add(&mut self, severity: Severity) {
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
            Severity::Info => self.infos += 1,
        }
    }

    /// How many there are of a severity.
    #[must_use]
    pub const fn of(self, severity: Severity) -> u64 {
        match severity {
            Severity::Error => self.errors,
            Severity::Warning => self.warnings,
            Severity::Info => self.infos,
        }
    }

    /// All in words, the worst first.
    #[must_use]
    pub fn words(self) -> String {
        Severity::WORST_FIRST.map(|severity| severity.counted(self.of(severity))).join(", ")
    }
}

impl Report {
    /// How many files were left out for each reason.
    #[must_use]
    pub fn skips(&self) -> BTreeMap<Skip, u64> {
        let mut counts = BTreeMap::new();
        self.skipped.iter().for_each(|skipped| *counts.entry(skipped.why).or_default() += 1);
        counts
    }

    /// The files that were left out for a reason worth telling: pictures and prose are no news.
    pub fn news(&self) -> impl Iterator<Item = &Skipped> {
        self.skipped.iter().filter(|skipped| skipped.why != Skip::UnsupportedLanguage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_in_words() {
        let mut counts = Counts::default();
        for severity in [Severity::Info, Severity::Warning, Severity::Info] {
            counts.add(severity);
        }
        assert_eq!(counts.words(), "0 errors, 1 warning, 2 infos");
    }

    #[test]
    fn a_report_of_a_newer_worker_is_still_read() {
        let text = r#"{"root":"/r","new":1,"skipped":[{"path":"a","why":"haunted"},{"path":"b","why":"binary"}]}"#;
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.skips(), [(Skip::Binary, 1), (Skip::Other, 1)].into());
        let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(again, report);
    }
}
