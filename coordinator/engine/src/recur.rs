//! Which moments of a recurring schedule a firing of it stands for.
//!
//! A broker that was stopped fires a schedule once when it is back, however often it was due; one that was killed just goes
//! on with the next moment. So a firing stands for every moment from the one that was next to the one that is next now; the schedule's policy says which of
//! them get a task. The moments themselves are passed in: calendars and zones are no matter of the engine.

use std::time::Duration;

use nova_types::{CatchUp, UnixMillis};

/// The most missed moments that are made up for after one gap; the newest count.
pub const AT_MOST: usize = 1000;

/// How late a firing may be that still counts as on time: the broker is exact to milliseconds, a broker short of CPU was
/// seen four seconds late.
pub const LATE: Duration = Duration::from_secs(5);

/// How far before its moment a firing may come: clocks are read twice.
pub const EARLY: Duration = Duration::from_millis(500);

/// A firing of a recurring schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Firing {
    /// When the broker stored it.
    pub at: UnixMillis,
    /// When the schedule fires again.
    pub next: UnixMillis,
    /// Its stream sequence.
    pub sequence: u64,
}

/// How far the schedule had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// The first moment that was not dealt with.
    pub next: UnixMillis,
    /// The sequence of the last firing that was; 0 when there was none.
    pub firing: u64,
}

/// Moments without a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The first of them.
    pub from: UnixMillis,
    /// The last of them.
    pub until: UnixMillis,
}

/// What a firing comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The moments that get a task each, oldest first.
    pub run: Vec<UnixMillis>,
    /// Those that were missed and get none.
    pub missed: Option<Missed>,
}

/// Decides; whoever asks about the same firing with the same knowledge is told the same.
///
/// `moments` are those of the schedule before the firing's `next`, newest first; it may have no end.
#[must_use]
pub fn plan(policy: CatchUp, firing: Firing, before: Before, moments: impl Iterator<Item = UnixMillis>) -> Plan {
    // All it could stand for was dealt with: by itself, by a later one that made up for it, or because a broker that was
    // killed has forgotten that it fired. One that only comes behind a later one still stands for its own moment.
    let is_behind = firing.sequence < before.firing;
    if before.firing == firing.sequence || before.next >= firing.next && (policy == CatchUp::All || !is_behind) {
        return Plan::default();
    }
    let latest = firing.at.plus(EARLY);
    let mut moments = moments
        .skip_while(|moment| *moment >= firing.next || *moment > latest)
        .take_while(|moment| *moment >= before.next)
        .peekable();
    // A firing that comes from before what is known, or that the calendar here has no moment for, is never lost.
    let nominal = moments.peek().copied().unwrap_or_else(|| nominal(firing.at, firing.next));
    let run = match policy {
        CatchUp::All => {
            let mut run: Vec<UnixMillis> = moments.by_ref().take(AT_MOST).collect();
            run.reverse();
            if run.is_empty() { vec![nominal] } else { run }
        }
        CatchUp::One | CatchUp::Skip => {
            let is_late = firing.at.since(nominal) > grace(nominal, firing.next);
            if !(policy == CatchUp::Skip && is_late) {
                moments.next();
            }
            match policy {
                CatchUp::Skip if is_late => Vec::new(),
                // On time it is not what was missed: that is the moment before, when it was not dealt with.
                CatchUp::One if !is_late => moments.next().into_iter().chain([nominal]).collect(),
                _ => vec![nominal],
            }
        }
    };
    let missed = moments.next().map(|until| Missed { from: before.next.min(until), until });
    Plan { run, missed }
}

/// A firing later than this counts as missed: 5 s, or half the way to the next moment where that is sooner.
fn grace(nominal: UnixMillis, next: UnixMillis) -> Duration {
    (next.since(nominal) / 2).min(LATE)
}

