//! The one place where this process reads the time of day.

use nova_types::UnixMillis;

/// The present moment by the machine's clock.
#[expect(clippy::disallowed_methods, reason = "the clock of this process; everything else is given `now`")]
pub(crate) fn now() -> UnixMillis {
    UnixMillis(jiff::Timestamp::now().as_millisecond())
}
