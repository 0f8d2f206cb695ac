//! The moments of a recurring schedule, the same that the broker fires it for.
//!
//! A cron line names every second whose local reading matches it: a local time that a change of clocks skips has no such
//! second, one that comes twice has two.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use nova_types::UnixMillis;

use crate::cron::Cron;
use crate::schedule::{InvalidSchedule, ScheduleSpec};

/// How many changes of clocks are looked past for a moment: two a year, over the years in which a leap day comes.
const CHANGES: usize = 64;

/// When a recurring schedule is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar(Kind);

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    /// All that is a whole number of pauses from this second.
    Every { anchor: i64, pause_ms: i64 },
    /// Every second a cron line names.
    Cron { cron: Box<Cron>, zone: TimeZone },
}

impl Calendar {
    /// The moments of a schedule that was stored at `since`; `None` of one that fires once.
    ///
    /// # Errors
    /// [`InvalidSchedule`] when the text or the zone is not known here.
    pub fn new(when: &str, time_zone: Option<&str>, since: UnixMillis) -> Result<Option<Self>, InvalidSchedule> {
        let kind = match when.parse()? {
            ScheduleSpec::In(_) | ScheduleSpec::At(_) => return Ok(None),
            ScheduleSpec::Every(pause) => {
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX).max(1);
                Kind::Every { anchor: whole_second(since).0.saturating_add(pause_ms), pause_ms }
            }
            ScheduleSpec::Cron(line) => {
                let cron = Cron::parse(&line).ok_or_else(|| InvalidSchedule::new(&line, "is no cron line"))?;
                let zone = time_zone.map_or(Ok(TimeZone::UTC), TimeZone::get);
                let zone =
                    zone.map_err(|_| InvalidSchedule::new(when, "is in a time zone this machine does not know"))?;
                Kind::Cron { cron: Box::new(cron), zone }
            }
        };
        Ok(Some(Self(kind)))
    }

    /// The first moment of a schedule that was stored at `since`.
    #[must_use]
    pub fn first(&self, since: UnixMillis) -> Option<UnixMillis> {
        match &self.0 {
            Kind::Every { anchor, .. } => Some(UnixMillis(*anchor)),
            // The broker looks from the nearest second on.
            Kind::Cron { .. } => self.after(whole_second(since)),
        }
    }

    /// The same, counted from a moment it is known to be due at; cron lines need no such thing.
    #[must_use]
    pub fn counted_from(mut self, moment: UnixMillis) -> Self {
        if let Kind::Every { anchor, .. } = &mut self.0 {
            *anchor = moment.0;
        }
        self
    }

    /// The first moment after this one.
    #[must_use]
    pub fn after(&self, moment: UnixMillis) -> Option<UnixMillis> {
        match &self.0 {
            Kind::Every { anchor, pause_ms } => {
                let past = moment.0.checked_sub(*anchor)?.div_euclid(*pause_ms);
                past.checked_add(1)?.checked_mul(*pause_ms)?.checked_add(*anchor).map(UnixMillis)
            }
            Kind::Cron { cron, zone } => {
                let mut from = moment.0.div_euclid(1000) + 1;
                for _ in 0..CHANGES {
                    let (offset, change) = (offset(zone, from)?, next_change(zone, from));
                    let found = cron.first(from + offset).map(|local| local - offset);
                    match (found, change) {
                        (Some(found), change) if change.is_none_or(|change| found < change) => return millis(found),
                        (_, None) => return None,
                        (_, Some(change)) => from = change,
                    }
                }
                None
            }
        }
    }

    /// The last moment before this one.
    #[must_use]
    pub fn before(&self, moment: UnixMillis) -> Option<UnixMillis> {
        match &self.0 {
            Kind::Every { anchor, pause_ms } => {
                let past = moment.0.checked_sub(*anchor)?.checked_sub(1)?.div_euclid(*pause_ms);
                past.checked_mul(*pause_ms)?.checked_add(*anchor).map(UnixMillis)
            }
            Kind::Cron { cron, zone } => {
                let mut until = moment.0.checked_sub(1)?.div_euclid(1000);
                for _ in 0..CHANGES {
                    let (offset, change) = (offset(zone, until)?, last_change(zone, until));
                    let found = cron.last(until + offset).map(|local| local - offset);
                    match (found, change) {
                        (Some(found), change) if change.is_none_or(|change| found >= change) => return millis(found),
                        (_, None) => return None,
                        (_, Some(change)) => until = change - 1,
                    }
                }
                None
            }
        }
    }

    /// All moments from this one on, oldest first.
    pub fn from(&self, moment: UnixMillis) -> impl Iterator<Item = UnixMillis> + '_ {
        std::iter::successors(self.after(UnixMillis(moment.0.saturating_sub(1))), |last| self.after(*last))
    }

    /// All moments before this one, newest first.
    pub fn back_from(&self, moment: UnixMillis) -> impl Iterator<Item = UnixMillis> + '_ {
        std::iter::successors(self.before(moment), |last| self.before(*last))
    }
}

/// The nearest whole second, as the broker rounds.
fn whole_second(moment: UnixMillis) -> UnixMillis {
    UnixMillis(moment.0.saturating_add(500).div_euclid(1000).saturating_mul(1000))
}

