//! When a delayed or recurring task is due, and how the broker is told.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use nova_types::{DurationText, UnixMillis};

use crate::time::{format_rfc3339, parse_rfc3339};

/// The broker's shortest repetition.
const SHORTEST_EVERY: Duration = Duration::from_secs(1);

/// A text that names no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule `{given}` {why}")]
pub struct InvalidSchedule {
    given: String,
    why: &'static str,
}

impl InvalidSchedule {
    pub(crate) fn new(given: &str, why: &'static str) -> Self {
        Self { given: given.chars().take(128).collect(), why }
    }
}

/// `@in <duration>`, `@at <RFC 3339>`, `@every <duration>`, `@hourly` and its like, or a cron line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleSpec {
    /// Once, after a pause that begins when the request is taken.
    In(Duration),
    /// Once, at a moment.
    At(UnixMillis),
    /// Again and again.
    Every(Duration),
    /// By a cron line of six fields, seconds first.
    Cron(String),
}

impl ScheduleSpec {
    /// Whether it fires more than once.
    #[must_use]
    pub fn is_recurring(&self) -> bool {
        matches!(self, Self::Every(_) | Self::Cron(_))
    }

    /// The broker's own text of it, at the moment `now`.
    #[must_use]
    pub fn to_broker(&self, now: UnixMillis) -> String {
        match self {
            Self::In(pause) => format!("@at {}", format_rfc3339(now.plus(*pause))),
            Self::At(moment) => format!("@at {}", format_rfc3339(*moment)),
            Self::Every(pause) => format!("@every {}ms", pause.as_millis()),
            Self::Cron(line) => line.clone(),
        }
    }
}

impl fmt::Display for ScheduleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(pause) => write!(f, "@in {}", DurationText(*pause)),
            Self::At(moment) => write!(f, "@at {}", format_rfc3339(*moment)),
            Self::Every(pause) => write!(f, "@every {}", DurationText(*pause)),
            Self::Cron(line) => f.write_str(line),
        }
    }
}

impl FromStr for ScheduleSpec {
    type Err = InvalidSchedule;
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let text = text.trim();
        let refuse = |why| InvalidSchedule::new(text, why);
        let duration = |rest: &str| {
            let parsed: Result<DurationText, _> = rest.trim().parse();
            parsed.map(|d| d.0).map_err(|_| refuse("needs a duration such as 90s"))
        };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "@in" => duration(rest).map(Self::In),
            "@at" => parse_rfc3339(rest.trim())
                .map(Self::At)
                .ok_or_else(|| refuse("needs a moment such as 2026-11-22T18:00:00Z")),
            "@every" => match duration(rest)? {
                pause if pause < SHORTEST_EVERY => Err(refuse("repeats more often than once a second")),
                pause => Ok(Self::Every(pause)),
            },
            "@yearly" | "@annually" | "@monthly" | "@weekly" | "@daily" | "@midnight" | "@hourly"
                if rest.is_empty() =>
            {
                Ok(Self::Cron(word.to_owned()))
            }
            _ if word.starts_with('@') => {
                Err(refuse("is none of @in, @at, @every, @daily, @hourly ... or a cron line"))
            }
            _ => cron(text).ok_or_else(|| refuse("is no cron line of five fields, or six with seconds first")),
        }
    }
}

/// A cron line in the broker's six fields: a line of five gets second 0. The broker itself judges the fields.
fn cron(text: &str) -> Option<ScheduleSpec> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    let plain = fields.iter().all(|field| field.bytes().all(|b| b.is_ascii_alphanumeric() || b"*/,-?#".contains(&b)));
    match fields.len() {
        5 if plain => Some(ScheduleSpec::Cron(format!("0 {}", fields.join(" ")))),
        6 if plain => Some(ScheduleSpec::Cron(fields.join(" "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, broker: Option<&str>) {
        let spec: Result<ScheduleSpec, _> = text.parse();
        assert_eq!(spec.ok().map(|s| s.to_broker(UnixMillis(1000))).as_deref(), broker, "{text}");
    }

    #[test]
    fn schedules_become_the_brokers_own_text() {
        check("@in 2s", Some("@at 1970-01-01T00:00:03.000Z"));
        check("@at 2026-11-22T19:00:00+01:00", Some("@at 2026-11-22T18:00:00.000Z"));
        check("@every 90s", Some("@every 90000ms"));
        check("30 2 * * MON-FRI", Some("0 30 2 * * MON-FRI"));
        check("*/5 * * * * *", Some("*/5 * * * * *"));
        check("@daily", Some("@daily"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "@every 100ms", "@every", "@at noon", "* * *", "@often", "* * * * * * *", "a\n* * * *;"] {
            check(bad, None);
        }
    }
}
