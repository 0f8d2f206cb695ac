//! Which waiting tasks move to the end of their queue, so that they no longer pin its history.

use crate::trim::Facts;

/// A stretch of one lane whose waiting tasks are published again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rehome {
    /// Which lane, by its place in the facts.
    pub lane: usize,
    /// The first sequence that counts.
    pub from: u64,
    /// The most tasks to move now.
    pub most: usize,
}

/// How many tasks move in one round: each costs two writes.
const STEP: usize = 500;

/// Decides: when history that a waiting task pins takes over half of what the stream may hold, that lane's oldest waiting
/// tasks move. A task that runs is never moved: it would run twice.
#[must_use]
pub fn decide(facts: &Facts, max_bytes: u64) -> Option<Rehome> {
    if max_bytes == 0 || facts.pinned_bytes() <= max_bytes / 2 {
        return None;
    }
    let safe = facts.safe_below()?;
    let lane = facts.lanes.iter().position(|lane| lane.next_unacked(facts.settled_last) == safe)?;
    let pinning = &facts.lanes[lane];
    // What runs pins as well: moving those that wait behind it would free nothing.
    if pinning.running > 0 || pinning.waiting == 0 {
        return None;
    }
    Some(Rehome { lane, from: pinning.delivered.max(pinning.ack_floor) + 1, most: STEP })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trim::Lane;

    fn facts() -> Facts {
        let idle = Lane { ack_floor: 1000, delivered: 1000, waiting: 0, running: 0, oldest: None };
        let pinning = Lane { ack_floor: 0, delivered: 0, waiting: 10, running: 0, oldest: None };
        Facts { first: 1, messages: 1000, bytes: 100_000, settled_last: 1000, lanes: vec![idle, idle, pinning] }
    }

    #[test]
    fn an_old_backlog_over_half_of_the_stream_moves() {
        assert_eq!(decide(&facts(), 150_000), Some(Rehome { lane: 2, from: 1, most: STEP }));
        assert_eq!(decide(&facts(), 250_000), None);
    }

    #[test]
    fn what_runs_never_moves() {
        let mut facts = facts();
        facts.lanes[2].running = 1;
        assert_eq!(decide(&facts, 150_000), None);
    }
}
