//! Tasks that left a queue though nobody took them: purged by hand, or gone with their stream.
//!
//! What waited and what came must wait still or have been delivered, unless Nova itself moved it. A broker that has just
//! restarted may count wrong for a moment, so messages must also be gone from the stream.

use nova_types::UnixMillis;

/// One consumer of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Tasks not delivered yet.
    pub waiting: u64,
    /// Tasks out.
    pub running: u64,
    /// How many times it delivered; what came again counts again.
    pub deliveries: u64,
}

/// A queue at one look: the stream, then its consumers, then the stream again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// When the stream was made.
    pub made: UnixMillis,
    /// The last sequence before and behind the look at the consumers.
    pub last: [u64; 2],
    /// How many sequences are gone, before and behind.
    pub gone: [u64; 2],
    /// How many messages Nova itself has removed, up to before the look at least, and up to behind it at most.
    pub own: [u64; 2],
    /// All its consumers.
    pub lanes: Vec<Lane>,
}

/// What happened between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vanished {
    /// Nothing that cannot be explained.
    Nothing,
    /// At least so many waiting tasks are gone from the stream.
    Tasks(u64),
    /// The stream is another one; so many tasks were waiting and running in the one before.
    Stream(u64),
}

/// Compares a look with the one before.
///
/// A delivery that came again hides a task: what is told is the least there can be.
#[must_use]
pub fn vanished(before: &Look, now: &Look) -> Vanished {
    if before.made != now.made {
        return Vanished::Stream(before.lanes.iter().map(|lane| lane.waiting + lane.running).sum());
    }
    let pairs = || before.lanes.iter().zip(&now.lanes);
    // A consumer that was made anew, or whose server forgot, delivers again: nothing adds up.
    if before.lanes.len() != now.lanes.len() || pairs().any(|(before, now)| now.deliveries < before.deliveries) {
        return Vanished::Nothing;
    }
    let came = now.last[0].saturating_sub(before.last[1]);
    let waited: u64 = before.lanes.iter().map(|lane| lane.waiting).sum();
    let wait: u64 = now.lanes.iter().map(|lane| lane.waiting).sum();
    let delivered: u64 = pairs().map(|(before, now)| now.deliveries - before.deliveries).sum();
    let missing = (waited + came).saturating_sub(wait + delivered);
    let own = now.own[1].saturating_sub(before.own[0]);
    let removed = now.gone[0].saturating_sub(before.gone[1]).saturating_sub(own);
    match missing.min(removed) {
        0 => Vanished::Nothing,
        tasks => Vanished::Tasks(tasks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue in which nothing was ever delivered twice: what was stored, taken and removed says all.
    fn look(last: u64, gone: u64, own: u64, deliveries: u64, waiting: u64) -> Look {
        let lane = Lane { waiting, running: 2, deliveries };
        Look { made: UnixMillis(1), last: [last; 2], gone: [gone; 2], own: [own; 2], lanes: vec![lane] }
    }

    #[track_caller]
    fn check(before: Look, now: Look, expect: Vanished) {
        assert_eq!(vanished(&before, &now), expect);
    }

    #[test]
    fn what_is_taken_trimmed_or_moved_has_not_vanished() {
        check(look(100, 0, 0, 60, 40), look(150, 0, 0, 90, 60), Vanished::Nothing);
        check(look(100, 0, 0, 60, 40), look(100, 90, 90, 100, 0), Vanished::Nothing);
        // Ten were published again at the end and deleted where they were.
        check(look(100, 0, 0, 60, 40), look(110, 10, 10, 60, 40), Vanished::Nothing);
    }

    #[test]
    fn what_is_gone_and_was_not_taken_has_vanished() {
        check(look(100, 0, 0, 60, 40), look(100, 100, 0, 60, 0), Vanished::Tasks(40));
        check(look(100, 0, 0, 60, 40), look(150, 100, 0, 70, 50), Vanished::Tasks(30));
        check(look(100, 0, 0, 60, 40), look(120, 7, 2, 60, 55), Vanished::Tasks(5));
    }

    #[test]
    fn a_wrong_count_of_the_broker_alone_says_nothing() {
        check(look(100, 0, 0, 60, 40), look(100, 0, 0, 60, 0), Vanished::Nothing);
        check(look(100, 0, 0, 60, 40), look(100, 100, 0, 20, 0), Vanished::Nothing);
        let lost = Look { lanes: Vec::new(), ..look(100, 100, 0, 0, 0) };
        check(look(100, 0, 0, 60, 40), lost, Vanished::Nothing);
    }

    #[test]
    fn what_comes_while_it_is_looked_counts_for_neither_side() {
        let mut before = look(100, 0, 0, 60, 40);
        before.last[1] = 110;
        let mut now = look(120, 50, 0, 60, 50);
        (now.gone[1], now.own[1]) = (60, 1);
        check(before, now, Vanished::Nothing);
    }

    #[test]
    fn a_stream_made_again_has_lost_what_was_open() {
        check(look(100, 0, 0, 60, 40), Look { made: UnixMillis(2), ..look(3, 0, 0, 0, 3) }, Vanished::Stream(42));
    }
}
