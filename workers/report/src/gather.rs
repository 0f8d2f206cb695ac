//! Gathers the answers for many files into one report.

use std::cmp::Reverse;

use nova_review::{Answer, Failed, Found, Report, Rule, Skipped};
use serde::Deserialize;
use serde_json::Value;

/// What a task asks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The repository or folder.
    #[serde(default)]
    pub root: String,
    /// The commit that is checked out.
    #[serde(default)]
    pub commit: Option<String>,
    /// The files that were to be reviewed.
    pub files: Vec<String>,
    /// The answer for each, in the same order; null for a review that failed.
    pub reviews: Vec<Value>,
    /// What was not to be reviewed.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// The rules in force, as a reviewer lists them, for SARIF.
    #[serde(default)]
    pub rules: Option<Listed>,
    /// Asks for SARIF.
    #[serde(default)]
    pub sarif: bool,
    /// Asks for Markdown.
    #[serde(default)]
    pub markdown: bool,
}

/// A reviewer's list of its rules.
#[derive(Debug, Default, Deserialize)]
pub struct Listed {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Makes the report.
///
/// # Errors
/// When there is not one review for each file.
pub fn gather(input: Input) -> Result<Report, String> {
    if input.files.len() != input.reviews.len() {
        return Err(format!("there are {} files but {} reviews", input.files.len(), input.reviews.len()));
    }
    let mut report = Report {
        root: input.root,
        commit: input.commit,
        files: (input.files.len() + input.skipped.len()) as u64,
        skipped: input.skipped,
        ..Report::default()
    };
    for (item, (path, review)) in (0..).zip(input.files.into_iter().zip(input.reviews)) {
        let fail =
            |code: &str, message: &str| Failed { path: path.clone(), item, code: code.into(), message: message.into() };
        if review.is_null() {
            report.failed.push(fail("failed", "its review did not complete"));
            continue;
        }
        match serde_json::from_value(review) {
            Ok(answer) => take(&mut report, path, answer),
            Err(error) => report.failed.push(fail("garbled_answer", &error.to_string())),
        }
    }
    sort(&mut report);
    Ok(report)
}

fn take(report: &mut Report, path: String, answer: Answer) {
    report.reviewed += 1;
    // An answer is only told: what it counts may be any number.
    report.lines = report.lines.saturating_add(answer.lines);
    report.findings_cut = report.findings_cut.saturating_add(answer.metrics.unwrap_or_default().findings_cut);
    if let Some(why) = answer.skipped {
        report.skipped.push(Skipped { path: path.clone(), why });
    }
    if !answer.findings.is_empty() {
        *report.by_file.entry(path.clone()).or_default() += answer.findings.len() as u64;
    }
    for finding in answer.findings {
        report.counts.add(finding.severity);
        match report.by_rule.get_mut(&finding.rule) {
            Some(count) => *count += 1,
            None => _ = report.by_rule.insert(finding.rule.clone(), 1),
        }
        report.findings.push(Found { path: path.clone(), finding });
    }
}

/// Puts everything in the order in which it is read.
fn sort(report: &mut Report) {
    report.findings.sort_by(|a, b| {
        let (x, y) = (&a.finding, &b.finding);
        let by_severity = Reverse(x.severity).cmp(&Reverse(y.severity));
        by_severity.then_with(|| (&a.path, x.line, x.column, &x.rule).cmp(&(&b.path, y.line, y.column, &y.rule)))
    });
    report.skipped.sort();
    report.failed.sort();
}

#[cfg(test)]
pub(crate) mod tests {
    use nova_review::{Counts, Skip};
    use serde_json::json;

    use super::*;

    pub(crate) fn finding(rule: &str, severity: &str, line: u64) -> Value {
        json!({"rule": rule, "severity": severity, "message": format!("about {rule}"), "line": line, "column": 2,
            "end_line": line, "end_column": 5, "snippet": "x", "fingerprint": format!("f-{line}")})
    }

    /// Two files with three findings, one that failed, one left out.
    pub(crate) fn sample() -> Input {
        let two =
            json!({"lines": 9, "findings": [finding("rust/todo", "info", 3), finding("rust/unwrap", "warning", 7)]});
        let one = json!({"lines": 1, "findings": [finding("rust/unwrap", "error", 1)], "metrics": {"findings_cut": 4}});
        Input {
            root: "/r".into(),
            files: ["b c.rs", "a.rs", "d.rs"].map(str::to_owned).into(),
            reviews: vec![two, one, Value::Null],
            skipped: vec![Skipped { path: "e.png".into(), why: Skip::UnsupportedLanguage }],
            ..Input::default()
        }
    }

    #[test]
    fn answers_add_up() {
        let report = gather(sample()).unwrap();
        assert_eq!((report.files, report.reviewed, report.lines, report.findings_cut), (4, 2, 10, 4));
        assert_eq!(report.counts, Counts { errors: 1, warnings: 1, infos: 1 });
        assert_eq!(report.by_rule, [("rust/todo".to_owned(), 1), ("rust/unwrap".to_owned(), 2)].into());
        assert_eq!(report.by_file, [("a.rs".to_owned(), 1), ("b c.rs".to_owned(), 2)].into());
        let order: Vec<(&str, u64)> =
            report.findings.iter().map(|found| (found.path.as_str(), found.finding.line)).collect();
        assert_eq!(order, [("a.rs", 1), ("b c.rs", 7), ("b c.rs", 3)], "the worst first");
        assert_eq!((report.failed[0].path.as_str(), report.failed[0].item), ("d.rs", 2));
    }

    #[test]
    fn what_the_reviewers_left_out_is_named_beside_what_never_reached_them() {
        let mut input = sample();
        input.reviews[1] = json!({"path": "a.rs", "skipped": "generated", "findings": [], "metrics": null});
        let report = gather(input).unwrap();
        assert_eq!(report.skips(), [(Skip::Generated, 1), (Skip::UnsupportedLanguage, 1)].into());
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_failure_of_its_file() {
        let mut input = sample();
        input.reviews[0] = json!({"findings": 7});
        let report = gather(input).unwrap();
        assert_eq!((report.failed[0].path.as_str(), report.failed[0].code.as_str()), ("b c.rs", "garbled_answer"));
    }

    #[test]
    fn every_file_needs_its_review() {
        let mut input = sample();
        input.reviews.pop();
        assert_eq!(gather(input), Err("there are 3 files but 2 reviews".to_owned()));
    }
}
