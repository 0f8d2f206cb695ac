//! What can go wrong while reading or steering the fleet.

use nova_broker::{BlobError, BrokerError, PublishError};
use nova_types::{RunId, Skill, TaskId, WorkflowName};

use crate::outcome::InvalidRecord;

/// A question or an order that could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Nothing is known of the task.
    #[error("task {task} is not known{}", of_skill(.skill.as_ref()))]
    UnknownTask {
        /// The task.
        task: TaskId,
        /// Where it was looked for; every skill when `None`.
        skill: Option<Skill>,
    },
    /// Several skills have a task of that id.
    #[error("task {task} exists for several skills: {}; name one", list(.skills))]
    Ambiguous {
        /// The task.
        task: TaskId,
        /// The skills that know it.
        skills: Vec<Skill>,
    },
    /// There is no queue for the skill.
    #[error("no queue for skill `{skill}`: is it provisioned?")]
    NoQueue {
        /// The skill.
        skill: Skill,
    },
    /// There is no worker of that name.
    #[error("worker `{worker}` is not present")]
    UnknownWorker {
        /// The worker.
        worker: String,
    },
    /// Nothing is recorded of the run.
    #[error("run {run} is not known")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// There is no workflow of that name, or no such version of it.
    #[error("workflow `{workflow}`{} is not known", of_version(.version.as_deref()))]
    UnknownWorkflow {
        /// The workflow.
        workflow: WorkflowName,
        /// Which version, where one was asked for.
        version: Option<String>,
    },
    /// Several versions of a workflow begin like that.
    #[error("version `{version}` of workflow `{workflow}` could be any of {}", .versions.join(", "))]
    AmbiguousVersion {
        /// The workflow.
        workflow: WorkflowName,
        /// What was asked for.
        version: String,
        /// What begins like that.
        versions: Vec<String>,
    },
    /// A record of a run or a workflow is none that this version of Nova can read.
    #[error("{what} cannot be understood; it may be of a later version of nova")]
    GarbledRun {
        /// What.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value of a run could not be read from the object store.
    #[error("could not read value `{name}`")]
    Value {
        /// The object.
        name: String,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// The broker did not answer, or refused.
    #[error("could not {what}")]
    Broker {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// A record could not be written.
    #[error("could not {what}")]
    Write {
        /// What was tried.
        what: String,
        /// Why.
        #[source]
        source: PublishError,
    },
    /// A large payload could not be read.
    #[error("could not read the payload of task {task}")]
    Payload {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// A record is not what the contract says.
    #[error("the record of task {task} cannot be understood")]
    Garbled {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: InvalidRecord,
    },
}

impl QueryError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownTask { .. } => "unknown_task",
            Self::Ambiguous { .. } => "ambiguous_task",
            Self::NoQueue { .. } => "no_queue",
            Self::UnknownWorker { .. } => "unknown_worker",
            Self::UnknownRun { .. } => "unknown_run",
            Self::UnknownWorkflow { .. } => "unknown_workflow",
            Self::AmbiguousVersion { .. } => "ambiguous_version",
            Self::GarbledRun { .. } => "garbled_record",
            Self::Value { .. } => "bad_blob",
            Self::Broker { .. } => "broker",
            Self::Write { .. } => "write",
            Self::Payload { .. } => "bad_blob",
            Self::Garbled { .. } => "garbled_record",
        }
    }

    /// Whether the same request may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Broker { source, .. } => source.is_transient(),
            Self::Write { source, .. } => source.is_transient(),
            Self::Payload { source, .. } | Self::Value { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Whether it says that what was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::UnknownTask { .. }
                | Self::NoQueue { .. }
                | Self::UnknownWorker { .. }
                | Self::UnknownRun { .. }
                | Self::UnknownWorkflow { .. }
        )
    }

    pub(crate) fn broker(what: impl Into<String>) -> impl FnOnce(BrokerError) -> Self {
        let what = what.into();
        move |source| Self::Broker { what, source }
    }

    pub(crate) fn garbled_run(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::GarbledRun { what: what.into(), source: source.into() }
    }
}

pub(crate) fn list(skills: &[Skill]) -> String {
    skills.iter().map(Skill::as_str).collect::<Vec<_>>().join(", ")
}

fn of_skill(skill: Option<&Skill>) -> String {
    skill.map(|skill| format!(" for skill `{skill}`")).unwrap_or_default()
}

fn of_version(version: Option<&str>) -> String {
    version.map(|version| format!(" in version `{version}`")).unwrap_or_default()
}
