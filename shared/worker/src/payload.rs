//! From a task's body to a skill's input, and from its output to the outcome's body.

use nova_wire::{ContentType, DecodeError, EncodeError, Payload};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A body as it is: checked to be well formed, not decoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Raw(pub Payload);

/// What can be a skill's input: anything serde can decode, or the bytes as they came in [`Raw`].
pub trait FromPayload: Sized + Send + 'static {
    /// Decodes the body.
    ///
    /// # Errors
    /// [`DecodeError`]; the task then ends as a dead letter, for no other attempt would read it better.
    fn from_payload(payload: Payload) -> Result<Self, DecodeError>;
}

/// What can be a skill's output: anything serde can encode, or bytes as they are in [`Raw`].
pub trait IntoPayload: Send + 'static {
    /// Encodes the result in the content type the task came in.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn into_payload(self, content_type: ContentType) -> Result<Payload, EncodeError>;
}

impl<T: DeserializeOwned + Send + 'static> FromPayload for T {
    fn from_payload(payload: Payload) -> Result<Self, DecodeError> {
        payload.decode()
    }
}

impl FromPayload for Raw {
    fn from_payload(payload: Payload) -> Result<Self, DecodeError> {
        payload.validate()?;
        Ok(Self(payload))
    }
}

impl<T: Serialize + Send + 'static> IntoPayload for T {
    fn into_payload(self, content_type: ContentType) -> Result<Payload, EncodeError> {
        Payload::encode(content_type, &self)
    }
}

impl IntoPayload for Raw {
    fn into_payload(self, _content_type: ContentType) -> Result<Payload, EncodeError> {
        Ok(self.0)
    }
}
