//! What a check found: a status and a sentence per item, and the numbers behind them.

use clap::ValueEnum;
use serde::Serialize;

/// How bad it is, in the order of monitoring plugins' exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    /// Nothing to do.
    Ok,
    /// Odd, but safe.
    Warning,
    /// Someone must act.
    Critical,
    /// It could not be found out.
    Unknown,
}

impl Status {
    /// The exit code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    /// The word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Critical outweighs what could not be found out, which outweighs a warning.
    const fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Unknown => 2,
            Self::Critical => 3,
        }
    }
}

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Item {
    /// The broker answers.
    Connection,
    /// Its assets are as they are wanted.
    Provision,
    /// Queues move.
    Queue,
    /// Nobody waits for a person.
    Dead,
    /// There are workers for every queue.
    Worker,
    /// There is a coordinator.
    Coordinator,
}

impl Item {
    /// The word in reports.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Provision => "provision",
            Self::Queue => "queue",
            Self::Dead => "dead",
            Self::Worker => "worker",
            Self::Coordinator => "coordinator",
        }
    }
}

/// One sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) status: Status,
    pub(super) item: Item,
    pub(super) text: String,
}

/// One number with its thresholds, 0 for none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Perf {
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skill: Option<String>,
    pub(super) value: f64,
    pub(super) warning: f64,
    pub(super) critical: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) unit: &'static str,
}

impl Perf {
    /// What the value means under its thresholds.
    pub(super) fn status(&self) -> Status {
        let over = |limit: f64| limit > 0.0 && self.value >= limit;
        if over(self.critical) {
            Status::Critical
        } else if over(self.warning) {
            Status::Warning
        } else {
            Status::Ok
        }
    }
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) perf: Vec<Perf>,
}

impl Report {
    /// Adds a sentence.
    pub(super) fn add(&mut self, status: Status, item: Item, text: impl Into<String>) {
        self.findings.push(Finding { status, item, text: text.into() });
    }

    /// Adds a number and what it means; a good one says nothing.
    pub(super) fn measure(&mut self, item: Item, perf: Perf, text: impl FnOnce() -> String) {
        let status = perf.status();
        self.perf.push(perf);
        if status != Status::Ok {
            self.add(status, item, text());
        }
    }

    /// Says that all is well, unless something was found already.
    pub(super) fn settle(&mut self, item: Item, text: impl Into<String>) {
        if !self.findings.iter().any(|finding| finding.item == item) {
            self.add(Status::Ok, item, text);
        }
    }

    /// The worst of all.
    pub(super) fn status(&self) -> Status {
        let all = self.findings.iter().map(|finding| finding.status);
        all.max_by_key(|status| status.weight()).unwrap_or(Status::Unknown)
    }

    /// The worst of one item, `None` when it was not checked.
    pub(super) fn status_of(&self, item: Item) -> Option<Status> {
        let its = self.findings.iter().filter(|finding| finding.item == item).map(|finding| finding.status);
        its.max_by_key(|status| status.weight())
    }
}
