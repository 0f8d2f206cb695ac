//! A body and what it is encoded in: JSON or MessagePack, checked before it is decoded.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::depth::{TooDeep, check_json, check_msgpack};
use crate::limits;

/// The two encodings of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ContentType {
    /// `application/json`, assumed when nothing is said.
    #[default]
    Json,
    /// `application/msgpack`, with named maps.
    MsgPack,
}

impl ContentType {
    /// The media type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MsgPack => "application/msgpack",
        }
    }

    /// The encoding a media type names; parameters such as a charset are passed over.
    #[must_use]
    pub fn from_media_type(text: &str) -> Option<Self> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        [Self::Json, Self::MsgPack].into_iter().find(|kind| essence.eq_ignore_ascii_case(kind.as_str()))
    }
}

/// A body that is not what its content type says.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Too deep, or it declares more than it holds.
    #[error(transparent)]
    Shape(#[from] TooDeep),
    /// Not JSON, or not the type wanted.
    #[error("body is not the JSON that was expected")]
    Json(#[source] serde_json::Error),
    /// Not MessagePack, or not the type wanted.
    #[error("body is not the MessagePack that was expected")]
    MsgPack(#[source] rmp_serde::decode::Error),
}

impl DecodeError {
    /// The code of the dead letter this leads to.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Shape(TooDeep::Depth { .. }) => nova_types::codes::TOO_DEEP,
            _ => nova_types::codes::BAD_INPUT,
        }
    }
}

/// A value that cannot be written in its content type.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// It has no JSON form.
    #[error("could not encode the value as JSON")]
    Json(#[source] serde_json::Error),
    /// It has no MessagePack form.
    #[error("could not encode the value as MessagePack")]
    MsgPack(#[source] rmp_serde::encode::Error),
}

/// A body with its content type.
///
/// ```
/// use nova_wire::{ContentType, Payload};
/// let payload = Payload::encode(ContentType::MsgPack, &serde_json::json!({"a": 1}))?;
/// assert_eq!(payload.to_json()?, serde_json::json!({"a": 1}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payload {
    /// What the bytes are.
    pub content_type: ContentType,
    /// The bytes; none at all means `null`.
    pub bytes: Bytes,
}

impl Payload {
    /// Encodes a value.
    ///
    /// # Errors
    /// [`EncodeError`] when the value has no form in that encoding, such as a map with keys that are no text in JSON.
    pub fn encode<T: Serialize + ?Sized>(content_type: ContentType, value: &T) -> Result<Self, EncodeError> {
        let bytes = match content_type {
            ContentType::Json => serde_json::to_vec(value).map_err(EncodeError::Json)?,
            ContentType::MsgPack => rmp_serde::to_vec_named(value).map_err(EncodeError::MsgPack)?,
        };
        Ok(Self { content_type, bytes: bytes.into() })
    }

    /// A JSON body from its bytes.
    #[must_use]
    pub fn json(bytes: impl Into<Bytes>) -> Self {
        Self { content_type: ContentType::Json, bytes: bytes.into() }
    }

    /// Checks nesting and declared lengths, without decoding.
    ///
    /// # Errors
    /// [`DecodeError::Shape`].
    pub fn check(&self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        match self.content_type {
            ContentType::Json => check_json(&self.bytes, limits::DEPTH)?,
            ContentType::MsgPack => check_msgpack(&self.bytes, limits::DEPTH)?,
        }
        Ok(())
    }

    /// Checks that the bytes are one well-formed value, whatever its type.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn validate(&self) -> Result<(), DecodeError> {
        self.decode::<serde::de::IgnoredAny>().map(|_| ())
    }

    /// Decodes the body; an empty one is `null`.
    ///
    /// # Errors
    /// [`DecodeError`] when it is too deep, malformed or of another type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.check()?;
        match self.content_type {
            _ if self.bytes.is_empty() => serde_json::from_slice(b"null").map_err(DecodeError::Json),
            ContentType::Json => serde_json::from_slice(&self.bytes).map_err(DecodeError::Json),
            ContentType::MsgPack => rmp_serde::from_slice(&self.bytes).map_err(DecodeError::MsgPack),
        }
    }

    /// The body as a JSON value, for people and for tools that speak only JSON.
    ///
    /// # Errors
    /// [`DecodeError`] when it is malformed or has no JSON form.
    pub fn to_json(&self) -> Result<serde_json::Value, DecodeError> {
        self.decode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes_of_both_encodings() {
        #[derive(Serialize)]
        struct Input {
            id: &'static str,
            n: u32,
        }
        let json = Payload::encode(ContentType::Json, &Input { id: "a", n: 7 }).expect("encodes");
        assert_eq!(&json.bytes[..], br#"{"id":"a","n":7}"#);
        let packed = Payload::encode(ContentType::MsgPack, &Input { id: "a", n: 7 }).expect("encodes");
        assert_eq!(&packed.bytes[..], b"\x82\xa2id\xa1a\xa1n\x07", "maps are named, never positional");
    }

    #[test]
    fn an_empty_body_is_null() {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let empty = Payload { content_type, bytes: Bytes::new() };
            assert_eq!(empty.to_json().expect("null"), serde_json::Value::Null);
        }
    }

    #[test]
    fn a_deep_body_has_its_own_code() {
        let deep = Payload::json(vec![b'['; 5000]);
        assert_eq!(deep.validate().expect_err("too deep").code(), "too_deep");
        assert_eq!(Payload::json("{").validate().expect_err("cut off").code(), "bad_input");
    }

    #[test]
    fn media_types_are_read_without_their_parameters() {
        assert_eq!(ContentType::from_media_type("Application/JSON; charset=utf-8"), Some(ContentType::Json));
        assert_eq!(ContentType::from_media_type("application/msgpack"), Some(ContentType::MsgPack));
        assert_eq!(ContentType::from_media_type("text/plain"), None);
    }
}
