//! Claims about buckets: no stretch of time sees more than its rate allows, and what is not used is not lost for ever.

use proptest::prelude::*;

use super::*;

fn rate(text: &str) -> Rate {
    text.parse().expect("a rate")
}

/// No stretch between two uses holds more of them than `rate * t + burst`.
#[track_caller]
fn check_bound(rate: Rate, mut uses: Vec<i64>) {
    uses.sort_unstable();
    let (count, per) = (u128::from(rate.count()), rate.per().as_millis());
    for (first, from) in uses.iter().enumerate() {
        for (nth, to) in uses[first..].iter().enumerate() {
            let stretch = u128::try_from(to - from).expect("sorted");
            let allowed = u128::from(rate.burst()) * per + count * stretch;
            assert!((nth as u128 + 1) * per <= allowed, "{} uses within {stretch} ms of {rate}", nth + 1);
        }
    }
}

fn rates() -> impl Strategy<Value = Rate> {
    (1..=400_u32, 0..3_usize, 1..=40_u32).prop_filter_map("a burst that is too small", |(count, unit, burst)| {
        format!("{count}/{} burst {burst}", ["s", "m", "h"][unit]).parse().ok()
    })
}

proptest! {
    #[test]
    fn no_stretch_sees_more_than_the_rate_and_the_burst(rate in rates(), asks in prop::collection::vec((0..700_i64, 1..30_u32), 1..120)) {
        let budget = Budget::local(rate);
        let (mut now, mut uses) = (0, Vec::new());
        let mut bucket = TokenBucket::full(&budget, UnixMillis(now));
        for (pause, want) in asks {
            now += pause;
            let taken = bucket.take(&budget, want, UnixMillis(now));
            uses.extend((0..taken).map(|_| now));
        }
        check_bound(rate, uses);
    }

    #[test]
    fn slices_used_as_late_as_they_may_be_stay_within_the_rate(
        rate in rates(),
        asks in prop::collection::vec((0..700_i64, 1..30_u32, 0.0..=1.0_f64), 1..120),
    ) {
        let budget = Budget::shared(rate);
        let hold = i64::try_from(budget.hold.as_millis()).expect("short");
        let (mut now, mut uses) = (0, Vec::new());
        let mut bucket = TokenBucket::full(&budget, UnixMillis(now));
        for (pause, want, late) in asks {
            now += pause;
            let taken = bucket.take(&budget, want, UnixMillis(now));
            // Every token of a slice at another moment of its hold, one of them at the very end.
            uses.extend((1..=taken).map(|n| now + (hold as f64 * late * f64::from(n) / f64::from(taken)) as i64));
        }
        check_bound(rate, uses);
    }

    #[test]
    fn whoever_waits_as_told_gets_a_token(rate in rates(), drained in 0..500_u32, shared in any::<bool>()) {
        let budget = if shared { Budget::shared(rate) } else { Budget::local(rate) };
        let mut bucket = TokenBucket::full(&budget, UnixMillis(0));
        bucket.take(&budget, drained, UnixMillis(0));
        let wait = bucket.wait_for(&budget, 1, UnixMillis(0));
        prop_assert_eq!(bucket.take(&budget, 1, UnixMillis(0).plus(wait)), 1);
    }

    #[test]
    fn a_clock_that_jumps_hands_out_nothing_twice(rate in rates(), moments in prop::collection::vec(0..5_000_i64, 1..60)) {
        let budget = Budget::local(rate);
        let mut bucket = TokenBucket::full(&budget, UnixMillis(0));
        let taken: u64 = moments.iter().map(|at| u64::from(bucket.take(&budget, 100, UnixMillis(*at)))).sum();
        let last = *moments.iter().max().expect("one at least");
        let allowed = u64::from(rate.burst()) * WHOLE + grown(per_second(rate), Duration::from_millis(last as u64));
        prop_assert!(taken * WHOLE <= allowed);
    }
}

#[test]
fn a_shared_bucket_keeps_the_rate_and_gives_up_half_the_burst_at_most() {
    for text in ["100/s", "1000000/s", "7/s burst 3", "90/m", "5/h burst 2"] {
        let (local, shared) = (Budget::local(rate(text)), Budget::shared(rate(text)));
        assert_eq!(shared.refill, local.refill, "{text}");
        assert!(shared.most * 2 >= local.most && shared.most() >= 1, "{text}: {shared:?}");
        assert!(shared.hold >= SHORTEST_HOLD && shared.hold <= LONGEST_HOLD, "{text}: {shared:?}");
    }
    // Without a burst the rate gives way, by little where tokens are rare.
    for (text, percent) in [("5/h", 99), ("1/m", 97), ("1/s burst 1", 95), ("10/s burst 1", 66)] {
        let (local, shared) = (Budget::local(rate(text)), Budget::shared(rate(text)));
        assert!(shared.refill * 100 >= local.refill * percent && shared.most() == 1, "{text}: {shared:?}");
    }
}

#[test]
fn each_key_has_its_own_rate_and_begins_empty() {
    let mut limits = KeyLimits::new(rate("2/s"), UnixMillis(0));
    assert_eq!(limits.take("a", UnixMillis(0)), Err(Duration::from_millis(500)), "an owner before may have used it");
    assert_eq!([limits.take("a", UnixMillis(1000)), limits.take("a", UnixMillis(1000))], [Ok(()), Ok(())]);
    assert_eq!(limits.take("a", UnixMillis(1000)), Err(Duration::from_millis(500)));
    assert_eq!(limits.take("b", UnixMillis(1000)), Ok(()));
}

#[test]
fn keys_that_are_full_again_are_forgotten() {
    let mut limits = KeyLimits::new(rate("1/s"), UnixMillis(0));
    for n in 0..5_000_i64 {
        assert_eq!(limits.take(&n.to_string(), UnixMillis(1000 + n * 10)), Ok(()));
    }
    assert!(limits.buckets.len() <= KEYS_BEFORE_SWEEP + 1, "{}", limits.buckets.len());
    assert!(limits.take("4999", UnixMillis(51_000)).is_err());
}