/// The second a firing stands for when nothing but the firing is known: the nearest to when it fired, but always before
/// the next one's.
///
/// Both moments are the broker's own, so every coordinator names the same second; and because the next firing's second is
/// never below `next`, no two firings of one schedule share a second, however late the broker was.
#[must_use]
pub fn nominal(at: UnixMillis, next: UnixMillis) -> UnixMillis {
    let nearest = at.0.saturating_add(500).div_euclid(1000);
    UnixMillis(nearest.min(next.0.div_euclid(1000) - 1).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const S: i64 = 1000;

    /// The moments of a schedule that is due every so many seconds, before `next`, newest first.
    fn every(seconds: i64, next: i64) -> impl Iterator<Item = UnixMillis> {
        (1..).map(move |n| UnixMillis(next - n * seconds * S))
    }

    /// A schedule due every ten seconds fires at `at` and is next due at `next`; it had come to `known`.
    #[track_caller]
    fn check(policy: CatchUp, at: i64, next: i64, known: i64, run: &[i64], missed: Option<(i64, i64)>) {
        let firing = Firing { at: UnixMillis(at), next: UnixMillis(next * S), sequence: 9 };
        let before = Before { next: UnixMillis(known * S), firing: 8 };
        let plan = plan(policy, firing, before, every(10, next * S));
        assert_eq!(plan.run.iter().map(|at| at.0 / S).collect::<Vec<_>>(), run, "{policy} at {at}");
        assert_eq!(plan.missed.map(|missed| (missed.from.0 / S, missed.until.0 / S)), missed, "{policy} at {at}");
    }

    #[test]
    fn a_firing_on_time_is_its_moment_whatever_the_policy() {
        for policy in CatchUp::ALL {
            check(policy, 1_000_003, 1010, 1000, &[1000], None);
            check(policy, 999_998, 1010, 1000, &[1000], None);
            // Late, as on a machine short of CPU.
            check(policy, 1_004_000, 1010, 1000, &[1000], None);
        }
    }

    #[test]
    fn what_a_gap_leaves_is_the_policys_to_say() {
        // Down from 990 to 1027: 1000, 1010 and 1020 were missed.
        check(CatchUp::All, 1_027_200, 1030, 1000, &[1000, 1010, 1020], None);
        check(CatchUp::One, 1_027_200, 1030, 1000, &[1020], Some((1000, 1010)));
        check(CatchUp::Skip, 1_027_200, 1030, 1000, &[], Some((1000, 1020)));
        // Back just as the next one is due: that one is not missed.
        check(CatchUp::Skip, 1_030_100, 1040, 1000, &[1030], Some((1000, 1020)));
        check(CatchUp::One, 1_030_100, 1040, 1000, &[1020, 1030], Some((1000, 1010)));
        check(CatchUp::All, 1_030_100, 1040, 1000, &[1000, 1010, 1020, 1030], None);
        // One alone was missed.
        check(CatchUp::One, 1_007_000, 1010, 1000, &[1000], None);
        check(CatchUp::Skip, 1_007_000, 1010, 1000, &[], Some((1000, 1000)));
    }

    #[test]
    fn a_moment_the_broker_rounded_away_counts_to_its_firing() {
        // Back at 1029.7 the broker counts from 1030 and is next due at 1040.
        check(CatchUp::All, 1_029_700, 1040, 1020, &[1020, 1030], None);
        check(CatchUp::One, 1_029_700, 1040, 1010, &[1020, 1030], Some((1010, 1010)));
    }

    #[test]
    fn a_gap_is_made_up_for_within_bounds_and_the_newest_count() {
        let firing = Firing { at: UnixMillis(60_000 * S), next: UnixMillis(60_010 * S), sequence: 9 };
        let before = Before { next: UnixMillis(0), firing: 8 };
        let plan = plan(CatchUp::All, firing, before, every(10, 60_010 * S));
        assert_eq!(
            (plan.run.len(), plan.run[0], plan.run[AT_MOST - 1]),
            (AT_MOST, UnixMillis(50_010 * S), UnixMillis(60_000 * S))
        );
        assert_eq!(plan.missed, Some(Missed { from: UnixMillis(0), until: UnixMillis(50_000 * S) }));
    }

    #[test]
    fn a_firing_that_was_dealt_with_is_nothing_again() {
        let firing = Firing { at: UnixMillis(1_000_000), next: UnixMillis(1_010_000), sequence: 9 };
        for policy in CatchUp::ALL {
            let before = Before { next: UnixMillis(1_010_000), firing: 9 };
            assert_eq!(plan(policy, firing, before, every(10, 1_010_000)), Plan::default());
        }
    }

    #[test]
    fn a_firing_that_comes_after_a_later_one_still_runs() {
        let firing = Firing { at: UnixMillis(1_000_003), next: UnixMillis(1_010_000), sequence: 9 };
        let later = Before { next: UnixMillis(1_020_000), firing: 10 };
        for (policy, run) in [
            (CatchUp::All, vec![]),
            (CatchUp::One, vec![UnixMillis(1_000_000)]),
            (CatchUp::Skip, vec![UnixMillis(1_000_000)]),
        ] {
            assert_eq!(plan(policy, firing, later, every(10, 1_010_000)).run, run, "{policy}");
        }
    }

    #[test]
    fn a_broker_that_forgot_that_it_fired_runs_nothing_twice() {
        let again = Firing { at: UnixMillis(1_004_000), next: UnixMillis(1_010_000), sequence: 12 };
        let before = Before { next: UnixMillis(1_010_000), firing: 9 };
        for policy in CatchUp::ALL {
            assert_eq!(plan(policy, again, before, every(10, 1_010_000)), Plan::default(), "{policy}");
        }
    }

    #[test]
    fn a_calendar_that_knows_better_loses_no_firing() {
        let firing = Firing { at: UnixMillis(1_000_003), next: UnixMillis(1_010_000), sequence: 9 };
        let before = Before { next: UnixMillis(1_000_000), firing: 8 };
        for policy in CatchUp::ALL {
            assert_eq!(plan(policy, firing, before, std::iter::empty()).run, [UnixMillis(1_000_000)]);
        }
    }

    proptest! {
        /// Under `all` each moment has its task once, whatever the gaps and wherever it broke off and began again.
        #[test]
        fn under_all_each_moment_runs_once(every_s in 1_i64..50, gaps in proptest::collection::vec(0_i64..400, 1..12)) {
            let every_ms = every_s * S;
            let (mut known, mut ran, mut at) = (Before { next: UnixMillis(every_ms), firing: 0 }, Vec::new(), every_ms);
            for (sequence, gap) in gaps.iter().enumerate() {
                at = at.max(known.next.0) + gap * 97;
                let next = at.div_euclid(every_ms) * every_ms + every_ms;
                let firing = Firing { at: UnixMillis(at), next: UnixMillis(next), sequence: sequence as u64 + 1 };
                let told = plan(CatchUp::All, firing, known, every(every_s, next));
                prop_assert_eq!(&told, &plan(CatchUp::All, firing, known, every(every_s, next)), "asked twice");
                ran.extend(told.run);
                known = Before { next: firing.next, firing: firing.sequence };
                prop_assert_eq!(plan(CatchUp::All, firing, known, every(every_s, next)), Plan::default(), "dealt with");
            }
            let expect: Vec<UnixMillis> = (1..).map(|n| UnixMillis(n * every_ms)).take_while(|at| *at < known.next).collect();
            prop_assert_eq!(ran, expect);
        }

        /// A schedule that fires each second or more seldom, with timers that are early by 3 ms at most and late by any time.
        #[test]
        fn no_two_firings_share_a_second(start in 0_i64..5_000, every in 1_000_i64..5_000, late in proptest::collection::vec(-3_i64..4_000, 2..20)) {
            let mut due = 1_795_370_000_000 + start;
            let mut last = None;
            for late in late {
                let at = due + late;
                // The broker counts the next one from the first nominal moment behind the firing.
                let mut next = due + every;
                while next <= at {
                    next += every;
                }
                let second = nominal(UnixMillis(at), UnixMillis(next));
                prop_assert!(last.is_none_or(|last| second > last), "{last:?} {second:?}");
                (last, due) = (Some(second), next);
            }
        }
    }
}
