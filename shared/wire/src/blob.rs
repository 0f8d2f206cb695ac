//! Payloads kept in the object store: the `Nova-Blob` header and the store's own records.
//!
//! The records are those of NATS object stores (ADR-20), so that `nats object get` reads them.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::assets::BLOBS_BUCKET;
use crate::structured::{Item, is_token, push_integer, push_text};

/// A `Nova-Blob` header that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("blob header is not <name>;size=n;sha256=\"64 hex digits\"")]
pub struct InvalidBlobRef;

/// What stands in a message in place of a large body: `Nova-Blob: <name>;size=n;sha256="..."`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobRef {
    /// The object's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, as 64 lower-case hex digits.
    pub sha256: String,
}

impl BlobRef {
    /// Describes `bytes` under `name`, which is a token such as `b-018f`.
    #[must_use]
    pub fn describe(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), size: bytes.len() as u64, sha256: hex(&Sha256::digest(bytes)) }
    }

    /// Whether `bytes` are what is described.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == self.size && hex(&Sha256::digest(bytes)) == self.sha256
    }

    /// The header's value.
    #[must_use]
    pub fn to_header(&self) -> String {
        let mut out = self.name.clone();
        push_integer(&mut out, "size", i64::try_from(self.size).unwrap_or(i64::MAX));
        push_text(&mut out, "sha256", &self.sha256);
        out
    }

    /// Reads the header's value.
    ///
    /// # Errors
    /// [`InvalidBlobRef`].
    pub fn parse(text: &str) -> Result<Self, InvalidBlobRef> {
        let item = Item::parse(text).map_err(|_| InvalidBlobRef)?;
        let size = item.integer("size").and_then(|n| u64::try_from(n).ok()).ok_or(InvalidBlobRef)?;
        let sha256 = item.text("sha256").ok_or(InvalidBlobRef)?.to_owned();
        let is_hash = sha256.len() == 64 && sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash || !is_token(&item.token) || item.token.len() > 128 {
            return Err(InvalidBlobRef);
        }
        Ok(Self { name: item.token, size, sha256 })
    }

    /// The store's digest text of the same hash.
    #[must_use]
    pub fn digest(&self) -> String {
        let bytes: Vec<u8> = (0..self.sha256.len() / 2)
            .filter_map(|i| u8::from_str_radix(self.sha256.get(2 * i..2 * i + 2)?, 16).ok())
            .collect();
        format!("SHA-256={}", URL_SAFE.encode(bytes))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(64), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String cannot fail");
        out
    })
}

/// The store's record of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobMeta {
    /// The object's name.
    pub name: String,
    /// The bucket it is in.
    pub bucket: String,
    /// Names the subject of its chunks.
    pub nuid: String,
    /// Its size in bytes.
    pub size: u64,
    /// How many chunks it has.
    pub chunks: u64,
    /// `SHA-256=` and the hash in URL-safe base64.
    #[serde(default)]
    pub digest: String,
    /// Whether it was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

impl BlobMeta {
    /// The record of a blob cut into `chunks`, kept under `nuid`.
    #[must_use]
    pub fn new(blob: &BlobRef, nuid: &str, chunks: u64) -> Self {
        Self {
            name: blob.name.clone(),
            bucket: BLOBS_BUCKET.to_owned(),
            nuid: nuid.to_owned(),
            size: blob.size,
            chunks,
            digest: blob.digest(),
            deleted: false,
        }
    }

    /// Where the record of `name` stands.
    #[must_use]
    pub fn subject(name: &str) -> String {
        format!("$O.{BLOBS_BUCKET}.M.{}", URL_SAFE.encode(name))
    }

    /// Where the chunks under `nuid` stand.
    #[must_use]
    pub fn chunk_subject(nuid: &str) -> String {
        format!("$O.{BLOBS_BUCKET}.C.{nuid}")
    }

    /// The subjects of the whole store.
    #[must_use]
    pub fn space() -> [String; 2] {
        [format!("$O.{BLOBS_BUCKET}.C.>"), format!("$O.{BLOBS_BUCKET}.M.>")]
    }

    /// The object name behind a record's subject.
    #[must_use]
    pub fn name_of_subject(subject: &str) -> Option<String> {
        let encoded = subject.strip_prefix("$O.")?.strip_prefix(BLOBS_BUCKET)?.strip_prefix(".M.")?;
        let bytes = URL_SAFE.decode(encoded).or_else(|_| URL_SAFE_NO_PAD.decode(encoded)).ok()?;
        String::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_as_it_was_written() {
        let blob = BlobRef::describe("b-1", b"abc");
        let golden = r#"b-1;size=3;sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad""#;
        assert_eq!(blob.to_header(), golden);
        assert_eq!(BlobRef::parse(golden), Ok(blob.clone()));
        assert!(blob.matches(b"abc") && !blob.matches(b"abd") && !blob.matches(b"ab"));
        assert_eq!(blob.digest(), "SHA-256=ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0=");
    }

    #[test]
    fn a_crooked_reference_is_refused() {
        for bad in ["", "b-1", "b-1;size=-1;sha256=\"aa\"", "b-1;size=1;sha256=\"zz\"", "1b;size=1;sha256=\"\""] {
            assert_eq!(BlobRef::parse(bad), Err(InvalidBlobRef), "{bad}");
        }
    }

    #[test]
    fn a_record_is_found_by_its_name() {
        assert_eq!(BlobMeta::name_of_subject(&BlobMeta::subject("b-1")).as_deref(), Some("b-1"));
    }
}
