//! A value of a run: held where it is small, named where it is large.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A value, or where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Datum {
    /// The value itself.
    Inline(Value),
    /// The object that holds it, as JSON.
    Blob(BlobName),
}

/// An object of the blob store; its content never changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlobName {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hex.
    pub sha256: String,
}

impl Datum {
    /// Null, held inline.
    pub const NULL: Self = Self::Inline(Value::Null);
}

impl Default for Datum {
    fn default() -> Self {
        Self::NULL
    }
}

impl From<Value> for Datum {
    fn from(value: Value) -> Self {
        Self::Inline(value)
    }
}
