//! The ends of a bundle's items, as the body of its outcome lists them.
//!
//! One map for each item, in the order of the items: `{"result": ...}`, `{"error": {...}}` or `{"cancelled": {...}}`, and
//! `attempt` where it is not 1.

use bytes::{BufMut as _, BytesMut};
use nova_types::OutcomeKind;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{InvalidBundle, close_list, open_list, packed, push_value};
use crate::{ContentType, DecodeError, ErrorBody, Payload};

const RESULT: &str = "result";
const ERROR: &str = "error";
const CANCELLED: &str = "cancelled";
const ATTEMPT: &str = "attempt";

/// How one item of a bundle ended: as a task of its own would have.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemEnd {
    /// How.
    pub kind: OutcomeKind,
    /// The attempt that ended it; 0 when it was never run.
    pub attempt: u32,
    /// Its result, else its error as `{code, message, details}`.
    pub body: Payload,
}

impl ItemEnd {
    /// The error of an item that did not complete; a body that is none yields the kind alone.
    #[must_use]
    pub fn error(&self) -> Option<ErrorBody> {
        if self.kind == OutcomeKind::Completed {
            return None;
        }
        Some(self.body.decode().unwrap_or_else(|_| ErrorBody::new(self.kind.as_str(), "")))
    }
}

fn key(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Completed => RESULT,
        OutcomeKind::Dead => ERROR,
        OutcomeKind::Cancelled => CANCELLED,
    }
}

/// The body that lists these ends; each is of that content type, and one well-formed value.
#[must_use]
pub fn write_ends<'a>(content_type: ContentType, ends: impl ExactSizeIterator<Item = &'a ItemEnd> + Clone) -> Payload {
    // A key, an attempt and what separates them take less than 32 bytes.
    let bytes = ends.clone().map(|end| end.body.bytes.len() + 32).sum::<usize>();
    let mut out = BytesMut::with_capacity(bytes + 5);
    open_list(&mut out, content_type, ends.len());
    for (at, end) in ends.enumerate() {
        debug_assert_eq!(end.body.content_type, content_type, "an outcome is of one content type");
        match content_type {
            ContentType::Json => {
                out.put_slice(if at > 0 { b",{\"" } else { b"{\"" });
                if end.attempt != 1 {
                    out.put_slice(format!("{ATTEMPT}\":{},\"", end.attempt).as_bytes());
                }
                out.put_slice(key(end.kind).as_bytes());
                out.put_slice(b"\":");
                push_value(&mut out, &end.body);
                out.put_u8(b'}');
            }
            ContentType::MsgPack => {
                let fails = "writing to memory cannot fail";
                rmp::encode::write_map_len(&mut (&mut out).writer(), 1 + u32::from(end.attempt != 1)).expect(fails);
                if end.attempt != 1 {
                    rmp::encode::write_str(&mut (&mut out).writer(), ATTEMPT).expect(fails);
                    rmp::encode::write_uint(&mut (&mut out).writer(), u64::from(end.attempt)).expect(fails);
                }
                rmp::encode::write_str(&mut (&mut out).writer(), key(end.kind)).expect(fails);
                push_value(&mut out, &end.body);
            }
        }
    }
    close_list(&mut out, content_type);
    Payload { content_type, bytes: out.freeze() }
}

/// Reads the body of a bundle's outcome; keys that are not known are passed over.
///
/// # Errors
/// [`InvalidBundle`] when it is malformed, no list, or one of the ends is none.
pub fn read_ends(body: &Payload) -> Result<Vec<ItemEnd>, InvalidBundle> {
    let of = |bytes| Payload { content_type: body.content_type, bytes };
    match body.content_type {
        ContentType::Json => {
            body.check()?;
            if body.bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'[') {
                return Err(InvalidBundle::NoList);
            }
            let read: Vec<Read<'_>> = serde_json::from_slice(&body.bytes).map_err(DecodeError::Json)?;
            let end = |(item, read): (usize, Read<'_>)| {
                let found = one(read.result, read.error, read.cancelled);
                let (kind, value) = found.ok_or(InvalidBundle::End { item })?;
                let body = of(body.bytes.slice_ref(value.get().as_bytes()));
                Ok(ItemEnd { kind, attempt: read.attempt.unwrap_or(1), body })
            };
            read.into_iter().enumerate().map(end).collect()
        }
        ContentType::MsgPack => {
            let end = |(item, read): (usize, Payload)| {
                let bytes = &read.bytes;
                let fields = packed::fields(bytes).ok_or(InvalidBundle::End { item })?;
                let (mut attempt, mut result, mut error, mut cancelled) = (1, None, None, None);
                for field in fields.chunks_exact(2) {
                    let value = field[1].clone();
                    match packed::text(&bytes[field[0].clone()]) {
                        Some(RESULT) => result = Some(value),
                        Some(ERROR) => error = Some(value),
                        Some(CANCELLED) => cancelled = Some(value),
                        Some(ATTEMPT) => attempt = of(bytes.slice(value)).decode()?,
                        _ => {}
                    }
                }
                let (kind, value) = one(result, error, cancelled).ok_or(InvalidBundle::End { item })?;
                Ok(ItemEnd { kind, attempt, body: of(bytes.slice(value)) })
            };
            super::split(body)?.into_iter().enumerate().map(end).collect()
        }
    }
}

