//! How a stream says no: the broker's own codes and words, before they become a port's error.

use crate::{BrokerError, PublishError};

/// A no of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u64,
    pub(super) description: String,
}

/// The expected sequence is not the last one.
pub(super) const WRONG_LAST_SEQUENCE: u64 = 10071;
/// A limit is reached.
pub(super) const STORE_FAILED: u64 = 10077;

impl Refusal {
    pub(super) fn new(code: u64, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }

    pub(super) fn of_publish(self, subject: &str) -> PublishError {
        let (subject, description) = (subject.to_owned(), self.description);
        match self.code {
            WRONG_LAST_SEQUENCE => PublishError::Conflict { subject },
            STORE_FAILED => PublishError::Full { subject, description },
            code => PublishError::Refused { subject, code, description },
        }
    }

    pub(super) fn of_request(self, what: impl Into<String>) -> BrokerError {
        BrokerError::Refused { what: what.into(), code: self.code, description: self.description }
    }
}
