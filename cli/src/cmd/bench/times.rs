//! Many times, and what they come to.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// How long tasks took.
#[derive(Debug, Default)]
pub(super) struct Times(Vec<Duration>);

/// What they come to, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Quantiles {
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Times {
    pub(super) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn quantiles(mut self) -> Quantiles {
        self.0.sort_unstable();
        let times = &self.0;
        // The smallest time that so many of a hundred stay within.
        let within = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            let micros = times.get(rank - 1).map_or(0, Duration::as_micros);
            micros as f64 / 1e3
        };
        Quantiles { p50_ms: within(50), p90_ms: within(90), p99_ms: within(99), max_ms: within(100) }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p90_ms, p99_ms, max_ms } = self;
        write!(f, "p50 {p50_ms:.2} ms, p90 {p90_ms:.2} ms, p99 {p99_ms:.2} ms, max {max_ms:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: impl Iterator<Item = u64>, expected: [f64; 4]) {
        let Quantiles { p50_ms, p90_ms, p99_ms, max_ms } =
            Times(millis.map(Duration::from_millis).collect()).quantiles();
        assert_eq!([p50_ms, p90_ms, p99_ms, max_ms], expected);
    }

    #[test]
    fn quantiles_are_times_that_were_taken() {
        check((1..=100).rev(), [50.0, 90.0, 99.0, 100.0]);
        check(1..=2, [1.0, 2.0, 2.0, 2.0]);
        check(7..=7, [7.0; 4]);
        check(0..0, [0.0; 4]);
    }
}
