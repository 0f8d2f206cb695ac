//! The `Nova-Transition` header: what a run comes to at one message of its history, so that lists need no body.

use std::collections::BTreeMap;

use nova_types::{RunId, RunStatus, StepId, TaskId, UnixMillis, WorkflowName};

use crate::limits;
use crate::structured::{Item, StructuredError, push_integer, push_text};

/// A `Nova-Transition` header that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRunSummary {
    /// It is no structured item.
    #[error("transition header is malformed")]
    Malformed(#[from] StructuredError),
    /// Its token is none of the known statuses.
    #[error("run status `{0}` is unknown")]
    Status(String),
    /// A required parameter is missing or malformed.
    #[error("transition header lacks a valid `{0}`")]
    Parameter(&'static str),
}

/// A run in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// Where it stands.
    pub status: RunStatus,
    /// Which run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: WorkflowName,
    /// The definition it is pinned to, by hash.
    pub version: String,
    /// The number of its last transition.
    pub n: u64,
    /// The task that it is.
    pub task: TaskId,
    /// Its key, when its workflow has one.
    pub key: Option<String>,
    /// When it began.
    pub started: UnixMillis,
    /// When it ended.
    pub ended: Option<UnixMillis>,
    /// How many of its steps ended.
    pub done: u32,
    /// How many steps it has.
    pub total: u32,
    /// The step that failed it.
    pub failed: Option<StepId>,
    /// The run it is the child of.
    pub parent: Option<RunId>,
    /// The run it is a restart of.
    pub restart_of: Option<RunId>,
    /// Words to find it by; those that do not fit into the header are left out.
    pub labels: BTreeMap<String, String>,
}

/// The longest line of labels, in bytes: the header stays far below the limit of one.
const LABELS_BYTES: usize = 1024;
/// The longest key that is shown, in bytes.
const KEY_BYTES: usize = 256;

impl RunSummary {
    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut out = String::with_capacity(384);
        out.push_str(self.status.as_str());
        push_text(&mut out, "run", self.run.as_str());
        push_text(&mut out, "workflow", self.workflow.as_str());
        push_text(&mut out, "version", &self.version);
        push_integer(&mut out, "n", i64::try_from(self.n).unwrap_or(i64::MAX));
        push_text(&mut out, "task", &self.task.to_string());
        if let Some(key) = &self.key {
            push_text(&mut out, "key", limits::clip(key, KEY_BYTES));
        }
        push_integer(&mut out, "started", self.started.0);
        if let Some(ended) = self.ended {
            push_integer(&mut out, "ended", ended.0);
        }
        push_integer(&mut out, "done", i64::from(self.done));
        push_integer(&mut out, "total", i64::from(self.total));
        if let Some(step) = &self.failed {
            push_text(&mut out, "failed", step.as_str());
        }
        if let Some(parent) = &self.parent {
            push_text(&mut out, "parent", parent.as_str());
        }
        if let Some(run) = &self.restart_of {
            push_text(&mut out, "restart-of", run.as_str());
        }
        let labels = self.labels_line();
        if !labels.is_empty() {
            push_text(&mut out, "labels", &labels);
        }
        out
    }

    fn labels_line(&self) -> String {
        let mut line = String::new();
        for (key, value) in &self.labels {
            if line.len() + key.len() + value.len() + 2 <= LABELS_BYTES {
                if !line.is_empty() {
                    line.push(',');
                }
                line.push_str(key);
                line.push('=');
                line.push_str(value);
            }
        }
        line
    }

    /// Reads the header's value; unknown parameters are passed over.
    ///
    /// # Errors
    /// [`InvalidRunSummary`] when it is malformed, of an unknown status or lacks what every run has.
    pub fn parse(text: &str) -> Result<Self, InvalidRunSummary> {
        use InvalidRunSummary::Parameter;
        let item = Item::parse(text)?;
        let status = RunStatus::from_word(&item.token).ok_or_else(|| InvalidRunSummary::Status(item.token.clone()))?;
        let run = |key: &str| item.text(key).and_then(|text| RunId::new(text).ok());
        let count = |key: &str| item.integer(key).and_then(|number| u32::try_from(number).ok());
        let labels = item.text("labels").unwrap_or_default().split(',').filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.to_owned(), value.to_owned()))
        });
        Ok(Self {
            status,
            run: run("run").ok_or(Parameter("run"))?,
            workflow: item
                .text("workflow")
                .and_then(|text| WorkflowName::new(text).ok())
                .ok_or(Parameter("workflow"))?,
            version: item.text("version").ok_or(Parameter("version"))?.to_owned(),
            n: item.integer("n").and_then(|number| u64::try_from(number).ok()).ok_or(Parameter("n"))?,
            task: item.text("task").and_then(|text| text.parse().ok()).ok_or(Parameter("task"))?,
            key: item.text("key").map(ToOwned::to_owned),
            started: item.integer("started").map(UnixMillis).ok_or(Parameter("started"))?,
            ended: item.integer("ended").map(UnixMillis),
            done: count("done").unwrap_or_default(),
            total: count("total").unwrap_or_default(),
            failed: item.text("failed").and_then(|text| StepId::new(text).ok()),
            parent: run("parent"),
            restart_of: run("restart-of"),
            labels: labels.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = r#"failed;run="cli7-a";workflow="review";version="9f2c";n=7;task="cli7.a";key="pr 1%25";started=1795370000123;ended=1795370000999;done=3;total=4;failed="check";parent="p";restart-of="o";labels="a=b,team=x""#;

    #[test]
    fn the_golden_header_reads_and_writes_the_same() {
        let summary = RunSummary::parse(GOLDEN).expect("golden");
        assert_eq!((summary.key.as_deref(), summary.labels["team"].as_str()), (Some("pr 1%"), "x"));
        assert_eq!(summary.to_header(), GOLDEN);
    }

    #[test]
    fn what_is_absent_stays_absent() {
        let text = r#"running;run="a";workflow="w";version="v";n=1;task="_.a";started=5;done=0;total=1"#;
        let summary = RunSummary::parse(text).expect("golden");
        assert_eq!((summary.ended, summary.failed.clone(), summary.labels.len()), (None, None, 0));
        assert_eq!(summary.to_header(), text);
    }

    #[test]
    fn unknown_parameters_are_passed_over_and_missing_ones_named() {
        assert!(RunSummary::parse(&format!("{GOLDEN};later=\"x\"")).is_ok());
        assert_eq!(RunSummary::parse(r#"running;run="a""#), Err(InvalidRunSummary::Parameter("workflow")));
        assert_eq!(RunSummary::parse("walking"), Err(InvalidRunSummary::Status("walking".into())));
    }

    #[test]
    fn labels_beyond_the_limit_are_left_out() {
        let mut summary = RunSummary::parse(GOLDEN).expect("golden");
        summary.labels = (0..100).map(|n| (format!("key-{n:03}"), "v".repeat(60))).collect();
        let header = summary.to_header();
        assert!(header.len() < limits::HEADER_BYTES, "{}", header.len());
        assert!(!RunSummary::parse(&header).expect("well formed").labels.is_empty());
    }
}
