//! A definition's one JSON text, whose hash is its version.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::Workflow;

/// The definition as JSON with sorted keys, nothing said that is the default, and no space.
///
/// Two files that say the same come to the same text, whatever their order, layout or notation.
#[must_use]
pub fn canonical(workflow: &Workflow) -> String {
    let value = serde_json::to_value(workflow).expect("a definition is plain data with text keys");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

/// The SHA-256 of a text in hex: the version of a definition when given its [`canonical`] text.
#[must_use]
pub fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("writing to a string cannot fail");
        hex
    })
}

/// The SHA-256 of a value's canonical JSON in hex: what an approval names.
#[must_use]
pub fn hash_of(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    hash(&text)
}

/// Writes sorted whatever order the map type keeps: the order must not depend on a feature of a dependency.
fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (index, (key, value)) in fields.iter().collect::<BTreeMap<_, _>>().into_iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(value, text);
            }
            text.push('}');
        }
        leaf => text.push_str(&leaf.to_string()),
    }
}
