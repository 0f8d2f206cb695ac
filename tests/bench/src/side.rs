//! Sides of a comparison, measured in turn: a rate and the CPU time behind it, round by round.

use crate::meter::Cost;
use crate::row::{Cpu, Row};
use crate::sample::Rounds;

/// Which processes count: those of the broker, and those of workers and submitter.
pub type Parts = [Vec<u32>; 2];

/// One side.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// How many per second.
    pub rate: Rounds,
    /// CPU time of the broker for each, in microseconds.
    pub broker_us: Rounds,
    /// The same of worker and submitter.
    pub own_us: Rounds,
}

/// What a round took, and how many it did.
#[derive(Debug, Clone)]
pub struct Round {
    /// The cost of [`Parts`].
    pub cost: Cost<2>,
    /// How many were done.
    pub count: usize,
}

impl Side {
    /// Adds a round.
    pub fn push(&mut self, round: &Round) {
        let Round { cost, count } = round;
        self.rate.push(cost.rate(*count));
        self.broker_us.push(cost.cpu_us(0, *count));
        self.own_us.push(cost.cpu_us(1, *count));
    }

    /// Its rate as a row, with what each costs.
    pub fn row(&self, case: &'static str, name: impl Into<String>, unit: &'static str) -> Row {
        Row::of(case, name, &self.rate, unit).costing(self.cpu())
    }

    /// What each costs, in the middle.
    pub fn cpu(&self) -> Cpu {
        Cpu { broker_us: self.broker_us.median(), own_us: self.own_us.median() }
    }

    /// Round by round, this rate divided by another's.
    pub fn over(&self, other: &Self) -> Rounds {
        self.rate.over(&other.rate)
    }
}

/// Measures sides in turn, and another one first each time: what the machine does meanwhile hits all of them.
///
/// # Errors
/// The measurement's own.
pub async fn in_turn<const S: usize>(
    rounds: usize,
    mut measure: impl AsyncFnMut(usize) -> anyhow::Result<Round>,
) -> anyhow::Result<[Side; S]> {
    let mut sides: [Side; S] = std::array::from_fn(|_| Side::default());
    for round in 0..rounds {
        for at in 0..S {
            let side = (round + at) % S;
            sides[side].push(&measure(side).await?);
        }
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_round_begins_with_another_side() {
        let mut order = Vec::new();
        let sides: [Side; 2] = in_turn(2, async |side| {
            order.push(side);
            let cpu = [Duration::from_millis(10), Duration::from_millis(20)];
            Ok(Round { cost: Cost { wall: Duration::from_secs(1 + side as u64), cpu }, count: 1000 })
        })
        .await
        .expect("nothing fails");
        assert_eq!(order, [0, 1, 1, 0]);
        assert_eq!(sides[0].over(&sides[1]).median(), 2.0);
        assert_eq!(sides[0].cpu(), Cpu { broker_us: 10.0, own_us: 20.0 });
    }
}
