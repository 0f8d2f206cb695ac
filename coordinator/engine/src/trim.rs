//! How much of a queue's history may go: always a prefix, never a task that is not done with.

/// One consumer of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// Everything up to here is acked or not its own.
    pub ack_floor: u64,
    /// The last sequence delivered.
    pub delivered: u64,
    /// Tasks not delivered yet.
    pub waiting: u64,
    /// Tasks out.
    pub running: u64,
    /// The first message of its own behind the floor, where someone looked: nothing of its before that can be open.
    pub oldest: Option<u64>,
}

impl Lane {
    /// The lowest sequence that may still matter to it.
    ///
    /// An idle lane's own floor stays where its last task was, however far the others have gone; for it everything counts
    /// as done that was in the stream a round before it was found idle.
    #[must_use]
    pub fn next_unacked(&self, settled_last: u64) -> u64 {
        let is_idle = self.waiting == 0 && self.running == 0;
        let behind = if is_idle { settled_last + 1 } else { self.oldest.unwrap_or(0) };
        behind.max(self.ack_floor + 1)
    }
}

/// What is known of one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its first sequence.
    pub first: u64,
    /// How many messages it holds.
    pub messages: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Its last sequence as read a round **before** the lanes: a consumer may be told of a new message a moment late.
    pub settled_last: u64,
    /// All its consumers.
    pub lanes: Vec<Lane>,
}

/// What may be kept and how fast the rest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The bytes history may take.
    pub bytes: u64,
    /// The most sequences one purge may remove: a longer one stalls publishes.
    pub step: u64,
}

impl Facts {
    /// Everything below this sequence is done with; `None` without lanes.
    #[must_use]
    pub fn safe_below(&self) -> Option<u64> {
        let lowest = self.lanes.iter().map(|lane| lane.next_unacked(self.settled_last)).min()?;
        Some(lowest.min(self.settled_last + 1))
    }

    /// How many messages are done with, wherever they stand.
    #[must_use]
    pub fn history_messages(&self) -> u64 {
        let open: u64 = self.lanes.iter().map(|lane| lane.waiting + lane.running).sum();
        self.messages.saturating_sub(open)
    }

    /// The same in bytes, by their share.
    #[must_use]
    pub fn history_bytes(&self) -> u64 {
        self.share(self.history_messages())
    }

    /// The bytes of history that cannot go yet, because a task before it is not done with.
    #[must_use]
    pub fn pinned_bytes(&self) -> u64 {
        let Some(safe) = self.safe_below() else { return 0 };
        self.share(self.history_messages().saturating_sub(safe.saturating_sub(self.first)))
    }

    fn share(&self, messages: u64) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(messages) / u128::from(self.messages.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    fn mean_bytes(&self) -> u64 {
        (self.bytes / self.messages.max(1)).max(1)
    }
}

/// The sequence below which everything is purged now; `None` when nothing is to go or may go.
#[must_use]
pub fn plan(facts: &Facts, budget: Budget) -> Option<u64> {
    let excess = facts.history_bytes().saturating_sub(budget.bytes);
    if excess == 0 {
        return None;
    }
    // A tenth below the budget, so that a full history is not trimmed message by message.
    let wanted = (excess + budget.bytes / 10).div_ceil(facts.mean_bytes());
    step(facts, wanted.min(budget.step))
}

/// The end of one more step of at most `most` sequences, whatever the budget says: for history that is too old.
#[must_use]
pub fn step(facts: &Facts, most: u64) -> Option<u64> {
    let below = facts.safe_below()?.min(facts.first.saturating_add(most));
    (below > facts.first).then_some(below)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn lane(ack_floor: u64, waiting: u64, running: u64) -> Lane {
        Lane { ack_floor, delivered: ack_floor + running, waiting, running, oldest: None }
    }

    #[track_caller]
    fn check(lanes: [Lane; 3], budget: u64, expect: Option<u64>) {
        let facts = Facts { first: 1, messages: 1000, bytes: 100_000, settled_last: 1000, lanes: lanes.into() };
        assert_eq!(plan(&facts, Budget { bytes: budget, step: 300 }), expect);
    }

    #[test]
    fn history_within_its_budget_stays() {
        check([lane(1000, 0, 0), lane(500, 0, 0), lane(0, 0, 0)], 100_000, None);
    }

    #[test]
    fn history_over_its_budget_goes_in_steps_up_to_the_first_open_task() {
        let idle = lane(0, 0, 0);
        check([lane(1000, 0, 0), idle, idle], 90_000, Some(191));
        check([lane(1000, 0, 0), idle, idle], 0, Some(301));
        check([lane(1000, 0, 0), lane(50, 3, 0), idle], 0, Some(51));
        check([lane(1000, 0, 0), lane(50, 0, 1), idle], 0, Some(51));
        check([lane(1000, 0, 0), lane(0, 0, 1), idle], 0, None);
    }

    #[test]
    fn nothing_goes_that_came_since_the_round_before() {
        let facts = Facts { first: 1, messages: 9, bytes: 9, settled_last: 4, lanes: vec![lane(9, 0, 0)] };
        assert_eq!(plan(&facts, Budget { bytes: 0, step: 100 }), Some(5));
        assert_eq!(plan(&Facts { lanes: Vec::new(), ..facts }, Budget { bytes: 0, step: 100 }), None);
    }

    #[test]
    fn an_open_task_pins_only_what_is_behind_it() {
        let lanes = vec![Lane { oldest: Some(700), ..lane(0, 1, 0) }];
        let facts = Facts { first: 1, messages: 1000, bytes: 1000, settled_last: 1000, lanes };
        assert_eq!(plan(&facts, Budget { bytes: 0, step: 9000 }), Some(700));
    }

    #[test]
    fn what_is_pinned_is_counted() {
        let lanes = vec![lane(1000, 0, 0), lane(99, 1, 0)];
        let facts = Facts { first: 1, messages: 1000, bytes: 100_000, settled_last: 1000, lanes };
        assert_eq!(facts.pinned_bytes(), 90_000);
    }

    #[derive(Debug, Clone)]
    enum Op {
        Publish(usize),
        Deliver(usize),
        Ack(usize, usize),
        Look,
        Trim { bytes: u64, step: u64 },
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            4 => (0..3_usize).prop_map(Op::Publish),
            3 => (0..3_usize).prop_map(Op::Deliver),
            3 => (0..3_usize, 0..4_usize).prop_map(|(lane, nth)| Op::Ack(lane, nth)),
            1 => Just(Op::Look),
            1 => (0..10_u64, 1..20_u64).prop_map(|(bytes, step)| Op::Trim { bytes, step }),
        ]
    }

