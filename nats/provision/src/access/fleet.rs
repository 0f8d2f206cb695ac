//! A fleet's users, read from a file: `[users.<name>]` with a role and a reference to a secret.

use std::collections::BTreeMap;

use nova_types::{InvalidId, Scope, Skill, run_skill};
use serde::Deserialize;

use super::{InvalidSecret, Role, Secret, User, UserName, users_config};
use crate::Catalogue;

/// A fleet file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// It is not the TOML it should be; the source says where.
    #[error("could not understand the fleet file {file}")]
    Syntax {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A user's name is none.
    #[error("{file}: [users.{user}] has no usable name")]
    Name {
        /// The file.
        file: String,
        /// The name.
        user: String,
        /// Why.
        #[source]
        source: InvalidId,
    },
    /// A user's secret has not the right form.
    #[error("{file}: [users.{user}] has no usable secret")]
    Secret {
        /// The file.
        file: String,
        /// The user.
        user: String,
        /// Why.
        #[source]
        source: InvalidSecret,
    },
    /// A user is described in a way its role does not allow.
    #[error("{file}: [users.{user}] {problem}")]
    Role {
        /// The file.
        file: String,
        /// The user.
        user: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
}

impl FleetError {
    /// Whether it may go away by itself; a person has to edit the file.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// The users of a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fleet {
    /// All of them, by name.
    pub users: Vec<User>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    users: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    role: RoleName,
    scope: Option<Scope>,
    skills: Option<Vec<Skill>>,
    password_env: Option<String>,
    password_hash: Option<String>,
    nkey: Option<String>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RoleName {
    Submitter,
    Worker,
    Coordinator,
    Operator,
    Viewer,
}

impl Fleet {
    /// Reads a fleet's text; `file` is only for messages. Coordinators get every skill of the catalogue, and a worker's
    /// skills must be in it.
    ///
    /// ```
    /// let text = r#"
    /// [users.w1]
    /// role = "worker"
    /// skills = ["echo"]
    /// password_env = "NOVA_W1_PASSWORD"
    /// "#;
    /// let fleet = nova_provision::access::Fleet::parse("fleet.toml", text, &nova_provision::Catalogue::built_in())?;
    /// assert!(fleet.to_config().contains("nova.outcome.echo.>"));
    /// # Ok::<(), nova_provision::access::FleetError>(())
    /// ```
    ///
    /// # Errors
    /// [`FleetError`] for the first user that cannot be.
    pub fn parse(file: &str, text: &str, catalogue: &Catalogue) -> Result<Self, FleetError> {
        let parsed: File = toml::from_str(text)
            .map_err(|source| FleetError::Syntax { file: file.to_owned(), source: Box::new(source) })?;
        let users = parsed.users.into_iter().map(|(name, entry)| user(file, name, entry, catalogue));
        Ok(Self { users: users.collect::<Result<_, _>>()? })
    }

    /// The configuration to include in the server's.
    #[must_use]
    pub fn to_config(&self) -> String {
        users_config(&self.users)
    }
}

fn user(file: &str, name: String, entry: Entry, catalogue: &Catalogue) -> Result<User, FleetError> {
    let file = file.to_owned();
    let refuse = |problem: String| FleetError::Role { file: file.clone(), user: name.clone(), problem };
    let secret = match (entry.password_env, entry.password_hash, entry.nkey) {
        (Some(variable), None, None) => Secret::PasswordVariable(variable),
        (None, Some(hash), None) => Secret::PasswordHash(hash),
        (None, None, Some(key)) => Secret::Nkey(key),
        _ => return Err(refuse("needs exactly one of password_env, password_hash, nkey".to_owned())),
    };
    let secret =
        secret.checked().map_err(|source| FleetError::Secret { file: file.clone(), user: name.clone(), source })?;
    // Runs can be asked for like any task, but only coordinators work them.
    let is_run = |skill: &Skill| entry.role == RoleName::Submitter && *skill == run_skill();
    if let Some(unknown) = entry.skills.iter().flatten().find(|skill| catalogue.get(skill).is_none() && !is_run(skill))
    {
        return Err(refuse(format!("names skill {unknown}, which is not in the catalogue")));
    }
    if entry.skills.as_ref().is_some_and(Vec::is_empty) {
        return Err(refuse("has an empty list of skills".to_owned()));
    }
    let role = match (entry.role, entry.scope, entry.skills) {
        (RoleName::Submitter, Some(scope), skills) if scope.is_for_clients() => Role::Submitter { scope, skills },
        (RoleName::Submitter, Some(_), _) => {
            return Err(refuse("has a scope that belongs to Nova; only `_` may begin with _".to_owned()));
        }
        (RoleName::Submitter, None, _) => return Err(refuse("needs a scope".to_owned())),
        (RoleName::Worker, None, Some(skills)) => Role::Worker { skills },
        (RoleName::Worker, None, None) => return Err(refuse("needs skills = [...]".to_owned())),
        (RoleName::Coordinator, None, None) => Role::Coordinator { skills: catalogue.skills().cloned().collect() },
        (RoleName::Operator, None, None) => Role::Operator,
        (RoleName::Viewer, None, None) => Role::Viewer,
        (RoleName::Worker, Some(_), _) => return Err(refuse("has a scope; only submitters have one".to_owned())),
        (_, _, _) => return Err(refuse("has a scope or skills; only submitters and workers have those".to_owned())),
    };
    let name =
        UserName::new(&*name).map_err(|source| FleetError::Name { file: file.clone(), user: name.clone(), source })?;
    Ok(User { name, role, secret })
}
