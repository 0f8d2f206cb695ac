//! Whether one priority of a queue moves as its policy says it should.

use std::time::Duration;

use nova_types::UnixMillis;

/// One consumer at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Everything up to here is done with.
    pub ack_floor: u64,
    /// The last sequence delivered.
    pub delivered: u64,
    /// Deliveries out.
    pub running: u64,
    /// Deliveries out again.
    pub redelivered: u64,
    /// When, by the broker's clock.
    pub now: UnixMillis,
}

/// What has stood still since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    look: Look,
    floor_since: UnixMillis,
    delivered_since: UnixMillis,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Trouble {
    /// Tasks out for longer than their policy explains: all of them when nothing moves, else at least the oldest.
    pub stuck: u64,
    /// Tasks out again while the oldest of them is out for longer than explained.
    pub overdelivered: u64,
}

/// Compares a look with what was seen before; `explained` is the longest one task may be out.
#[must_use]
pub fn compare(seen: Option<Seen>, look: Look, explained: Duration) -> (Seen, Trouble) {
    let fresh = Seen { look, floor_since: look.now, delivered_since: look.now };
    // Without anything out there is nothing to stand still.
    let Some(seen) = seen.filter(|_| look.running > 0) else { return (fresh, Trouble::default()) };
    let still = |same: bool, since: UnixMillis| if same { since } else { look.now };
    let now_seen = Seen {
        look,
        floor_since: still(seen.look.ack_floor == look.ack_floor && seen.look.running > 0, seen.floor_since),
        delivered_since: still(seen.look.delivered == look.delivered, seen.delivered_since),
    };
    let is_over = |since: UnixMillis| look.now.since(since) > explained;
    let trouble = match (is_over(now_seen.floor_since), is_over(now_seen.delivered_since)) {
        (false, _) => Trouble::default(),
        (true, true) => Trouble { stuck: look.running, overdelivered: look.redelivered },
        (true, false) => Trouble { stuck: 1, overdelivered: look.redelivered },
    };
    (now_seen, trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPLAINED: Duration = Duration::from_secs(60);

    fn look(second: i64, ack_floor: u64, delivered: u64, running: u64) -> Look {
        Look { ack_floor, delivered, running, redelivered: running / 2, now: UnixMillis(second * 1000) }
    }

    #[track_caller]
    fn check(looks: &[Look], stuck: u64, overdelivered: u64) {
        let mut seen = None;
        let mut last = Trouble::default();
        for &look in looks {
            let (now_seen, trouble) = compare(seen, look, EXPLAINED);
            (seen, last) = (Some(now_seen), trouble);
        }
        assert_eq!(last, Trouble { stuck, overdelivered });
    }

    #[test]
    fn a_lane_that_moves_is_well() {
        check(&[look(0, 1, 9, 8), look(50, 5, 12, 7), look(100, 9, 20, 11)], 0, 0);
        check(&[look(0, 1, 9, 0), look(100, 1, 9, 0)], 0, 0);
        check(&[look(0, 1, 9, 0), look(100, 1, 10, 1), look(130, 1, 10, 1)], 0, 0);
    }

    #[test]
    fn a_lane_that_stands_still_too_long_is_stuck() {
        check(&[look(0, 1, 9, 8), look(61, 1, 9, 8)], 8, 4);
        check(&[look(0, 1, 9, 8), look(61, 1, 30, 8)], 1, 4);
        check(&[look(0, 1, 9, 8), look(59, 1, 9, 8)], 0, 0);
    }
}
