//! What the tasks of a run are like: drawn from a seed.

use nova_types::Priority;

use crate::load::bomb::Bomb;
use crate::order::{End, Order};

/// What a submitter does next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Submits these tasks at once.
    Tasks(Vec<Drawn>),
    /// Submits bytes that are no order.
    Garbage,
    /// Publishes what would hurt whoever reads it without care.
    Bomb(Bomb),
    /// Submits more bytes than any payload may have.
    Oversize,
    /// Submits a task for later, in milliseconds.
    Later(Order, u64),
    /// Starts a run.
    Run,
    /// Cancels one of the last tasks.
    Cancel,
    /// Redrives a dead task.
    Redrive,
    /// Looks at the outcomes of some of the last tasks.
    Look,
}

/// A task to submit.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// What it is to do.
    pub order: Order,
    /// How urgent it is.
    pub priority: Priority,
}

/// The most tasks submitted at once: enough to keep workers busy, few enough that a lost connection leaves a few unknown.
const BATCH: usize = 60;
/// The bytes of a payload that goes through the object store.
const LARGE: usize = 300 * 1024;

/// Draws tasks; the numbers in them are never the same.
#[derive(Debug)]
pub struct Mix {
    random: fastrand::Rng,
    n: u64,
}

impl Mix {
    /// The tasks of a submitter.
    #[must_use]
    pub fn new(seed: u64, submitter: usize) -> Self {
        Self { random: fastrand::Rng::with_seed(seed ^ (submitter as u64 + 1) << 48), n: 0 }
    }

    /// A number no other task of this submitter has.
    pub fn number(&mut self) -> u64 {
        self.n += 1;
        self.n
    }

    /// The source of other choices.
    pub fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }

    /// What comes next.
    pub fn choose(&mut self) -> Next {
        match self.random.u32(..1000) {
            0..20 => Next::Garbage,
            20..60 => {
                let later = self.random.u64(200..2_500);
                Next::Later(self.order(), later)
            }
            60..130 => Next::Run,
            130..230 => Next::Cancel,
            230..370 => Next::Look,
            370..400 => Next::Redrive,
            400..420 => Next::Bomb(self.random.choice(Bomb::ALL).expect("there are some")),
            420..430 => Next::Oversize,
            _ => {
                let count = self.random.usize(1..=BATCH);
                Next::Tasks((0..count).map(|_| self.draw()).collect())
            }
        }
    }

    fn draw(&mut self) -> Drawn {
        let priority = match self.random.u32(..10) {
            0 => Priority::High,
            1..3 => Priority::Low,
            _ => Priority::Normal,
        };
        Drawn { order: self.order(), priority }
    }

    fn order(&mut self) -> Order {
        let n = self.number();
        let chance = self.random.u32(..1000);
        let end = match chance {
            0..12 => End::FailFirst(1),
            12..18 => End::FailFirst(2),
            18..22 => End::Fail,
            22..28 => End::Reject,
            28..32 => End::Panic,
            32..38 => End::Snooze,
            _ => End::Done,
        };
        let hold_ms = match self.random.u32(..1000) {
            0..60 => self.random.u64(2..30),
            60..80 => self.random.u64(100..900),
            _ => 0,
        };
        let pad = if self.random.u32(..2000) == 0 { "x".repeat(LARGE) } else { String::new() };
        Order { n, hold_ms, end, tag: String::new(), pad }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_task_is_drawn_and_no_number_twice() {
        let mut mix = Mix::new(5, 0);
        let drawn: Vec<Next> = (0..2_000).map(|_| mix.choose()).collect();
        let orders: Vec<&Order> = drawn
            .iter()
            .flat_map(|next| match next {
                Next::Tasks(tasks) => tasks.iter().map(|drawn| &drawn.order).collect(),
                Next::Later(order, _) => vec![order],
                _ => Vec::new(),
            })
            .collect();
        for end in [End::Done, End::Fail, End::Reject, End::Panic, End::Snooze, End::FailFirst(1), End::FailFirst(2)] {
            assert!(orders.iter().any(|order| order.end == end), "{end:?}");
        }
        assert!(orders.iter().any(|order| !order.pad.is_empty()));
        for bomb in Bomb::ALL {
            assert!(drawn.contains(&Next::Bomb(bomb)), "{bomb:?}");
        }
        for next in [Next::Garbage, Next::Oversize, Next::Run, Next::Cancel, Next::Look, Next::Redrive] {
            assert!(drawn.contains(&next), "{next:?}");
        }
        let numbers: std::collections::BTreeSet<u64> = orders.iter().map(|order| order.n).collect();
        assert_eq!(numbers.len(), orders.len());
    }
}
