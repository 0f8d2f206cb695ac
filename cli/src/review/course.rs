//! How a review goes: gathered from the transitions of its run, then from what the broker recorded of its tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_review::{Report, Severity};
use nova_types::{RunId, StepId};
use nova_workflow::{Decision, Event, Failure as StepFailure, Part, Role, Transition};
use serde::Serialize;
use tokio::time::Instant;

use super::verify::{Records, Verified};

/// When nothing ended for so long, the time before the next end counts as idle.
const IDLE: Duration = Duration::from_secs(1);

/// The step that has one task per file.
pub(crate) fn review_step() -> StepId {
    StepId::new("review").expect("small letters make a step")
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
pub(crate) struct Reviewed {
    /// What was found.
    pub(crate) report: Report,
    /// How it went.
    pub(crate) course: Course,
}

/// How a review went.
#[derive(Debug, Default)]
pub(crate) struct Course {
    /// The run; none where there was nothing to review.
    pub(crate) run: Option<RunId>,
    /// Tasks that review a file.
    pub(crate) tasks: u64,
    /// How many of them ended.
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
    /// Files whose task did not complete.
    pub(crate) failed: Vec<Failed>,
    /// From the start of the run to its end.
    pub(crate) took: Duration,
    /// From the first task that reviews a file to the end of the last.
    pub(crate) reviewing: Duration,
    /// How much of that nothing ended: workers were missing, or leases of killed ones were waited for.
    pub(crate) idle: Duration,
    /// Whether the records are as they must be.
    pub(crate) verified: Option<Verified>,
    /// How many transitions its history has, once it was folded again with the same decisions.
    pub(crate) replayed: Option<u64>,
    failures: BTreeMap<u32, StepFailure>,
    began: Option<Instant>,
    ended_last: Option<Instant>,
}

impl Course {
    /// The course of a run that was just started.
    pub(crate) fn of(run: RunId) -> Self {
        Self { run: Some(run), ..Self::default() }
    }

    /// The run's id as a word.
    pub(crate) fn run_word(&self) -> &str {
        self.run.as_ref().map_or("", RunId::as_str)
    }

    /// Takes note of a transition.
    pub(crate) fn take(&mut self, transition: &Transition, now: Instant) {
        for event in &transition.events {
            match event {
                Event::Items(items) if items.step == review_step() => {
                    let failed = items.failed.iter().map(|lost| (lost.item, lost.error.clone()));
                    self.end(items.done.items.len() + items.failed.len(), now);
                    self.failures.extend(failed);
                }
                Event::Ended(ends) => {
                    for end in ends.iter().filter(|end| is_review(&end.part)) {
                        self.end(1, now);
                        self.failures.extend(end.error.clone().map(|error| (end.part.index, error)));
                    }
                }
                _ => {}
            }
        }
        for decision in &transition.decisions {
            if let Decision::Start { step, role: Role::Work, to, .. } = decision
                && *step == review_step()
            {
                self.tasks = self.tasks.max(u64::from(*to));
                self.began.get_or_insert(now);
            }
        }
    }

    fn end(&mut self, count: usize, now: Instant) {
        if count == 0 {
            return;
        }
        self.ended += count as u64;
        let before = self.ended_last.or(self.began).unwrap_or(now);
        let gap = now.duration_since(before);
        if gap > IDLE {
            self.idle += gap;
        }
        self.ended_last = Some(now);
        self.reviewing = now.duration_since(self.began.unwrap_or(now));
    }

    /// Takes note of what the broker recorded.
    pub(crate) fn record(&mut self, records: Records) {
        self.attempts = records.attempts;
        self.by_worker = records.by_worker;
        self.verified = Some(records.verified);
    }

    /// Names the files whose review failed, with their tasks and why.
    pub(crate) fn name_failed(&mut self, report: &Report, task_of: impl Fn(u32) -> String) {
        let named = report.failed.iter().map(|failed| {
            let why = self.failures.get(&failed.item);
            let (code, message) = match why {
                Some(why) => (why.code.to_string(), why.message.clone()),
                None => (failed.code.clone(), failed.message.clone()),
            };
            Failed { path: failed.path.clone(), task: task_of(failed.item), code, message }
        });
        self.failed = named.collect();
        self.failed.sort();
    }

    /// Tasks per second, while there was something to do.
    pub(crate) fn throughput(&self) -> f64 {
        let tasks = u32::try_from(self.ended).unwrap_or(u32::MAX);
        f64::from(tasks) / self.reviewing.saturating_sub(self.idle).as_secs_f64().max(0.001)
    }
}

impl Reviewed {
    /// How many findings there are of a severity.
    pub(crate) fn count(&self, severity: Severity) -> usize {
        usize::try_from(self.report.counts.of(severity)).unwrap_or(usize::MAX)
    }
}

fn is_review(part: &Part) -> bool {
    part.step == review_step() && part.role == Role::Work
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn transition(value: Value) -> Transition {
        let mut whole = json!({"v": 1, "n": 1, "at": 0, "emitted": 0});
        whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    /// A review of three files with three findings, one of which failed, and one that was left out.
    pub(crate) fn sample() -> Reviewed {
        let finding = |path: &str, rule: &str, severity: &str, line: u64| {
            json!({"path": path, "rule": rule, "severity": severity, "message": format!("about {rule}"), "line": line,
                "column": 2, "end_line": line, "end_column": 5, "snippet": "x", "fingerprint": "f"})
        };
        let report: Report = serde_json::from_value(json!({
            "root": "/r", "files": 4, "reviewed": 2, "lines": 10, "counts": {"errors": 1, "warnings": 1, "infos": 1},
            "findings": [finding("a.rs", "rust/unwrap", "error", 1), finding("b c.rs", "rust/unwrap", "warning", 7),
                finding("b c.rs", "rust/todo", "info", 3)],
            "findings_cut": 4, "skipped": [{"path": "e.png", "why": "unsupported_language"}],
            "failed": [{"path": "d.rs", "item": 2, "code": "failed", "message": "its review did not complete"}],
        }))
        .unwrap();
        let now = Instant::now();
        let mut course = Course::of(RunId::new("r1").unwrap());
        course.take(&transition(json!({"decisions": [{"start": {"step": "review", "from": 0, "to": 3}}]})), now);
        let items = json!({"step": "review", "done": {"items": [0, 1], "results": {"inline": [1, 2]}},
            "failed": [{"item": 2, "error": {"code": "timeout", "message": "too slow"}}]});
        course.take(&transition(json!({"events": [{"items": items}]})), now + Duration::from_millis(500));
        (course.took, course.reviewing) = (Duration::from_secs(2), Duration::from_millis(1500));
        let verified = Verified { once: 3, none: 0, more: 0 };
        course.record(Records {
            verified,
            attempts: 6,
            by_worker: [("w1".to_owned(), 3)].into(),
            ..Records::default()
        });
        course.verified = None;
        course.name_failed(&report, |item| format!("s.n{item}"));
        Reviewed { report, course }
    }

    #[test]
    fn transitions_add_up() {
        let course = sample().course;
        assert_eq!((course.tasks, course.ended, course.attempts), (3, 3, 6));
        let failed =
            Failed { path: "d.rs".into(), task: "s.n2".into(), code: "timeout".into(), message: "too slow".into() };
        assert_eq!(course.failed, [failed]);
        assert_eq!(course.idle, Duration::ZERO);
    }

    #[test]
    fn time_without_an_end_is_idle() {
        let now = Instant::now();
        let mut course = Course::default();
        course.take(&transition(json!({"decisions": [{"start": {"step": "review", "from": 0, "to": 2}}]})), now);
        let ended = |item: u32| {
            transition(
                json!({"events": [{"items": {"step": "review", "done": {"items": [item], "results": {"inline": [1]}}}}]}),
            )
        };
        course.take(&ended(0), now + Duration::from_millis(100));
        course.take(&ended(1), now + Duration::from_millis(5100));
        assert_eq!((course.idle, course.reviewing), (Duration::from_secs(5), Duration::from_millis(5100)));
        assert!((course.throughput() - 20.0).abs() < 1e-9);
        // Other steps are none of the review's tasks.
        course.take(&transition(json!({"decisions": [{"start": {"step": "report", "from": 0, "to": 1}}]})), now);
        assert_eq!(course.tasks, 2);
    }
}
