//! The broker's clock: a fixed date plus what has passed on the runtime's clock since the broker began.

use std::time::Duration;

use nova_types::UnixMillis;
use tokio::time::Instant;

/// A moment, as the time since the broker began.
pub(super) type Moment = Duration;

/// The date on which every memory broker begins, 2026-11-22T17:53:20Z: a fixed one makes runs repeatable.
const BEGIN: UnixMillis = UnixMillis(1_795_370_000_000);

/// The longest sleep: timers far away would overflow the runtime's clock, and whoever wakes early looks again.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

/// Reads the runtime's clock; the only part of the broker that does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    began: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { began: Instant::now() }
    }

    pub(super) fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// When to wake for `moment`.
    pub(super) fn instant(&self, moment: Moment) -> Instant {
        let now = Instant::now();
        let left = moment.saturating_sub(now.duration_since(self.began));
        now + left.min(LONGEST_SLEEP)
    }
}

/// The date of a moment.
pub(super) fn date(moment: Moment) -> UnixMillis {
    BEGIN.plus(moment)
}

/// The moment of a date; one before the beginning is the beginning.
pub(super) fn moment(date: UnixMillis) -> Moment {
    date.since(BEGIN)
}
