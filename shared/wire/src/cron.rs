//! Cron lines of six fields, read as the broker reads them.
//!
//! A field is `*` or `?`, a number, a name (of months and weekdays), a range, each with a step, or a list of such. When
//! both the day of the month and the weekday are narrowed, either will do.

use jiff::Span;
use jiff::civil::Date;

/// The days looked through for a moment before a line counts as one that never comes: eight years from one leap day to
/// the next around a century, and some.
const HORIZON_DAYS: i64 = 9 * 366;
/// The seconds of a day.
const DAY: i64 = 86_400;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The values of one field, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// Whether it is `*` or `?`, unstepped.
    is_any: bool,
}

impl Field {
    fn parse(text: &str, min: u32, max: u32, names: &[&str]) -> Option<Self> {
        let mut field = Self { bits: 0, is_any: false };
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (range, step) = match part.split_once('/') {
                Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| *step > 0)?)),
                None => (part, None),
            };
            let value = |text: &str| {
                let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
                named.map_or_else(|| text.parse().ok(), |at| u32::try_from(at).ok().map(|at| at + min))
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" || range == "?" => {
                    field.is_any |= step.is_none_or(|step| step == 1);
                    (min, max)
                }
                Some((from, to)) => (value(from)?, value(to)?),
                None => (value(range)?, if step.is_some() { max } else { value(range)? }),
            };
            if from < min || to > max || from > to {
                return None;
            }
            let steps = usize::try_from(step.unwrap_or(1)).ok()?;
            field.bits |= (from..=to).step_by(steps).fold(0, |bits, value| bits | 1 << value);
        }
        (field.bits != 0).then_some(field)
    }

    fn has(self, value: i64) -> bool {
        (0..64).contains(&value) && self.bits & (1 << value) != 0
    }

    fn first(self, from: i64) -> Option<i64> {
        (from.max(0)..64).find(|value| self.has(*value))
    }

    fn last(self, until: i64) -> Option<i64> {
        (0..=until.min(63)).rev().find(|value| self.has(*value))
    }
}

/// A line, parsed. Its moments are seconds of a local clock: those since 1970-01-01 00:00 on that clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cron {
    second: Field,
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

impl Cron {
    /// Reads six fields, or one of the words for them.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = match line {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            other => other,
        };
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = fields[..] else { return None };
        Some(Self {
            second: Field::parse(second, 0, 59, &[])?,
            minute: Field::parse(minute, 0, 59, &[])?,
            hour: Field::parse(hour, 0, 23, &[])?,
            day: Field::parse(day, 1, 31, &[])?,
            month: Field::parse(month, 1, 12, &MONTHS)?,
            weekday: Field::parse(weekday, 0, 6, &WEEKDAYS)?,
        })
    }

    /// The first local second from this one on.
    pub(crate) fn first(&self, from: i64) -> Option<i64> {
        let today = from.div_euclid(DAY);
        (today..=today + HORIZON_DAYS).filter(|day| self.has_day(*day)).find_map(|day| {
            let earliest = if day == today { from.rem_euclid(DAY) } else { 0 };
            self.first_time(earliest).map(|time| day * DAY + time)
        })
    }

    /// The last local second up to this one.
    pub(crate) fn last(&self, until: i64) -> Option<i64> {
        let today = until.div_euclid(DAY);
        (today - HORIZON_DAYS..=today).rev().filter(|day| self.has_day(*day)).find_map(|day| {
            let latest = if day == today { until.rem_euclid(DAY) } else { DAY - 1 };
            self.last_time(latest).map(|time| day * DAY + time)
        })
    }

    fn has_day(&self, day: i64) -> bool {
        let Some(date) = date(day) else { return false };
        let by_month = self.day.has(date.day().into());
        let by_week = self.weekday.has(date.weekday().to_sunday_zero_offset().into());
        let is_either = !self.day.is_any && !self.weekday.is_any;
        self.month.has(date.month().into()) && if is_either { by_month || by_week } else { by_month && by_week }
    }

    fn first_time(&self, from: i64) -> Option<i64> {
        let (h, m, s) = (from / 3600, from / 60 % 60, from % 60);
        let at = |hour: i64, minute: i64, second: i64| Some(hour * 3600 + minute * 60 + second);
        if self.hour.has(h) {
            if let (true, Some(second)) = (self.minute.has(m), self.second.first(s)) {
                return at(h, m, second);
            }
            if let Some(minute) = self.minute.first(m + 1) {
                return at(h, minute, self.second.first(0)?);
            }
        }
        at(self.hour.first(h + 1)?, self.minute.first(0)?, self.second.first(0)?)
    }

    fn last_time(&self, until: i64) -> Option<i64> {
        let (h, m, s) = (until / 3600, until / 60 % 60, until % 60);
        let at = |hour: i64, minute: i64, second: i64| Some(hour * 3600 + minute * 60 + second);
        if self.hour.has(h) {
            if let (true, Some(second)) = (self.minute.has(m), self.second.last(s)) {
                return at(h, m, second);
            }
            if let Some(minute) = self.minute.last(m - 1) {
                return at(h, minute, self.second.last(59)?);
            }
        }
        at(self.hour.last(h - 1)?, self.minute.last(59)?, self.second.last(59)?)
    }
}

