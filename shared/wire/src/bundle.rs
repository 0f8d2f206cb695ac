//! Bundles: many small items in the body of one task, and the end of each in the body of its outcome.
//!
//! The bytes of an item are never decoded here: a bundle is cut into slices of its body, and put together from slices.

mod ends;
mod packed;
mod positions;
mod state;

use bytes::{BufMut as _, Bytes, BytesMut};
use nova_types::codes;
use serde_json::value::RawValue;

use crate::{ContentType, DecodeError, Payload, limits};

pub use ends::{ItemEnd, read_ends, write_ends};
pub use positions::Positions;
pub use state::{BundleState, InvalidState, Settled};

/// A body that is no bundle, or no list of ends.
#[derive(Debug, thiserror::Error)]
pub enum InvalidBundle {
    /// It is not what its content type says.
    #[error(transparent)]
    Body(#[from] DecodeError),
    /// It is no list.
    #[error("its body is no list of items")]
    NoList,
    /// It has more or fewer items than its header says.
    #[error("its body has {found} items, its header says {said}")]
    Count {
        /// How many there are.
        found: usize,
        /// How many there should be.
        said: usize,
    },
    /// One of the ends is none.
    #[error("item {item} has no result, no error and no cancel")]
    End {
        /// Its position.
        item: usize,
    },
}

impl InvalidBundle {
    /// The code of the dead letter this leads to.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Body(error) => error.code(),
            _ => codes::BAD_BUNDLE,
        }
    }
}

/// Cuts the body of a bundle into the inputs of its items.
///
/// ```
/// use nova_wire::{Payload, split_bundle};
/// let items = split_bundle(&Payload::json(r#"[{"n":1}, "two"]"#), 2)?;
/// assert_eq!(&items[1].bytes[..], br#""two""#);
/// # Ok::<(), nova_wire::InvalidBundle>(())
/// ```
///
/// # Errors
/// [`InvalidBundle`] when it is malformed, no list, or of another length than `count`.
pub fn split_bundle(body: &Payload, count: u32) -> Result<Vec<Payload>, InvalidBundle> {
    let items = split(body)?;
    let said = count as usize;
    if items.len() != said {
        return Err(InvalidBundle::Count { found: items.len(), said });
    }
    Ok(items)
}

/// Cuts a list into its elements, however many.
///
/// # Errors
/// As [`split_bundle`].
pub fn split(body: &Payload) -> Result<Vec<Payload>, InvalidBundle> {
    let of = |bytes: Bytes| Payload { content_type: body.content_type, bytes };
    body.check()?;
    match body.content_type {
        _ if body.bytes.is_empty() => Err(InvalidBundle::NoList),
        ContentType::Json => {
            let first = body.bytes.iter().find(|byte| !byte.is_ascii_whitespace());
            if first != Some(&b'[') {
                body.validate()?;
                return Err(InvalidBundle::NoList);
            }
            let items: Vec<&RawValue> = serde_json::from_slice(&body.bytes).map_err(DecodeError::Json)?;
            Ok(items.into_iter().map(|item| of(body.bytes.slice_ref(item.get().as_bytes()))).collect())
        }
        ContentType::MsgPack => {
            let items = packed::elements(&body.bytes).ok_or(InvalidBundle::NoList)?;
            Ok(items.into_iter().map(|range| of(body.bytes.slice(range))).collect())
        }
    }
}

/// Puts inputs of one content type together to the body of a bundle; each has to be one well-formed value.
#[must_use]
pub fn join_bundle<'a>(
    content_type: ContentType,
    items: impl ExactSizeIterator<Item = &'a Payload> + Clone,
) -> Payload {
    let bytes = items.clone().map(|item| item.bytes.len() + 1).sum::<usize>();
    let mut out = BytesMut::with_capacity(bytes + 5);
    open_list(&mut out, content_type, items.len());
    for (at, item) in items.enumerate() {
        debug_assert_eq!(item.content_type, content_type, "a bundle is of one content type");
        if at > 0 && content_type == ContentType::Json {
            out.put_u8(b',');
        }
        push_value(&mut out, item);
    }
    close_list(&mut out, content_type);
    Payload { content_type, bytes: out.freeze() }
}

