//! The report of a review, gathered from one outcome after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use nova_client::TaskOutcome;
use nova_types::OutcomeKind;
use serde::Serialize;

use super::finding::{Answer, Finding, Rule, Severity, Skip};
use super::verify::Verified;

/// A finding and its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Found {
    /// The file.
    pub(crate) path: String,
    /// The finding.
    #[serde(flatten)]
    pub(crate) finding: Finding,
}

/// A file that was not reviewed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Skipped {
    /// The file.
    pub(crate) path: String,
    /// Why not.
    pub(crate) why: Skip,
}

/// A file whose task did not complete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Failed {
    /// The file.
    pub(crate) path: String,
    /// The task.
    pub(crate) task: String,
    /// Why.
    pub(crate) code: String,
    /// The same in words.
    pub(crate) message: String,
}

/// Everything a review found and how it went.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The repository.
    pub(crate) root: PathBuf,
    /// What the review's tasks are labelled with.
    pub(crate) run: String,
    /// Tracked entries looked at.
    pub(crate) files: u64,
    /// What was found, by severity, then place.
    pub(crate) findings: Vec<Found>,
    /// Findings the workers left out because a file had too many.
    pub(crate) cut: u64,
    /// What was not reviewed.
    pub(crate) skipped: Vec<Skipped>,
    /// What could not be reviewed.
    pub(crate) failed: Vec<Failed>,
    /// Lines of the files that were reviewed.
    pub(crate) lines: u64,
    /// Tasks submitted.
    pub(crate) tasks: u64,
    /// Tasks ended.
    pub(crate) ended: u64,
    /// Attempts made by their records.
    pub(crate) attempts: u64,
    /// Tasks by the worker that ended them.
    pub(crate) by_worker: BTreeMap<String, u64>,
    /// Deliveries beyond the first; `None` when the broker does not tell.
    pub(crate) redeliveries: Option<u64>,
    /// Attempts that failed and were followed by another, by the fleet's events.
    pub(crate) retried: Option<u64>,
    /// Outcomes refused because another stood there, by the fleet's events.
    pub(crate) fenced: Option<u64>,
    /// From the first file read to the last outcome.
    pub(crate) took: Duration,
    /// How much of that nothing ended: workers were missing, or leases of killed ones were waited for.
    pub(crate) idle: Duration,
    /// Whether the records are as they must be.
    pub(crate) verified: Option<Verified>,
    /// The rules in force, when they were asked for.
    pub(crate) rules: Vec<Rule>,
}

impl Report {
    /// Takes note of a file that is not reviewed.
    pub(crate) fn skip(&mut self, path: String, why: Skip) {
        self.files += 1;
        self.skipped.push(Skipped { path, why });
    }

    /// Takes note of a file whose task has ended.
    pub(crate) fn end(&mut self, path: String, ended: &TaskOutcome) {
        let outcome = &ended.outcome;
        self.ended += 1;
        self.attempts += u64::from(outcome.attempt);
        if let Some(worker) = &outcome.worker {
            *self.by_worker.entry(worker.to_string()).or_default() += 1;
        }
        let fail = |code: &str, message: &str| Failed {
            path: path.clone(),
            task: outcome.task.to_string(),
            code: code.to_owned(),
            message: message.to_owned(),
        };
        if outcome.kind != OutcomeKind::Completed {
            let error = ended.error();
            let (code, message) = error.map_or_else(Default::default, |error| (error.code.to_string(), error.message));
            return self.failed.push(fail(&code, &message));
        }
        match ended.result::<Answer>() {
            Ok(answer) => self.take(path, answer.unwrap_or_default()),
            Err(error) => self.failed.push(fail("garbled_answer", &error.to_string())),
        }
    }

    fn take(&mut self, path: String, answer: Answer) {
        self.lines += answer.lines;
        self.cut += answer.metrics.unwrap_or_default().findings_cut;
        if let Some(why) = answer.skipped {
            self.skipped.push(Skipped { path: path.clone(), why });
        }
        self.findings.extend(answer.findings.into_iter().map(|finding| Found { path: path.clone(), finding }));
    }