/// The date of a day counted from 1970-01-01.
fn date(day: i64) -> Option<Date> {
    let span = Span::new().try_days(day).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, from: &str, expect: &[&str]) {
        let second = |text: &str| text.parse::<jiff::Timestamp>().expect("a moment").as_second();
        let cron = Cron::parse(line).unwrap_or_else(|| panic!("{line} is a line"));
        let expect: Vec<i64> = expect.iter().map(|text| second(text)).collect();
        let forward: Vec<i64> =
            std::iter::successors(cron.first(second(from)), |at| cron.first(at + 1)).take(expect.len()).collect();
        assert_eq!(forward, expect, "{line} forward");
        if let Some(last) = expect.last() {
            let mut back: Vec<i64> =
                std::iter::successors(cron.last(*last), |at| cron.last(at - 1)).take(expect.len()).collect();
            back.reverse();
            assert_eq!(back, expect, "{line} backward");
        }
    }

    #[test]
    fn lines_come_when_they_say() {
        check(
            "*/20 * * * * *",
            "2026-11-22T23:59:30Z",
            &["2026-11-22T23:59:40Z", "2026-11-23T00:00:00Z", "2026-11-23T00:00:20Z"],
        );
        check(
            "0 30 2 * * MON-fri",
            "2026-11-20T02:30:00Z",
            &["2026-11-20T02:30:00Z", "2026-11-23T02:30:00Z", "2026-11-24T02:30:00Z"],
        );
        check(
            "5 4/30 23 * * *",
            "2026-11-22T23:10:00Z",
            &["2026-11-22T23:34:05Z", "2026-11-23T23:04:05Z", "2026-11-23T23:34:05Z"],
        );
        check(
            "0 0 0 31 * ?",
            "2026-02-01T00:00:00Z",
            &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z", "2026-07-31T00:00:00Z"],
        );
        check("0 0 0 29 2 *", "2095-01-01T00:00:00Z", &["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"]);
        check("@weekly", "2026-11-22T00:00:01Z", &["2026-11-29T00:00:00Z", "2026-12-06T00:00:00Z"]);
        check("@yearly", "2026-11-22T00:00:01Z", &["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]);
        check("59 59 23 31 DEC *", "1969-12-31T00:00:00Z", &["1969-12-31T23:59:59Z", "1970-12-31T23:59:59Z"]);
    }

    #[test]
    fn of_a_day_of_the_month_and_a_weekday_either_will_do() {
        check(
            "0 0 0 13 * FRI",
            "2026-11-12T12:00:00Z",
            &[
                "2026-11-13T00:00:00Z",
                "2026-11-20T00:00:00Z",
                "2026-11-27T00:00:00Z",
                "2026-12-04T00:00:00Z",
                "2026-12-11T00:00:00Z",
                "2026-12-13T00:00:00Z",
            ],
        );
        check("0 0 0 */15 * *", "2026-11-02T00:00:00Z", &["2026-11-16T00:00:00Z", "2026-12-01T00:00:00Z"]);
    }

    #[test]
    fn what_never_comes_ends_and_what_is_no_line_is_none() {
        check("0 0 0 30 2 *", "2026-11-22T00:00:00Z", &[]);
        assert_eq!(Cron::parse("0 0 0 30 2 *").expect("a line").first(0), None);
        for bad in [
            "* * * * *",
            "60 * * * * *",
            "* * * 0 * *",
            "* * * * * 7",
            "5-1 * * * * *",
            "*/0 * * * * *",
            "a * * * * *",
            ", * * * * *",
        ] {
            assert_eq!(Cron::parse(bad), None, "{bad}");
        }
    }
}