fn millis(second: i64) -> Option<UnixMillis> {
    second.checked_mul(1000).map(UnixMillis)
}

fn offset(zone: &TimeZone, second: i64) -> Option<i64> {
    Timestamp::from_second(second).ok().map(|at| i64::from(zone.to_offset(at).seconds()))
}

/// The first second after this one at which the zone changes.
fn next_change(zone: &TimeZone, second: i64) -> Option<i64> {
    zone.following(Timestamp::from_second(second).ok()?).next().map(|change| change.timestamp().as_second())
}

/// The last second up to this one at which the zone changed.
fn last_change(zone: &TimeZone, second: i64) -> Option<i64> {
    zone.preceding(Timestamp::from_second(second + 1).ok()?).next().map(|change| change.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{format_rfc3339, parse_rfc3339};

    fn moment(text: &str) -> UnixMillis {
        parse_rfc3339(text).expect("a moment")
    }

    fn calendar(line: &str, zone: &str) -> Calendar {
        Calendar::new(line, Some(zone), UnixMillis(0)).expect("a schedule").expect("a recurring one")
    }

    /// All moments of a range, which must be the same forward and backward.
    #[track_caller]
    fn check(line: &str, zone: &str, from: &str, to: &str, expect: &[&str]) {
        let calendar = calendar(line, zone);
        let (from, to) = (moment(from), moment(to));
        let forward: Vec<UnixMillis> = calendar.from(from).take_while(|at| *at < to).collect();
        let mut backward: Vec<UnixMillis> = calendar.back_from(to).take_while(|at| *at >= from).collect();
        backward.reverse();
        let told: Vec<String> = forward.iter().map(|at| format_rfc3339(*at).replace(".000Z", "Z")).collect();
        assert_eq!(told, expect, "{line} in {zone}");
        assert_eq!(forward, backward, "{line} in {zone}");
    }

    #[test]
    fn a_skipped_local_time_has_no_moment() {
        // Clocks go from 02:00 to 03:00 on 2026-03-29 at 01:00 UTC.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            "2026-03-31T00:00:00Z",
            &["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"],
        );
        check(
            "30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:00:00Z",
            "2026-03-29T02:00:00Z",
            &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"],
        );
        // Half an hour: from 02:00 to 02:30 on 2026-10-04 at 15:30 UTC the day before.
        check(
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-02T20:00:00Z",
            "2026-10-04T20:00:00Z",
            &["2026-10-04T15:15:00Z"],
        );
    }

    #[test]
    fn a_repeated_local_time_has_two() {
        // Clocks go from 03:00 back to 02:00 on 2026-10-25 at 01:00 UTC.
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            "2026-10-26T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"],
        );
        check(
            "0 * * * *",
            "Europe/Berlin",
            "2026-10-25T00:00:00Z",
            "2026-10-25T03:00:00Z",
            &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"],
        );
    }

    #[test]
    fn a_pause_is_counted_from_when_it_was_stored() {
        let every = Calendar::new("@every 90s", None, UnixMillis(10_700)).expect("a schedule").expect("recurring");
        assert_eq!(every.first(UnixMillis(10_700)), Some(UnixMillis(101_000)));
        let moments: Vec<i64> = every.from(UnixMillis(101_000)).take(3).map(|at| at.0).collect();
        assert_eq!(moments, [101_000, 191_000, 281_000]);
        let back: Vec<i64> = every.back_from(UnixMillis(281_000)).take(3).map(|at| at.0).collect();
        assert_eq!(back, [191_000, 101_000, 11_000]);
        let moved = every.counted_from(UnixMillis(105_000));
        assert_eq!(moved.after(UnixMillis(105_000)), Some(UnixMillis(195_000)));
    }

    #[test]
    fn what_is_no_calendar_is_refused() {
        assert_eq!(Calendar::new("@at 2026-11-22T18:00:00Z", None, UnixMillis(0)), Ok(None));
        assert!(Calendar::new("0 0 25 * * *", None, UnixMillis(0)).is_err());
        assert!(Calendar::new("0 0 2 * * *", Some("Mars/Olympus"), UnixMillis(0)).is_err());
    }

    proptest! {
        /// Each moment reads as the line says in its zone, and each second that does so is a moment.
        #[test]
        fn moments_are_the_seconds_that_read_as_the_line_says(start in 1_750_000_000_i64..1_850_000_000, minute in 0_u32..60, hour in 0_u32..24) {
            let line = format!("0 {minute} {hour} * * *");
            let zone = TimeZone::get("Europe/Berlin").expect("a zone");
            let calendar = calendar(&line, "Europe/Berlin");
            let until = start + 3 * 86_400;
            let found: Vec<i64> = calendar.from(UnixMillis(start * 1000)).map(|at| at.0 / 1000).take_while(|at| *at < until).collect();
            let expect: Vec<i64> = (start..until).filter(|at| at % 60 == 0).filter(|at| {
                let local = zone.to_datetime(Timestamp::from_second(*at).expect("in range"));
                u32::try_from(local.minute()) == Ok(minute) && u32::try_from(local.hour()) == Ok(hour)
            }).collect();
            prop_assert_eq!(found, expect);
        }
    }
}