    /// A queue as the broker keeps it: which lane each message is for, and how far each lane is.
    #[derive(Default)]
    struct Model {
        first: u64,
        last: u64,
        held: BTreeMap<u64, usize>,
        delivered: [u64; 3],
        out: [Vec<u64>; 3],
        floor: [u64; 3],
    }

    impl Model {
        fn waiting(&self, lane: usize) -> Vec<u64> {
            self.held.iter().filter(|(s, l)| **l == lane && **s > self.delivered[lane]).map(|(s, _)| *s).collect()
        }

        fn facts(&self, settled_last: u64) -> Facts {
            let lanes = (0..3).map(|lane| Lane {
                ack_floor: self.floor[lane],
                delivered: self.delivered[lane],
                waiting: self.waiting(lane).len() as u64,
                running: self.out[lane].len() as u64,
                oldest: self.held.iter().find(|(s, l)| **l == lane && **s > self.floor[lane]).map(|(s, _)| *s),
            });
            let messages = self.held.len() as u64;
            Facts { first: self.first, messages, bytes: messages, settled_last, lanes: lanes.collect() }
        }

        fn is_open(&self, sequence: u64) -> bool {
            let lane = self.held[&sequence];
            sequence > self.delivered[lane] || self.out[lane].contains(&sequence)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn a_task_that_is_not_done_with_is_never_trimmed(ops in proptest::collection::vec(op(), 1..120)) {
            let mut model = Model { first: 1, ..Model::default() };
            let mut settled = 0;
            for op in ops {
                match op {
                    Op::Publish(lane) => {
                        model.last += 1;
                        model.held.insert(model.last, lane);
                    }
                    Op::Deliver(lane) => if let Some(next) = model.waiting(lane).first().copied() {
                        model.delivered[lane] = next;
                        model.out[lane].push(next);
                    },
                    Op::Ack(lane, nth) => if nth < model.out[lane].len() {
                        model.out[lane].remove(nth);
                        // The broker's floor: below the oldest that is out, else the last delivered.
                        model.floor[lane] = match model.out[lane].first() {
                            Some(oldest) => model.floor[lane].max(model.held.keys().copied().filter(|s| s < oldest && model.held[s] == lane).max().unwrap_or(0)),
                            None => model.delivered[lane],
                        };
                    },
                    Op::Look => settled = model.last,
                    Op::Trim { bytes, step } => if let Some(below) = plan(&model.facts(settled), Budget { bytes, step }) {
                        for sequence in model.held.range(..below).map(|(s, _)| *s).collect::<Vec<_>>() {
                            prop_assert!(!model.is_open(sequence), "{sequence} is open");
                            model.held.remove(&sequence);
                        }
                        model.first = below;
                    },
                }
            }
        }
    }
}
