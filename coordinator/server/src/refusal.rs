//! How a request is refused: the headers every NATS service uses.

use bytes::Bytes;
use nova_broker::{BrokerError, Message, PublishError};
use nova_types::Skill;
use nova_wire::Headers;

/// The code of a refusal.
const ERROR_CODE: &str = "Nats-Service-Error-Code";
/// Its words.
const ERROR: &str = "Nats-Service-Error";

/// A request that is not carried out, with the code HTTP would give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Refusal {
    /// The request itself is wrong.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { code: 400, message: message.into() }
    }

    /// There is no queue for the skill.
    pub(crate) fn unknown_skill(skill: &Skill) -> Self {
        Self { code: 404, message: format!("no skill `{skill}` is provisioned") }
    }

    /// Everything is taken; later there may be room.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { code: 429, message: message.into() }
    }

    /// The broker could not be asked.
    pub(crate) fn broker(error: &BrokerError) -> Self {
        Self { code: 503, message: format!("the broker could not be asked: {error}") }
    }

    /// A publish that failed.
    pub(crate) fn publish(skill: &Skill, error: &PublishError) -> Self {
        match error {
            PublishError::NoStream { .. } => Self::unknown_skill(skill),
            PublishError::Full { .. } => Self::busy(error.to_string()),
            PublishError::TooLarge { .. } => Self { code: 413, message: error.to_string() },
            PublishError::Unknown { .. } => Self { code: 503, message: error.to_string() },
            PublishError::Conflict { .. } => Self { code: 409, message: error.to_string() },
            PublishError::Refused { description, .. } => Self::bad(format!("the broker refused it: {description}")),
        }
    }

    /// The answer that says so.
    pub(crate) fn answer(&self, to: String) -> Message {
        // A header is one line, whatever the words of the cause.
        let words: String = self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let headers = Headers::new().with(ERROR, words).with(ERROR_CODE, self.code.to_string());
        Message::new(to, Bytes::new()).with_headers(headers)
    }
}
