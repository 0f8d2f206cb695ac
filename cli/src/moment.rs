//! Moments on the command line: a duration from now, or a date.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use nova_types::{DurationText, UnixMillis};
use nova_wire::parse_rfc3339;

/// `90s`, `2026-11-22T18:00:00Z`, or a local date or time without an offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// So far from now.
    Off(Duration),
    /// This one.
    At(UnixMillis),
}

impl Moment {
    /// As one in the past, such as `--since 1h`.
    pub(crate) fn past(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Off(by) => UnixMillis(now.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))),
            Self::At(at) => at,
        }
    }

    /// As one to come, such as `--deadline 10m`.
    pub(crate) fn future(self, now: UnixMillis) -> UnixMillis {
        match self {
            Self::Off(by) => now.plus(by),
            Self::At(at) => at,
        }
    }
}

impl FromStr for Moment {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(off) = text.parse::<DurationText>() {
            return Ok(Self::Off(off.0));
        }
        if let Some(at) = parse_rfc3339(text) {
            return Ok(Self::At(at));
        }
        let local = text.parse::<DateTime>().ok().and_then(|local| local.to_zoned(TimeZone::system()).ok());
        local.map(|local| Self::At(UnixMillis(local.timestamp().as_millisecond()))).ok_or_else(|| {
            "not a moment: a duration such as 90s, 10m or 2h, or a date such as 2026-11-22T18:00:00Z".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_count_from_now_and_dates_stand() {
        let now = UnixMillis(1_000_000);
        let moment: Moment = "10s".parse().expect("a duration");
        assert_eq!((moment.past(now), moment.future(now)), (UnixMillis(990_000), UnixMillis(1_010_000)));
        let moment: Moment = "1970-01-01T00:00:05Z".parse().expect("a date");
        assert_eq!((moment.past(now), moment.future(now)), (UnixMillis(5000), UnixMillis(5000)));
        assert!("2026-11-22".parse::<Moment>().is_ok());
        assert!("soon".parse::<Moment>().is_err());
    }
}
