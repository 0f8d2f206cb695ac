//! A run on the command line, and flags that say which runs are meant.

use nova_client::{QueryError, RunFilter, RunList, RunRow, RunsSought};
use nova_types::{Name, RunId, RunStatus, TaskId, WorkflowName, run_skill};

use crate::clock;
use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::filter::CommonArgs;
use crate::moment::Moment;
use crate::progress::Progress;

/// A run as a person writes it: its own id, or that of the task it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunWord {
    /// `scope.name`.
    Task(TaskId),
    /// The run's id.
    Run(RunId),
}

impl std::str::FromStr for RunWord {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('.') {
            text.parse().map(Self::Task).map_err(|error: nova_types::InvalidId| error.to_string())
        } else {
            RunId::new(text).map(Self::Run).map_err(|error| error.to_string())
        }
    }
}

impl RunWord {
    /// The ids it may stand for, most likely first: a plain word may be a name in the scope that was asked for.
    fn candidates(&self, cx: &Cx) -> Vec<RunId> {
        match self {
            Self::Task(task) => vec![RunId::of(task)],
            Self::Run(run) => {
                let scoped = cx.target.scope.clone().zip(Name::new(run.as_str()).ok());
                let scoped = scoped.map(|(scope, name)| RunId::of(&TaskId::new(scope, name)));
                std::iter::once(run.clone()).chain(scoped.filter(|other| other != run)).collect()
            }
        }
    }

    /// The run as its last transition left it.
    pub(crate) async fn find(&self, cx: &Cx) -> Result<RunRow, Failure> {
        let mut unknown = None;
        for run in self.candidates(cx) {
            match cx.client.run_summary(&run).await {
                Ok(row) => return Ok(row),
                Err(error @ QueryError::UnknownRun { .. }) => unknown = unknown.or(Some(error)),
                Err(error) => return Err(error.into()),
            }
        }
        let unknown: Failure = unknown.expect("there is one candidate at least").into();
        Err(self.unstarted(cx).await.unwrap_or(unknown))
    }

    /// What became of a run without a history: it is on its way, or could not start.
    async fn unstarted(&self, cx: &Cx) -> Option<Failure> {
        let task = match self {
            Self::Task(task) => task.clone(),
            Self::Run(run) => TaskId::new(cx.plain_scope(), Name::new(run.as_str()).ok()?),
        };
        if let Ok(Some(ended)) = cx.client.result(&run_skill(), &task).await {
            let why = ended.error().map(|error| format!("{}: {}", error.code, error.message)).unwrap_or_default();
            let text = format!("run {task} never started, and is {}: {why}", ended.outcome.kind);
            return Some(Failure::new(Exit::NOT_FOUND, "not_started", text));
        }
        let view = cx.client.show(&run_skill(), &task).await.ok()?;
        let state = crate::filter::state_word(view.state);
        let text = format!("run {task} has not started yet: its task is {state}");
        let help = format!("why: nova why {task} --skill {}", run_skill());
        Some(Failure::new(Exit::NOT_FOUND, "not_started", text).help(help))
    }
}

/// Reads a status's name.
fn status(text: &str) -> Result<RunStatus, String> {
    RunStatus::from_word(text).ok_or_else(|| {
        let all: Vec<&str> = RunStatus::ALL.iter().map(|status| status.as_str()).collect();
        format!("not a status: {}", all.join(", "))
    })
}

/// Which runs.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(crate) struct RunFilterArgs {
    /// Only in this status: queued, running, paused, undoing, completed, failed, cancelled; may be given several times
    #[arg(long, value_name = "STATUS", value_parser = status, value_delimiter = ',')]
    status: Vec<RunStatus>,
    /// Only of this workflow
    #[arg(long, value_name = "WORKFLOW")]
    workflow: Option<WorkflowName>,
    /// Only with this key
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only started before then: 1h, 2026-11-22T18:00:00Z
    #[arg(long, value_name = "WHEN")]
    until: Option<Moment>,
    #[command(flatten)]
    common: CommonArgs,
}

impl RunFilterArgs {
    /// Whether anything narrows it down; a limit does not.
    pub(crate) fn is_narrow(&self) -> bool {
        !self.status.is_empty()
            || self.workflow.is_some()
            || self.key.is_some()
            || self.until.is_some()
            || self.common.is_narrow()
    }

    /// As the client takes it.
    pub(crate) fn filter(&self, limit: usize) -> RunFilter {
        RunFilter {
            statuses: self.status.clone(),
            workflow: self.workflow.clone(),
            key: self.key.clone(),
            since: self.common.since(),
            until: self.until.map(|until| until.past(clock::now())),
            labels: self.common.labels(),
            limit: self.common.limit.unwrap_or(limit),
            ..RunFilter::default()
        }
    }
}

/// Seeks runs, and shows how far it is while that takes long.
pub(crate) async fn seek(cx: &Cx, filter: &RunFilter) -> Result<RunList, Failure> {
    let progress = Progress::spinner(&cx.out, "looking for runs");
    let told = |sought: RunsSought| {
        let (looked, back_to) = (sought.transitions, cx.out.moment(sought.back_to));
        progress.note(format!("looking for runs: {looked} transitions, back to {back_to}"));
    };
    Ok(cx.client.seek_runs(filter, told).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_id_or_its_tasks() {
        assert!(matches!("nightly".parse(), Ok(RunWord::Run(_))));
        assert!(matches!("cli.018f".parse(), Ok(RunWord::Task(_))));
        for bad in ["", "a b", "a.b.c", "ä"] {
            assert!(bad.parse::<RunWord>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_status_that_is_none_is_answered_with_those_there_are() {
        assert_eq!(status("paused"), Ok(RunStatus::Paused));
        assert!(status("dead").expect_err("no status of a run").contains("failed"));
    }
}
