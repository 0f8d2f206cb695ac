//! When an order that came before its run is looked at again: soon at first, and all together never often.

use std::time::Duration;

use nova_types::UnixMillis;

/// The first pause: a replica may be behind.
const SHORTEST: Duration = Duration::from_millis(300);
/// The longest pause of a few.
const LONGEST: Duration = Duration::from_secs(30);
/// The least between two looks at those that wait for long: many of them have longer pauses instead of more looks.
const GAP: Duration = Duration::from_millis(50);

/// The orders that have waited for so long that they are looked at by turns.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// The next turn that is free.
    next: UnixMillis,
}

impl Early {
    /// The pause of an order that has waited so long, now.
    pub(crate) fn pause(&mut self, waited: Duration, now: UnixMillis) -> Duration {
        let wanted = (waited / 4).clamp(SHORTEST, LONGEST);
        if wanted < LONGEST {
            return wanted;
        }
        let at = now.plus(wanted).max(self.next);
        self.next = at.plus(GAP);
        at.since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_orders_are_looked_at_soon_and_then_every_half_minute() {
        let (mut early, now) = (Early::default(), UnixMillis(1_000_000));
        let mut pause = |secs| early.pause(Duration::from_secs(secs), now).as_millis();
        assert_eq!([pause(0), pause(4), pause(40), pause(3600)], [300, 1000, 10_000, 30_000]);
    }

    #[test]
    fn many_that_wait_for_long_cost_no_more_than_a_few() {
        let mut early = Early::default();
        // Ten thousand, each looked at again when its pause is over, for an hour.
        let mut due: std::collections::BTreeSet<(i64, u32)> = (0..10_000).map(|order| (3_600_000, order)).collect();
        let mut looks = 0;
        while let Some((at, order)) = due.pop_first().filter(|(at, _)| *at < 7_200_000) {
            looks += 1;
            let pause = early.pause(UnixMillis(at).since(UnixMillis(0)), UnixMillis(at));
            due.insert((UnixMillis(at).plus(pause).0, order));
        }
        assert!((10_000..=10_000 + 3600 * 20).contains(&looks), "{looks}");
        // One that has just come does not wait behind them.
        assert_eq!(early.pause(Duration::from_secs(2), UnixMillis(7_200_000)), Duration::from_millis(500));
    }
}
