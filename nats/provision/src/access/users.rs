//! The users of a fleet as nats-server configuration, to include in the server's own file.

use std::fmt::Write as _;

use super::{Permissions, Role, UserName, permissions};

/// How a user proves who it is; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// The name of an environment variable of the server that holds the password.
    PasswordVariable(String),
    /// The bcrypt hash of the password (`nats server passwd`).
    PasswordHash(String),
    /// The public part of an nkey (`nk -gen user -pubout`).
    Nkey(String),
}

/// A secret of a form the server would not take, or that is written out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    /// Not a variable's name.
    #[error("`{0}` is no name of an environment variable: A-Z, 0-9 and _, not beginning with a digit")]
    Variable(String),
    /// Not a bcrypt hash. The value is not repeated: it may be a password.
    #[error("the password hash is no bcrypt hash ($2a$... of 60 characters); `nats server passwd` makes one")]
    Hash,
    /// Not a public user nkey. The value is not repeated: it may be a seed.
    #[error("the nkey is no public user key (U and 55 more of A-Z 2-7); `nk -inkey FILE -pubout` shows it")]
    Nkey,
}

impl Secret {
    /// The same when its form is right.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn checked(self) -> Result<Self, InvalidSecret> {
        let is_right = match &self {
            Self::PasswordVariable(name) => {
                let is_word = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
                if !is_word || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(InvalidSecret::Variable(
                        name.chars().take(64).flat_map(char::escape_default).collect(),
                    ));
                }
                true
            }
            Self::PasswordHash(hash) => {
                hash.len() == 60
                    && hash.starts_with("$2")
                    && hash.bytes().all(|b| b.is_ascii_alphanumeric() || b"$./".contains(&b))
            }
            Self::Nkey(key) => {
                key.len() == 56
                    && key.starts_with('U')
                    && key.bytes().all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
            }
        };
        match (is_right, &self) {
            (true, _) => Ok(self),
            (false, Self::Nkey(_)) => Err(InvalidSecret::Nkey),
            (false, _) => Err(InvalidSecret::Hash),
        }
    }
}

/// One user of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: UserName,
    /// What it is.
    pub role: Role,
    /// How it proves who it is.
    pub secret: Secret,
}

/// The `authorization` block for a fleet's users, in nats-server's own format.
///
/// Write it to a file and `include` that in the server's configuration; `nats-server --signal reload` takes it up.
#[must_use]
pub fn users_config(users: &[User]) -> String {
    let mut out = String::from(
        "# Made by `nova provision users`; change the fleet file or the catalogue and make it again.\n\
         # What is not listed is denied. A denied publish shows as a time-out, and as an error in the client's log.\n\
         authorization {\n  users = [\n",
    );
    for user in users {
        let Permissions { publish, subscribe, allow_responses } = permissions(&user.name, &user.role);
        let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String cannot fail");
        line(format!("    {{ # {} ({})", user.name.as_str(), user.role.as_str()));
        match &user.secret {
            Secret::Nkey(key) => line(format!("      nkey: {key}")),
            Secret::PasswordHash(hash) => {
                line(format!("      user: \"{}\"", user.name.as_str()));
                line(format!("      password: \"{hash}\""));
            }
            Secret::PasswordVariable(name) => {
                line(format!("      user: \"{}\"", user.name.as_str()));
                line(format!("      password: ${name}"));
            }
        }
        line("      permissions: {".to_owned());
        for (what, subjects) in [("publish", publish), ("subscribe", subscribe)] {
            line(format!("        {what}: {{ allow: ["));
            subjects.into_iter().for_each(|subject| line(format!("          \"{subject}\"")));
            line("        ] }".to_owned());
        }
        if let Some(allowed) = allow_responses {
            let seconds = allowed.expires.as_secs();
            line(format!("        allow_responses: {{ max: {}, expires: \"{seconds}s\" }}", allowed.max));
        }
        line("      }".to_owned());
        line("    }".to_owned());
    }
    out.push_str("  ]\n}\n");
    out
}
