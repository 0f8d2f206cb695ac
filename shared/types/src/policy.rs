//! How often, how long and with what pauses a task is tried.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{DurationText, UnixMillis};

/// A backoff that is not `<duration>..<duration>` with the first no longer than the second.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("backoff `{0}` is not <duration>..<duration>, smaller first, such as 1s..5m")]
pub struct ParseBackoffError(String);

/// The pause between attempts: it doubles from `first` up to `most`. Default `1s..5m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// Makes a backoff from its shortest and longest pause; a `most` below `first` is raised to it.
    #[must_use]
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most: most.max(first) }
    }

    /// The pause after failed attempt `attempt` (from 1), before jitter.
    #[must_use]
    pub fn after(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }

    /// The pause with jitter: between a half and the whole of [`after`](Self::after), by `random` in 0..1.
    ///
    /// "Equal jitter": half keeps the order of attempts, half spreads a herd
    /// (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    #[must_use]
    pub fn jittered(self, attempt: u32, random: f64) -> Duration {
        let whole = self.after(attempt);
        // A pause of years is longer than a fraction can say exactly.
        (whole / 2 + (whole / 2).mul_f64(random.clamp(0.0, 1.0))).min(whole)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(300))
    }
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", DurationText(self.first), DurationText(self.most))
    }
}

impl FromStr for Backoff {
    type Err = ParseBackoffError;
    fn from_str(text: &str) -> Result<Self, ParseBackoffError> {
        let refused = || ParseBackoffError(text.chars().take(64).collect());
        let (first, most) = text.split_once("..").ok_or_else(refused)?;
        let first: DurationText = first.parse().map_err(|_| refused())?;
        let most: DurationText = most.parse().map_err(|_| refused())?;
        if first > most {
            return Err(refused());
        }
        Ok(Self { first: first.0, most: most.0 })
    }
}

impl TryFrom<String> for Backoff {
    type Error = ParseBackoffError;
    fn try_from(text: String) -> Result<Self, ParseBackoffError> {
        text.parse()
    }
}

impl From<Backoff> for String {
    fn from(backoff: Backoff) -> String {
        backoff.to_string()
    }
}

/// What holds for the attempts of one task: the skill's defaults, overridden by the task's headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The longest one attempt may run. Default 60 s.
    pub timeout: Duration,
    /// The moment after which no attempt may run. Default none.
    pub deadline: Option<UnixMillis>,
    /// How many attempts may fail before the task is dead. Default 5.
    pub max_attempts: u32,
    /// The pause between attempts. Default `1s..5m`.
    pub backoff: Backoff,
    /// How long the outcome is kept. Default: as long as the stream keeps it.
    pub outcome_ttl: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            deadline: None,
            max_attempts: 5,
            backoff: Backoff::default(),
            outcome_ttl: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        let backoff: Backoff = "1s..5s".parse().expect("well formed");
        let pauses: Vec<u64> = (1..=5).map(|n| backoff.after(n).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert_eq!(backoff.after(u32::MAX), Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let backoff = Backoff::new(Duration::from_secs(4), Duration::from_secs(4));
        assert_eq!(backoff.jittered(1, 0.0), Duration::from_secs(2));
        assert_eq!(backoff.jittered(1, 1.0), Duration::from_secs(4));
    }

    #[test]
    fn a_backoff_that_falls_is_refused() {
        for bad in ["5s..1s", "1s", "..", "1s..", "1s...5s", ""] {
            assert!(bad.parse::<Backoff>().is_err(), "{bad:?}");
        }
    }
}