/// Whether a task may be a bundle of so many items.
#[must_use]
pub fn is_bundle_size(items: u32) -> bool {
    (1..=limits::BUNDLE_ITEMS).contains(&items)
}

fn open_list(out: &mut BytesMut, content_type: ContentType, length: usize) {
    match content_type {
        ContentType::Json => out.put_u8(b'['),
        ContentType::MsgPack => {
            let length = u32::try_from(length).expect("no list in memory has four billion items");
            rmp::encode::write_array_len(&mut out.writer(), length).expect("writing to memory cannot fail");
        }
    }
}

fn close_list(out: &mut BytesMut, content_type: ContentType) {
    if content_type == ContentType::Json {
        out.put_u8(b']');
    }
}

/// Appends a value as it is; no bytes at all mean null.
fn push_value(out: &mut BytesMut, value: &Payload) {
    match value.content_type {
        _ if !value.bytes.is_empty() => out.put_slice(&value.bytes),
        ContentType::Json => out.put_slice(b"null"),
        ContentType::MsgPack => out.put_u8(0xc0),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn packed(value: &Value) -> Payload {
        Payload::encode(ContentType::MsgPack, value).expect("encodes")
    }

    fn json(text: &'static str) -> Payload {
        Payload::json(text)
    }

    fn values(items: &[Payload]) -> Vec<Value> {
        items.iter().map(|item| item.to_json().expect("a value")).collect()
    }

    #[test]
    fn a_list_is_cut_into_its_items_and_put_together_again() {
        let list = json!([{"a": [1, "]"]}, null, "x,\"", 1.5, [[]], {"b": {}}, true]);
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let body = Payload::encode(content_type, &list).expect("encodes");
            let items = split_bundle(&body, 7).expect("a bundle");
            assert_eq!(Value::Array(values(&items)), list);
            assert_eq!(join_bundle(content_type, items.iter()), body);
        }
        let spaced = json(" [ 1 ,\n{ \"a\" : 2 } ] ");
        let items = split(&spaced).expect("a list");
        assert_eq!(&items[1].bytes[..], b"{ \"a\" : 2 }");
    }

    #[test]
    fn long_lists_have_longer_heads() {
        for length in [0_usize, 1, 15, 16, 1000, 70_000] {
            let items = vec![packed(&json!("x")); length];
            let body = join_bundle(ContentType::MsgPack, items.iter());
            assert_eq!(split(&body).expect("a list"), items);
        }
    }

    #[test]
    fn no_bytes_at_all_are_null() {
        for content_type in [ContentType::Json, ContentType::MsgPack] {
            let nothing = Payload { content_type, bytes: Bytes::new() };
            let body = join_bundle(content_type, [nothing].iter());
            assert_eq!(values(&split(&body).expect("a list")), [Value::Null]);
        }
    }

    #[track_caller]
    fn check_refused(body: &Payload, count: u32, code: &str) {
        let refused = split_bundle(body, count).expect_err("it is no such bundle");
        assert_eq!(refused.code(), code, "{refused}");
    }

    #[test]
    fn what_is_no_bundle_is_told_apart() {
        check_refused(&json("[1,2]"), 3, codes::BAD_BUNDLE);
        check_refused(&json("{}"), 1, codes::BAD_BUNDLE);
        check_refused(&json(""), 1, codes::BAD_BUNDLE);
        check_refused(&json("[1,2"), 2, codes::BAD_INPUT);
        check_refused(&json("[1}2]"), 2, codes::BAD_INPUT);
        check_refused(&json("{oops"), 2, codes::BAD_INPUT);
        check_refused(&json("[1,2]x"), 2, codes::BAD_INPUT);
        check_refused(&Payload::json(vec![b'['; 500]), 1, codes::TOO_DEEP);
        check_refused(&packed(&json!({"a": 1})), 1, codes::BAD_BUNDLE);
        check_refused(&packed(&json!([1])), 2, codes::BAD_BUNDLE);
        let cut = Payload { content_type: ContentType::MsgPack, bytes: Bytes::from_static(&[0x92, 1]) };
        check_refused(&cut, 2, codes::BAD_INPUT);
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64), msgpack: bool)| {
            let content_type = if msgpack { ContentType::MsgPack } else { ContentType::Json };
            let body = Payload { content_type, bytes: bytes.into() };
            let _ = (split(&body), read_ends(&body));
        });
    }
}