    /// Puts everything in the order in which it is read.
    pub(crate) fn sort(&mut self) {
        self.findings.sort_by(|a, b| {
            let key =
                |found: &Found| (std::cmp::Reverse(found.finding.severity), found.finding.line, found.finding.column);
            let ((a_severity, a_line, a_column), (b_severity, b_line, b_column)) = (key(a), key(b));
            (a_severity, &a.path, a_line, a_column, &a.finding.rule).cmp(&(
                b_severity,
                &b.path,
                b_line,
                b_column,
                &b.finding.rule,
            ))
        });
        self.skipped.sort();
        self.failed.sort();
    }

    /// How many findings there are of a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|found| found.finding.severity == severity).count()
    }

    /// How many files were left out for each reason.
    pub(crate) fn skips(&self) -> BTreeMap<Skip, u64> {
        let mut counts = BTreeMap::new();
        self.skipped.iter().for_each(|skipped| *counts.entry(skipped.why).or_default() += 1);
        counts
    }

    /// Tasks per second, while there was something to do.
    pub(crate) fn throughput(&self) -> f64 {
        let tasks = u32::try_from(self.ended).unwrap_or(u32::MAX);
        f64::from(tasks) / self.took.saturating_sub(self.idle).as_secs_f64().max(0.001)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nova_types::{Code, Outcome, Skill, UnixMillis, Usage, WorkerId};
    use nova_wire::Payload;

    use super::*;

    /// A task that ended.
    pub(crate) fn ended(kind: OutcomeKind, attempt: u32, body: &str) -> TaskOutcome {
        let outcome = Outcome {
            kind,
            task: "s.n".parse().expect("an id"),
            skill: Skill::new("code-review").expect("a skill"),
            attempt,
            worker: Some(WorkerId::new("w1").expect("a name")),
            nonce: None,
            submitted: None,
            started: None,
            finished: UnixMillis(0),
            code: (kind != OutcomeKind::Completed).then(|| Code::new("timeout")),
            usage: Usage::default(),
        };
        TaskOutcome { outcome, body: Payload::json(body.to_owned()) }
    }

    /// A report of two files with three findings.
    pub(crate) fn sample() -> Report {
        let mut report = Report { run: "r1".into(), tasks: 3, took: Duration::from_secs(2), ..Report::default() };
        report.files = 3;
        let finding = |rule: &str, severity: &str, line: u64| {
            format!(
                r#"{{"rule":"{rule}","severity":"{severity}","message":"about {rule}","line":{line},"column":2,"end_line":{line},"end_column":5,"snippet":"x","fingerprint":"f-{line}"}}"#
            )
        };
        let body = format!(
            r#"{{"lines":9,"findings":[{},{}]}}"#,
            finding("rust/todo", "info", 3),
            finding("rust/unwrap", "warning", 7)
        );
        report.end("b c.rs".into(), &ended(OutcomeKind::Completed, 1, &body));
        let body = format!(
            r#"{{"lines":1,"findings":[{}],"metrics":{{"findings_cut":4}}}}"#,
            finding("rust/unwrap", "error", 1)
        );
        report.end("a.rs".into(), &ended(OutcomeKind::Completed, 2, &body));
        report.end("d.rs".into(), &ended(OutcomeKind::Dead, 3, r#"{"code":"timeout","message":"too slow"}"#));
        report.skip("e.png".into(), Skip::UnsupportedLanguage);
        report.sort();
        report
    }

    #[test]
    fn outcomes_add_up() {
        let report = sample();
        assert_eq!((report.ended, report.attempts, report.lines, report.cut), (3, 6, 10, 4));
        let order: Vec<&str> = report.findings.iter().map(|found| found.path.as_str()).collect();
        assert_eq!(order, ["a.rs", "b c.rs", "b c.rs"]);
        assert_eq!(report.count(Severity::Warning), 1);
        assert_eq!((report.failed.len(), report.failed[0].message.as_str()), (1, "too slow"));
        assert_eq!(report.by_worker["w1"], 3);
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_a_failure_of_its_file() {
        let mut report = Report::default();
        report.end("a.rs".into(), &ended(OutcomeKind::Completed, 1, r#"{"findings":7}"#));
        assert_eq!(report.failed[0].code, "garbled_answer");
    }
}
