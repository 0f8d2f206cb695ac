//! Who may do what: the permission templates of `nats/accounts`, filled in, and the server configuration they make.

use std::time::Duration;

use nova_types::{InvalidId, Scope, Skill, WorkerId};

mod fleet;
mod template;
mod users;

pub use fleet::{Fleet, FleetError};
pub use users::{InvalidSecret, Secret, User, users_config};

use template::{Template, Values};

/// What a user is in the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Submits tasks under one scope.
    Submitter {
        /// The scope.
        scope: Scope,
        /// The skills it may use; `None` for all, those that come later included.
        skills: Option<Vec<Skill>>,
    },
    /// Works for its skills; the user's name is the worker's.
    Worker {
        /// The skills.
        skills: Vec<Skill>,
    },
    /// Moves tasks and runs, sweeps and trims.
    Coordinator {
        /// Every skill of the catalogue.
        skills: Vec<Skill>,
    },
    /// Does everything.
    Operator,
    /// Looks.
    Viewer,
}

impl Role {
    /// Its name.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Submitter { .. } => "submitter",
            Self::Worker { .. } => "worker",
            Self::Coordinator { .. } => "coordinator",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
        }
    }

    /// The template as it stands in the repository.
    #[must_use]
    pub const fn template(&self) -> &'static str {
        match self {
            Self::Submitter { .. } => include_str!("../../accounts/submitter.toml"),
            Self::Worker { .. } => include_str!("../../accounts/worker.toml"),
            Self::Coordinator { .. } => include_str!("../../accounts/coordinator.toml"),
            Self::Operator => include_str!("../../accounts/operator.toml"),
            Self::Viewer => include_str!("../../accounts/viewer.toml"),
        }
    }
}

/// A user's name: one token, so that its inbox is a subject of its own.
///
/// The process connects with the inbox prefix [`inbox`](Self::inbox); a worker's name is its worker id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserName(WorkerId);

impl UserName {
    /// Checks `text` and wraps it.
    ///
    /// # Errors
    /// [`InvalidId`] when it is not 1 to 64 characters of `[A-Za-z0-9_-]`.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        WorkerId::new(text.into()).map(Self)
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The prefix of its inboxes.
    #[must_use]
    pub fn inbox(&self) -> String {
        format!("_INBOX_{}", self.0)
    }
}

/// The right to answer wherever a question wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Responses {
    /// How many answers to one question.
    pub max: u32,
    /// For how long after it.
    pub expires: Duration,
}

/// Exactly what a user may publish and subscribe; what is not listed is denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may subscribe to.
    pub subscribe: Vec<String>,
    /// Whether it may answer.
    pub allow_responses: Option<Responses>,
}

/// What a user of this name and role may do.
#[must_use]
pub fn permissions(name: &UserName, role: &Role) -> Permissions {
    let names = |skills: &[Skill]| skills.iter().map(ToString::to_string).collect();
    let values = match role {
        Role::Submitter { scope, skills } => Values {
            skills: skills.as_deref().map_or_else(|| vec!["*".to_owned()], names),
            scope: Some(scope.to_string()),
            ..Values::of(name)
        },
        Role::Worker { skills } | Role::Coordinator { skills } => Values { skills: names(skills), ..Values::of(name) },
        Role::Operator | Role::Viewer => Values::of(name),
    };
    Template::parse(role.template()).expect("the embedded templates are tested").fill(&values)
}

#[cfg(test)]
mod tests;
