//! The law of conservation in one queue: what was stored is waiting, running, history or deleted, and nothing else.

/// A stream's own count at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its first sequence.
    pub first: u64,
    /// Its last sequence.
    pub last: u64,
    /// How many messages it holds.
    pub messages: u64,
    /// How many sequences between are gone.
    pub deleted: u64,
}

impl Count {
    /// How many sequences the stream cannot account for: its span must be what it holds and what is gone.
    fn gap(self) -> u64 {
        let span = (self.last + 1).saturating_sub(self.first);
        span.abs_diff(self.messages + self.deleted)
    }
}

/// How many tasks are in no state, or in two.
///
/// `before` was read before the consumers were, `after` behind them: what came between may be counted or not. Tasks that
/// wait and run (`open`) can be no more than the stream held and took meanwhile; the rest is history.
#[must_use]
pub fn imbalance(before: Count, open: u64, after: Count) -> u64 {
    let most = before.messages + after.last.saturating_sub(before.last);
    before.gap().max(after.gap()).max(open.saturating_sub(most))
}

/// An imbalance that counts: one that two looks in a row have seen, because a broker that is just deleting, or has just
/// been restarted, shows a passing one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confirmed {
    last: u64,
}

impl Confirmed {
    /// Takes a look and says what is confirmed.
    pub fn look(&mut self, seen: u64) -> u64 {
        let confirmed = seen.min(self.last);
        self.last = seen;
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(first: u64, last: u64, messages: u64, deleted: u64) -> Count {
        Count { first, last, messages, deleted }
    }

    #[track_caller]
    fn check(before: Count, open: u64, after: Count, expect: u64) {
        assert_eq!(imbalance(before, open, after), expect);
    }

    #[test]
    fn a_sound_queue_balances() {
        let (empty, held) = (count(1, 0, 0, 0), count(11, 20, 8, 2));
        check(empty, 0, empty, 0);
        check(held, 8, held, 0);
        check(held, 3, held, 0);
        check(held, 10, count(11, 22, 10, 2), 0);
    }

    #[test]
    fn tasks_that_are_nowhere_or_twice_show() {
        let held = count(11, 20, 8, 2);
        check(held, 9, held, 1);
        check(count(11, 20, 7, 2), 0, held, 1);
    }

    #[test]
    fn a_passing_imbalance_does_not_count() {
        let mut law = Confirmed::default();
        assert_eq!([law.look(5), law.look(0), law.look(3), law.look(4), law.look(4)], [0, 0, 0, 3, 4]);
    }
}
