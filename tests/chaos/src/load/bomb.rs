//! Messages made to hurt whoever reads them without care: small on the wire, and without end once taken at their word.

use bytes::Bytes;
use nova_types::codes;
use nova_wire::{Headers, name};

/// A kind of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bomb {
    /// JSON nested until a stack is used up.
    DeepJson,
    /// MessagePack nested until a stack is used up.
    DeepPack,
    /// A MessagePack list of four billion entries, none of which is there.
    LongPack,
    /// A gzip stream that says to be JSON: of zeros, a thousandth of what they unpack to.
    Packed,
    /// A payload of a tebibyte in the object store, where there is none.
    LargeBlob,
}

/// How deep; each level is a frame of whoever follows it by recursion.
const LEVELS: usize = 50_000;
/// A gzip stream of a mebibyte of zeros begins so; what follows repeats.
const GZIP: [u8; 16] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xec, 0xc1, 1, 1, 0, 0];

impl Bomb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::DeepJson, Self::DeepPack, Self::LongPack, Self::Packed, Self::LargeBlob];

    /// The code with which it dies.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::DeepJson | Self::DeepPack => codes::TOO_DEEP,
            Self::LongPack | Self::Packed => codes::BAD_INPUT,
            Self::LargeBlob => codes::TOO_LARGE,
        }
    }

    /// Its headers, without an id, and its body.
    #[must_use]
    pub fn message(self) -> (Headers, Bytes) {
        let pack = || Headers::new().with(name::CONTENT_TYPE, "application/msgpack");
        match self {
            Self::DeepJson => (Headers::new(), "[".repeat(LEVELS).into()),
            Self::DeepPack => (pack(), vec![0x91; LEVELS].into()),
            Self::LongPack => (pack(), Bytes::from_static(&[0xdd, 0xff, 0xff, 0xff, 0xff])),
            Self::Packed => {
                let headers = Headers::new().with("Content-Encoding", "gzip");
                (headers, GZIP.into_iter().chain([0; 1024]).collect::<Vec<u8>>().into())
            }
            Self::LargeBlob => {
                let blob = format!("in-bomb;size={};sha256=\"{}\"", 1_u64 << 40, "0".repeat(64));
                (Headers::new().with(name::BLOB, blob), Bytes::new())
            }
        }
    }
}
