//! The body of outcomes that are not `completed` and of attempts that failed.

use nova_types::Code;
use serde::{Deserialize, Serialize};

use crate::limits;

/// `{code, message, details}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The code to match on.
    pub code: Code,
    /// What happened, for a person.
    pub message: String,
    /// Whatever the skill adds; `null` when nothing.
    #[serde(default)]
    pub details: serde_json::Value,
}

impl ErrorBody {
    /// An error without details; an overlong message is cut.
    #[must_use]
    pub fn new(code: impl Into<Code>, message: &str) -> Self {
        Self {
            code: code.into(),
            message: limits::clip(message, limits::MESSAGE_BYTES).to_owned(),
            details: serde_json::Value::Null,
        }
    }
}
