//! The process's clock: the only place that reads the time of day.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nova_types::UnixMillis;

/// Shifts [`SystemClock`] by so many milliseconds, to show in tests what a host with a wrong clock does.
pub const SKEW_VARIABLE: &str = "NOVA_CLOCK_SKEW_MS";

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> UnixMillis;
}

/// A clock shared by the parts of a process.
pub type ClockRef = Arc<dyn Clock>;

/// The clock of the machine, shifted by `NOVA_CLOCK_SKEW_MS`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock {
    skew_ms: i64,
}

impl SystemClock {
    /// Reads the skew from the environment once; a value that is no number counts as none.
    #[must_use]
    pub fn from_env() -> Self {
        Self::skewed(std::env::var(SKEW_VARIABLE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    /// A clock that is `skew_ms` milliseconds fast, or slow when negative.
    #[must_use]
    pub const fn skewed(skew_ms: i64) -> Self {
        Self { skew_ms }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock all others take the time from")]
    fn now(&self) -> UnixMillis {
        UnixMillis(signed_millis(SystemTime::now()).saturating_add(self.skew_ms))
    }
}

/// The machine's clock, ready to share.
#[must_use]
pub fn system_clock() -> ClockRef {
    Arc::new(SystemClock::from_env())
}

/// A clock that moves only when told, for tests.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: UnixMillis) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(now.0) })
    }

    /// Moves the clock on by `step`.
    pub fn advance(&self, step: Duration) {
        self.now_ms.fetch_add(i64::try_from(step.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.now_ms.load(Ordering::SeqCst))
    }
}

/// Milliseconds since 1970, negative for a machine whose clock stands before it.
fn signed_millis(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_shifts_the_time() {
        let true_time = SystemClock::skewed(0).now();
        let fast = SystemClock::skewed(3_600_000).now();
        assert!(fast.since(true_time) >= Duration::from_secs(3_600));
        assert!(SystemClock::skewed(-3_600_000).now() < true_time);
    }

    #[test]
    fn time_before_1970_is_negative() {
        assert_eq!(signed_millis(UNIX_EPOCH - Duration::from_millis(5)), -5);
        assert_eq!(signed_millis(UNIX_EPOCH + Duration::from_millis(5)), 5);
    }

    #[test]
    fn manual_clock_moves_only_when_told() {
        let clock = ManualClock::at(UnixMillis(1_000));
        assert_eq!(clock.now(), UnixMillis(1_000));
        clock.advance(Duration::from_millis(20));
        assert_eq!(clock.now(), UnixMillis(1_020));
    }
}
