//! What a skill's code says when it has no result.

use std::time::Duration;

use nova_types::{Code, codes};
use nova_wire::ErrorBody;

/// Why an attempt returned no result, and what shall become of the task.
///
/// Any error converts by `?` into a retry with code `error`.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Failed; another attempt may do better.
    Retry {
        /// The pause asked for; the task's backoff otherwise.
        after: Option<Duration>,
        /// What went wrong.
        error: ErrorBody,
    },
    /// Not now: come again after a pause. Uses up no attempt.
    Snooze {
        /// The pause.
        pause: Duration,
    },
    /// The task shall end as cancelled.
    Cancel,
    /// Failed for good: no attempt can do better.
    Reject {
        /// What went wrong.
        error: ErrorBody,
    },
}

impl Verdict {
    /// Failed; try again after the task's own backoff.
    #[must_use]
    pub fn retry(code: impl Into<Code>, message: impl AsRef<str>) -> Self {
        Self::Retry { after: None, error: ErrorBody::new(code, message.as_ref()) }
    }

    /// Failed; try again after this pause.
    #[must_use]
    pub fn retry_after(pause: Duration, code: impl Into<Code>, message: impl AsRef<str>) -> Self {
        Self::Retry { after: Some(pause), error: ErrorBody::new(code, message.as_ref()) }
    }

    /// Not now: come again after this pause, without using up an attempt.
    #[must_use]
    pub fn snooze(pause: Duration) -> Self {
        Self::Snooze { pause }
    }

    /// End the task as cancelled.
    #[must_use]
    pub fn cancel() -> Self {
        Self::Cancel
    }

    /// Failed for good.
    #[must_use]
    pub fn reject(code: impl Into<Code>, message: impl AsRef<str>) -> Self {
        Self::Reject { error: ErrorBody::new(code, message.as_ref()) }
    }

    /// Adds details to a failure; other verdicts have none.
    #[must_use]
    pub fn with_details(mut self, more: serde_json::Value) -> Self {
        if let Self::Retry { error, .. } | Self::Reject { error } = &mut self {
            error.details = more;
        }
        self
    }
}

impl<E: std::error::Error> From<E> for Verdict {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self::retry(codes::ERROR, message)
    }
}
