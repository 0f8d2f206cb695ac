//! A task on the command line: its id, and the skill it is found by.

use nova_client::QueryError;
use nova_types::{Name, RunId, Skill, TaskId, run_skill};

use crate::cx::Cx;
use crate::failure::Failure;

/// An id as a person writes it: with a scope or plain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Id {
    /// `scope.name`.
    Full(TaskId),
    /// `name`.
    Plain(Name),
}

impl std::str::FromStr for Id {
    type Err = nova_types::InvalidId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('.') { text.parse().map(Self::Full) } else { Name::new(text).map(Self::Plain) }
    }
}

impl Id {
    /// The task's whole id; a plain one is in the scope that was asked for, else in the plain one.
    pub(crate) fn in_scope_of(&self, cx: &Cx) -> TaskId {
        match self {
            Self::Full(id) => id.clone(),
            Self::Plain(name) => TaskId::new(cx.plain_scope(), name.clone()),
        }
    }
}

/// One task.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TaskArg {
    /// The task's id
    #[arg(value_name = "ID")]
    pub(crate) id: Id,
    /// The task's skill, where several know the id or searching is not allowed
    #[arg(long, value_name = "SKILL")]
    pub(crate) skill: Option<Skill>,
}

impl TaskArg {
    /// The task and its skill, looked for unless it was said.
    pub(crate) async fn find(&self, cx: &Cx) -> Result<(Skill, TaskId), Failure> {
        find(cx, &self.id, self.skill.as_ref()).await
    }
}

/// A task's whole id and its skill; the id of a run is that of its task.
pub(crate) async fn find(cx: &Cx, id: &Id, skill: Option<&Skill>) -> Result<(Skill, TaskId), Failure> {
    let task = id.in_scope_of(cx);
    if let Some(skill) = skill {
        return Ok((skill.clone(), task));
    }
    let error = match cx.client.find_skill(&task).await {
        Ok(skill) => return Ok((skill, task)),
        Err(error) => error,
    };
    if let (QueryError::UnknownTask { .. }, Id::Plain(name)) = (&error, id)
        && let Ok(run) = RunId::new(name.as_str())
        && let Ok(row) = cx.client.run_summary(&run).await
    {
        return Ok((run_skill(), row.summary.task));
    }
    let failure = Failure::from(error);
    // Who may not look everywhere may still ask for what is its own.
    Err(if failure.code == "broker" { failure.help("--skill NAME spares the search") } else { failure })
}