/// The one that is there; none when it is none of them, or several.
fn one<T>(result: Option<T>, error: Option<T>, cancelled: Option<T>) -> Option<(OutcomeKind, T)> {
    match (result, error, cancelled) {
        (Some(value), None, None) => Some((OutcomeKind::Completed, value)),
        (None, Some(value), None) => Some((OutcomeKind::Dead, value)),
        (None, None, Some(value)) => Some((OutcomeKind::Cancelled, value)),
        _ => None,
    }
}

/// One item's end as JSON; its values stay as they are.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(default)]
    attempt: Option<u32>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    error: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "even_null")]
    cancelled: Option<&'a RawValue>,
}

/// A value that is there, be it null.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn end(content_type: ContentType, kind: OutcomeKind, attempt: u32, body: &serde_json::Value) -> ItemEnd {
        ItemEnd { kind, attempt, body: Payload::encode(content_type, body).expect("encodes") }
    }

    fn ends(content_type: ContentType) -> Vec<ItemEnd> {
        let failed = json!({"code": "exit", "message": "status 1", "details": null});
        vec![
            end(content_type, OutcomeKind::Completed, 1, &json!({"a": [1]})),
            end(content_type, OutcomeKind::Completed, 2, &json!(null)),
            end(content_type, OutcomeKind::Dead, 300, &failed),
            end(content_type, OutcomeKind::Cancelled, 0, &json!({"code": "cancelled", "message": ""})),
        ]
    }

    #[test]
    fn golden_bytes_of_both_encodings() {
        let json = write_ends(ContentType::Json, ends(ContentType::Json).iter());
        let golden = r#"[{"result":{"a":[1]}},{"attempt":2,"result":null},{"attempt":300,"error":{"code":"exit","details":null,"message":"status 1"}},{"attempt":0,"cancelled":{"code":"cancelled","message":""}}]"#;
        assert_eq!(std::str::from_utf8(&json.bytes).expect("text"), golden);
        let packed = write_ends(ContentType::MsgPack, ends(ContentType::MsgPack)[..2].iter());
        assert_eq!(&packed.bytes[..], b"\x92\x81\xa6result\x81\xa1a\x91\x01\x82\xa7attempt\x02\xa6result\xc0");
    }

    #[test]
    fn ends_read_as_they_were_written() {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let ends = ends(content_type);
            let body = write_ends(content_type, ends.iter());
            assert_eq!(body.to_json().expect("well formed").as_array().map(Vec::len), Some(4));
            assert_eq!(read_ends(&body).expect("ends"), ends);
            assert_eq!(ends[2].error().expect("it is dead").message, "status 1");
        }
    }

    #[test]
    fn unknown_keys_are_passed_over_and_an_end_is_exactly_one() {
        let read = |text: &'static str| read_ends(&Payload::json(text));
        let ends = read(r#"[{"later": {"x": 1}, "result": 7}]"#).expect("one end");
        assert_eq!((ends[0].kind, &ends[0].body.bytes[..]), (OutcomeKind::Completed, &b"7"[..]));
        for none in [r"[{}]", r#"[{"result": 1, "error": {}}]"#, "7", r#"{"result": 1}"#, "[1]", ""] {
            assert!(read(none).is_err(), "{none}");
        }
        let packed = Payload::encode(ContentType::MsgPack, &json!([{"later": [1], "error": {"code": "x"}}, 7]));
        assert!(matches!(read_ends(&packed.expect("encodes")), Err(InvalidBundle::End { item: 1 })));
    }
}
