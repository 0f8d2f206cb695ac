//! Where to look for messages that no client can read, within a bound for each round.

/// The unsettled stretch of one consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Everything up to here is done with.
    pub ack_floor: u64,
    /// The last sequence delivered; beyond it nobody can have choked yet.
    pub delivered: u64,
}

/// One walk: from a sequence, over so many messages at most, not beyond `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Where it begins.
    pub from: u64,
    /// The last sequence that counts.
    pub to: u64,
    /// How many messages.
    pub most: usize,
}

/// Where the walks of one consumer have got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    next: u64,
}

/// The share of a round that always looks right behind the floor: a message that cannot be read holds the floor, so it
/// is mostly found there.
const HEAD: usize = 32;

impl Cursor {
    /// The walks of this round: the head of the stretch, then on from where the last round ended, around and around.
    #[must_use]
    pub fn walks(self, stretch: Stretch, budget: usize) -> [Walk; 2] {
        let first = stretch.ack_floor + 1;
        let from = if self.next <= first || self.next > stretch.delivered { first } else { self.next };
        let head = Walk { from: first, to: stretch.delivered, most: HEAD.min(budget) };
        [head, Walk { from, to: stretch.delivered, most: budget.saturating_sub(head.most) }]
    }

    /// Notes the last sequence looked at; `None` when the walk came to the end.
    pub fn advance(&mut self, last: Option<u64>) {
        self.next = last.map_or(0, |last| last + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_stretch_is_looked_at_in_turn() {
        let stretch = Stretch { ack_floor: 10, delivered: 400 };
        let mut cursor = Cursor::default();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..6 {
            for walk in cursor.walks(stretch, 132) {
                let end = walk.to.min(walk.from + walk.most as u64 - 1);
                seen.extend(walk.from..=end);
                cursor.advance((end < walk.to).then_some(end));
            }
        }
        assert_eq!((seen.first(), seen.last(), seen.len()), (Some(&11), Some(&400), 390));
    }

    #[test]
    fn a_floor_that_moved_on_takes_the_cursor_along() {
        let mut cursor = Cursor::default();
        cursor.advance(Some(50));
        assert_eq!(cursor.walks(Stretch { ack_floor: 90, delivered: 95 }, 64)[1].from, 91);
        assert_eq!(cursor.walks(Stretch { ack_floor: 0, delivered: 20 }, 64)[1].from, 1);
        assert_eq!(cursor.walks(Stretch { ack_floor: 10, delivered: 95 }, 64)[1].from, 51);
    }
}
