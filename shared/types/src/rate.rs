//! How often something may start, at most.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "rate `{0}` is not such as 100/s, 20/m or 5/h, optionally with a burst of a tenth of a second's worth or more: 100/s burst 50"
)]
pub struct ParseRateError(String);

/// The most starts or the largest burst a rate can name: beyond it nothing is limited any more.
const MOST: u32 = 10_000_000;

/// At most so many per second, minute or hour, and so many at once.
///
/// Over any stretch of `t` no more than `rate * t + burst` are let through. The burst is a second's worth unless it is
/// said, one at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rate {
    count: u32,
    unit: Unit,
    burst: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    const ALL: [(Self, &'static str, u64); 3] =
        [(Self::Second, "s", 1), (Self::Minute, "m", 60), (Self::Hour, "h", 3600)];

    fn letter(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn seconds(self) -> u64 {
        Self::ALL[self as usize].2
    }
}

impl Rate {
    /// How many in [`per`](Self::per).
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// A second, a minute or an hour.
    #[must_use]
    pub fn per(self) -> Duration {
        Duration::from_secs(self.unit.seconds())
    }

    /// How many at once after a quiet time.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    fn usual_burst(count: u32, unit: Unit) -> u32 {
        u32::try_from(u64::from(count).div_ceil(unit.seconds())).unwrap_or(MOST)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.letter())?;
        if self.burst != Self::usual_burst(self.count, self.unit) {
            write!(f, " burst {}", self.burst)?;
        }
        Ok(())
    }
}

impl FromStr for Rate {
    type Err = ParseRateError;
    fn from_str(text: &str) -> Result<Self, ParseRateError> {
        let refused = || ParseRateError(text.chars().take(64).flat_map(char::escape_default).collect());
        let number = |text: &str| text.parse().ok().filter(|n: &u32| (1..=MOST).contains(n)).ok_or_else(refused);
        let (rate, burst) = match text.split_once(" burst ") {
            Some((rate, burst)) => (rate, Some(number(burst)?)),
            None => (text, None),
        };
        let (count, unit) = rate.split_once('/').ok_or_else(refused)?;
        let count = number(count)?;
        let (unit, ..) = *Unit::ALL.iter().find(|(_, letter, _)| *letter == unit).ok_or_else(refused)?;
        let burst = burst.unwrap_or_else(|| Self::usual_burst(count, unit));
        // A fleet cannot hand out single permissions faster than this over a network.
        if u64::from(burst) * 10 * unit.seconds() < u64::from(count) {
            return Err(refused());
        }
        Ok(Self { count, unit, burst })
    }
}

impl TryFrom<String> for Rate {
    type Error = ParseRateError;
    fn try_from(text: String) -> Result<Self, ParseRateError> {
        text.parse()
    }
}

impl From<Rate> for String {
    fn from(rate: Rate) -> String {
        rate.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, count: u32, secs: u64, burst: u32) {
        let rate: Rate = text.parse().expect("well formed");
        assert_eq!((rate.count(), rate.per().as_secs(), rate.burst()), (count, secs, burst));
        assert_eq!(rate.to_string(), text);
    }

    #[test]
    fn a_rate_reads_as_it_prints() {
        check("100/s", 100, 1, 100);
        check("100/s burst 10", 100, 1, 10);
        check("90/m", 90, 60, 2);
        check("5/h", 5, 3600, 1);
        check("5/h burst 5", 5, 3600, 5);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for bad in ["", "100", "0/s", "1/d", "1/ s", "-1/s", "1/s burst 0", "1/s burst", "100/s burst 9", "99999999/s"]
        {
            assert!(bad.parse::<Rate>().is_err(), "{bad:?}");
        }
    }
}
