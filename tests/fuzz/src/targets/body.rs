//! Bodies: JSON and MessagePack whose nesting and lengths others declare, bundles, and the ends of their items.

use bytes::Bytes;
use nova_wire::{
    BundleState, ContentType, ItemEnd, Payload, Settled, join_bundle, limits, read_ends, split, split_bundle,
    write_ends,
};
use serde_json::Value;

use super::{Bounds, Held, Target, holds, read, refused, same};

const PACKED: &[&str] = &["\u{1}", "result", "error", "cancelled", "attempt", "code", "message", "a", "null"];

pub const JSON: Target = Target {
    name: "json",
    about: "JSON bodies: in either encoding and back the value is the same",
    run: |bytes| body(ContentType::Json, bytes),
    words: &[
        "{\"\":0}",
        "[[[[[[[[",
        "]]]]]]]]",
        "{\"a\":",
        "\"\\ud800\"",
        "1e308",
        "-0",
        "-0.0",
        "1e-400",
        "0.1",
        "\\\\",
        "\u{feff}",
    ],
    longest: 8 * 1024,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const MSGPACK: Target = Target {
    name: "msgpack",
    about: "MessagePack bodies: no length is believed, and in either encoding and back the value is the same",
    run: |bytes| body(ContentType::MsgPack, bytes),
    words: PACKED,
    longest: 8 * 1024,
    tries: 3500,
    bounds: Bounds { held: (64 * 1024, 1024), steps: (512, 16) },
};

pub const BUNDLE: Target = Target {
    name: "bundle",
    about: "the body of a bundle: cut, put together and cut again it has the same items; the first byte says JSON or not",
    run: bundle,
    words: &["j[", "m", "[1,2,3]", "[null, {}]", " \n\t", "]", ","],
    longest: 8 * 1024,
    tries: 2500,
    bounds: Bounds { held: (128 * 1024, 1024), steps: (1024, 16) },
};

pub const ENDS: Target = Target {
    name: "ends",
    about: "the ends of a bundle's items: written and read again they are the same; the first byte says JSON or not",
    run: ends,
    words: &[
        "j[{\"result\":null}]",
        "{\"error\":{\"code\":\"a\",\"message\":\"\"}}",
        "\"attempt\":0,",
        "{\"cancelled\":1}",
        "result",
    ],
    longest: 8 * 1024,
    tries: 2500,
    bounds: Bounds { held: (128 * 1024, 1024), steps: (1024, 16) },
};

pub const STATE: Target = Target {
    name: "bundle-state",
    about: "what is settled of a bundle: written and read again it is the same",
    run: state,
    words: &[
        "\"ended\":\"0-2\"",
        "\"ends\":\"",
        "\"spared\":{\"1\":4}",
        "\"checkpoints\":{\"0\":\"YQ==\"}",
        "W3sicmVzdWx0IjoxfV0=",
        "\"blob\":",
    ],
    longest: 8 * 1024,
    tries: 2000,
    bounds: Bounds { held: (128 * 1024, 1024), steps: (1024, 16) },
};

/// The first byte chooses the encoding.
fn payload(bytes: &[u8]) -> Payload {
    let (first, rest) = bytes.split_first().unwrap_or((&b'j', b""));
    let content_type = if *first == b'j' { ContentType::Json } else { ContentType::MsgPack };
    Payload { content_type, bytes: Bytes::copy_from_slice(rest) }
}

fn body(content_type: ContentType, bytes: &[u8]) -> Held {
    let payload = Payload { content_type, bytes: Bytes::copy_from_slice(bytes) };
    let value = match payload.to_json() {
        Ok(value) => value,
        Err(error) => {
            holds("a refusal has a code", !error.code().is_empty())?;
            return refused(format!("{error} {}", std::error::Error::source(&error).is_some()));
        }
    };
    holds("what was read is well formed", payload.check().is_ok())?;
    for other in [ContentType::Json, ContentType::MsgPack] {
        let written =
            Payload::encode(other, &value).map_err(|error| format!("what was read cannot be written: {error}"))?;
        let again = written.to_json().map_err(|error| format!("what was written cannot be read: {error}"))?;
        same("a value written", &again, &value)?;
    }
    read(match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    })
}

fn bundle(bytes: &[u8]) -> Held {
    let payload = payload(bytes);
    let items = match split(&payload) {
        Ok(items) => items,
        Err(error) => {
            holds("a refusal has a code", !error.code().is_empty())?;
            return refused(error);
        }
    };
    let count = u32::try_from(items.len()).map_err(|_| "there are too many items")?;
    let again = join_bundle(payload.content_type, items.iter());
    let cut = split_bundle(&again, count).map_err(|error| format!("what was put together cannot be cut: {error}"))?;
    same("the items", &cut, &items)?;
    holds("another count is refused", split_bundle(&again, count ^ 1).is_err())?;
    let valid = items.iter().filter(|item| item.validate().is_ok()).count();
    read(format!("{} of {} items are values", valid.min(3), items.len().min(3)))
}

fn ends(bytes: &[u8]) -> Held {
    let payload = payload(bytes);
    let ends = match read_ends(&payload) {
        Ok(ends) => ends,
        Err(error) => {
            holds("a refusal has a code", !error.code().is_empty())?;
            return refused(error);
        }
    };
    let again = write_ends(payload.content_type, ends.iter());
    let again = read_ends(&again).map_err(|error| format!("ends that were written: {error}"))?;
    same("ends that were written", &again, &ends)?;
    let told = ends.iter().filter_map(ItemEnd::error).count();
    read(format!("{} of {} items have an error", told.min(3), ends.len().min(3)))
}

fn state(bytes: &[u8]) -> Held {
    let state: BundleState = match super::json_record(bytes)? {
        Ok(state) => state,
        Err(error) => return refused(error),
    };
    holds("no more items ended than a bundle has", state.ended.len() <= limits::BUNDLE_ITEMS as usize)?;
    let mut readable = 0;
    for content_type in [ContentType::Json, ContentType::MsgPack] {
        let Ok(settled) = Settled::read(&state, content_type, None) else { continue };
        readable += 1;
        let again = settled.to_state(content_type);
        same("what is settled", &Settled::read(&again, content_type, None), &Ok(settled))?;
    }
    if readable == 0 { refused("it cannot be read") } else { read("settled") }
}
