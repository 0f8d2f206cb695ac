//! Durations as text: `<int>(ms|s|m|h|d)`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A text that is not `<int>(ms|s|m|h|d)` or is too long a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("duration `{0}` is not a whole number followed by ms, s, m, h or d")]
pub struct ParseDurationError(String);

/// A duration that reads and prints as `<int>(ms|s|m|h|d)`, in the largest unit that is exact.
///
/// ```
/// let lease: nova_types::DurationText = "90s".parse()?;
/// assert_eq!(lease.0.as_secs(), 90);
/// assert_eq!(nova_types::DurationText(std::time::Duration::from_secs(120)).to_string(), "2m");
/// # Ok::<(), nova_types::ParseDurationError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationText(pub Duration);

/// Ten years: longer than any lease, delay or retention, short enough for every later sum to fit.
const MAX_MILLIS: u64 = 3650 * 24 * 3600 * 1000;

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for DurationText {
    type Err = ParseDurationError;
    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let refused = || ParseDurationError(text.chars().take(32).collect());
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| refused())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
        let millis = number.checked_mul(*factor).filter(|ms| *ms <= MAX_MILLIS).ok_or_else(refused)?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, factor) =
            UNITS.iter().rev().find(|(_, factor)| millis != 0 && millis.is_multiple_of(*factor)).unwrap_or(&UNITS[0]);
        write!(f, "{}{unit}", millis / factor)
    }
}

impl TryFrom<String> for DurationText {
    type Error = ParseDurationError;
    fn try_from(text: String) -> Result<Self, ParseDurationError> {
        text.parse()
    }
}

impl From<DurationText> for String {
    fn from(duration: DurationText) -> String {
        duration.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_the_same_time() {
        for text in ["0ms", "1ms", "1500ms", "10s", "5m", "36h", "10d"] {
            let parsed: DurationText = text.parse().expect(text);
            assert_eq!(parsed.to_string().parse::<DurationText>(), Ok(parsed), "{text}");
        }
        assert_eq!("3600s".parse::<DurationText>().map(|d| d.to_string()), Ok("1h".into()));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "s", "1", "1.5s", "-1s", " 1s", "1S", "1w", "99999999999999999999s", "99999999d"] {
            assert!(bad.parse::<DurationText>().is_err(), "{bad:?}");
        }
    }
}
