//! Listing runs from the headers of their last transitions.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use nova_broker::{Scan, Stored};
use nova_types::{RunId, RunStatus, UnixMillis, WorkflowName};
use nova_wire::{RunSummary, assets, name, subject};

use crate::dead::{has_labels, until};
use crate::scan::walk_back;
use crate::{Client, QueryError};

/// Which runs are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// In one of these states; any when empty.
    pub statuses: Vec<RunStatus>,
    /// Of this workflow only.
    pub workflow: Option<WorkflowName>,
    /// With this key only.
    pub key: Option<String>,
    /// Started at or after this moment.
    pub since: Option<UnixMillis>,
    /// Started before this moment.
    pub until: Option<UnixMillis>,
    /// With all of these labels.
    pub labels: BTreeMap<String, String>,
    /// At most so many. Default 100.
    pub limit: usize,
    /// At most so many messages of the stream of runs are looked at, the newest. Default: all.
    pub depth: u64,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            workflow: None,
            key: None,
            since: None,
            until: None,
            labels: BTreeMap::new(),
            limit: 100,
            depth: u64::MAX,
        }
    }
}

/// How far a listing of runs has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunsSought {
    /// How many transitions were looked at.
    pub transitions: u64,
    /// When the oldest of them was stored.
    pub back_to: UnixMillis,
}

/// The runs that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunList {
    /// The runs, those that moved last first.
    pub rows: Vec<RunRow>,
    /// What was looked at; `None` of nothing.
    pub sought: Option<RunsSought>,
    /// Whether older transitions were left out for the sake of [`RunFilter::depth`].
    pub is_cut: bool,
}

/// How many transitions are looked at between two reports.
const REPORT_EVERY: u64 = 1000;

impl RunFilter {
    /// Whether a run is meant, the limit aside.
    #[must_use]
    pub fn matches(&self, row: &RunRow) -> bool {
        let run = &row.summary;
        (self.statuses.is_empty() || self.statuses.contains(&run.status))
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == run.workflow)
            && self.key.as_ref().is_none_or(|key| run.key.as_ref() == Some(key))
            && self.since.is_none_or(|since| run.started >= since)
            && self.until.is_none_or(|until| run.started < until)
            && has_labels(&self.labels, &run.labels)
    }
}

/// One run in a list, as its last transition left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// What its last transition says.
    pub summary: RunSummary,
    /// When that transition was stored, by the broker's clock.
    pub at: UnixMillis,
    /// Its sequence in the stream of runs.
    pub sequence: u64,
}

impl RunRow {
    fn read(stored: &Stored) -> Result<Self, QueryError> {
        let what = || format!("message {} of {}, {}", stored.sequence, assets::RUNS, stored.subject);
        let header = stored.headers.get(name::TRANSITION);
        let header =
            header.ok_or_else(|| QueryError::garbled_run(what(), format!("no {} header", name::TRANSITION)))?;
        let summary = RunSummary::parse(header).map_err(|source| QueryError::garbled_run(what(), source))?;
        Ok(Self { summary, at: stored.at, sequence: stored.sequence })
    }
}

impl Client {
    /// Lists runs, those that moved last first.
    ///
    /// Only headers are looked at, from the newest transition back, until the limit is reached, nothing older can be
    /// meant, or the stream ends. Records that cannot be read are left out.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunRow>, QueryError> {
        Ok(self.seek_runs(filter, |_| {}).await?.rows)
    }

    /// The same, and tells how far it has come: a filter that few runs pass reads long.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn seek_runs(
        &self,
        filter: &RunFilter,
        mut progress: impl FnMut(RunsSought) + Send,
    ) -> Result<RunList, QueryError> {
        let failed = || QueryError::broker("list the runs");
        let broker = &*self.inner.broker;
        let Some(stream) = broker.stream(assets::RUNS.to_owned()).await.map_err(failed())? else {
            return Ok(RunList { rows: Vec::new(), sought: None, is_cut: false });
        };
        let held = stream.last_sequence + 1 - stream.first_sequence.max(1).min(stream.last_sequence + 1);
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        let mut sought: Option<RunsSought> = None;
        let mut is_cut = filter.depth < held;
        let depth = held.min(filter.depth);
        walk_back(broker, assets::RUNS, subject::ALL_RUNS, stream.last_sequence, depth, |stored| {
            let transitions = sought.map_or(1, |sought| sought.transitions + 1);
            let now = RunsSought { transitions, back_to: stored.at };
            sought = Some(now);
            if transitions.is_multiple_of(REPORT_EVERY) {
                progress(now);
            }
            // What did not move since then did not start since then.
            if filter.since.is_some_and(|since| stored.at < since) {
                is_cut = false;
                return ControlFlow::Break(());
            }
            // The newest transition of a run comes first, and says it all.
            let run = subject::parse_run(&stored.subject).map(|(_, run)| run);
            if run.is_some_and(|run| seen.insert(run)) {
                rows.extend(RunRow::read(&stored).ok().filter(|row| filter.matches(row)));
            }
            let next = until(rows.len(), filter.limit);
            is_cut &= next.is_continue();
            next
        })
        .await
        .map_err(failed())?;
        Ok(RunList { rows, sought, is_cut })
    }

    /// A run as its last transition left it.
    ///
    /// # Errors
    /// [`QueryError::UnknownRun`], [`QueryError::GarbledRun`], [`QueryError::Broker`]; safe to call again.
    pub async fn run_summary(&self, run: &RunId) -> Result<RunRow, QueryError> {
        let scan = Scan::last_of_each(assets::RUNS, subject::run_of_any_partition(run), 1);
        let found = self.inner.broker.scan(scan).await.map_err(QueryError::broker(format!("read run {run}")))?;
        RunRow::read(found.first().ok_or_else(|| QueryError::UnknownRun { run: run.clone() })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> RunRow {
        let header = r#"running;run="a";workflow="w";version="1f";n=3;task="_.a";key="k";started=1000;done=1;total=2"#;
        let mut summary = RunSummary::parse(header).expect("well formed");
        summary.labels = [("team".to_owned(), "x".to_owned())].into();
        RunRow { summary, at: UnixMillis(2000), sequence: 9 }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut RunFilter), is_meant: bool) {
        let mut filter = RunFilter::default();
        change(&mut filter);
        assert_eq!(filter.matches(&row()), is_meant, "{filter:?}");
    }

    #[test]
    fn a_run_is_meant_when_all_of_the_filter_fits() {
        check(|_| {}, true);
        check(|f| f.statuses = vec![RunStatus::Failed, RunStatus::Running], true);
        check(|f| f.statuses = vec![RunStatus::Failed], false);
        check(|f| f.workflow = Some("v".parse().expect("a name")), false);
        check(|f| f.key = Some("k".into()), true);
        check(|f| f.key = Some("j".into()), false);
        check(|f| f.since = Some(UnixMillis(1000)), true);
        check(|f| f.since = Some(UnixMillis(1001)), false);
        check(|f| f.until = Some(UnixMillis(1000)), false);
        check(|f| f.labels = [("team".to_owned(), "x".to_owned())].into(), true);
        check(|f| f.labels = [("team".to_owned(), "y".to_owned())].into(), false);
    }
}
