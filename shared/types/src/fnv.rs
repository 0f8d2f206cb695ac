//! FNV-1a (Fowler, Noll, Vo): tells names apart, the same in every version and language.

/// A hash of 64 bits that can be gone on with: a beginning that many texts share is hashed once.
///
/// ```
/// use nova_types::Fnv1a;
/// assert_eq!(Fnv1a::of(b"ab"), Fnv1a::of(b"a").and(b"b"));
/// assert_eq!(Fnv1a::of(b"").value(), 0xcbf2_9ce4_8422_2325);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fnv1a(u64);

impl Fnv1a {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(0xcbf2_9ce4_8422_2325).and(bytes)
    }

    /// The hash of what was hashed so far and these bytes behind it.
    #[must_use]
    pub fn and(self, bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    /// It as a number.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}
