//! Byte sizes as text: `<int>(B|KiB|MiB|GiB|TiB)`.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 5] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// A text that is not `<int>(B|KiB|MiB|GiB|TiB)`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("size `{0}` is not a whole number followed by B, KiB, MiB, GiB or TiB")]
pub struct ParseBytesError(String);

/// A number of bytes that reads and prints as `<int>(B|KiB|MiB|GiB|TiB)`, in the largest unit that is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteText(pub u64);

impl FromStr for ByteText {
    type Err = ParseBytesError;
    fn from_str(text: &str) -> Result<Self, ParseBytesError> {
        let refused = || ParseBytesError(text.chars().take(32).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        number.checked_mul(*factor).map(Self).ok_or_else(refused)
    }
}

impl fmt::Display for ByteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 != 0 && self.0.is_multiple_of(factor);
        let (unit, factor) = UNITS.iter().rev().find(|(_, factor)| fits(*factor)).unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_reads_as_it_prints() {
        for text in ["0B", "1B", "512MiB", "2GiB", "1025KiB"] {
            assert_eq!(text.parse::<ByteText>().map(|b| b.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "1", "MiB", "1MB", "-1B", "1.5GiB", "99999999999TiB"] {
            assert!(bad.parse::<ByteText>().is_err(), "{bad}");
        }
    }
}
