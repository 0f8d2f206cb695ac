//! Figures of several rounds, and times of many tasks.

use std::time::Duration;

use hdrhistogram::Histogram;

/// One figure, measured in several rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Adds a round's figure.
    pub fn push(&mut self, figure: f64) {
        self.0.push(figure);
    }

    /// The middle one; of an even number the mean of the two in the middle, 0 of none.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    /// How far the rounds lie apart, as a share of the median; `None` of a single round.
    pub fn spread(&self) -> Option<f64> {
        let most = self.0.iter().copied().max_by(f64::total_cmp)?;
        let least = self.0.iter().copied().min_by(f64::total_cmp)?;
        (self.0.len() > 1 && self.median() > 0.0).then(|| (most - least) / self.median())
    }

    /// Round by round, this one divided by another: what both suffered alike cancels out.
    pub fn over(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(mine, theirs)| mine / theirs).collect())
    }
}

impl FromIterator<f64> for Rounds {
    fn from_iter<I: IntoIterator<Item = f64>>(figures: I) -> Self {
        Self(figures.into_iter().collect())
    }
}

/// Many times, kept to three digits.
pub struct Times(Histogram<u64>);

impl Times {
    /// None yet.
    pub fn new() -> Self {
        // From a microsecond to ten minutes: whatever takes longer has failed.
        Self(Histogram::new_with_bounds(1, 600_000_000, 3).expect("the bounds are in order"))
    }

    /// Adds one.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// The time that this share of them stays within, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        self.0.value_at_quantile(share) as f64 / 1e3
    }

    /// The longest, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_the_spread_is_relative() {
        let rounds: Rounds = [3.0, 1.0, 2.0].into_iter().collect();
        assert_eq!((rounds.median(), rounds.spread()), (2.0, Some(1.0)));
        let even: Rounds = [1.0, 2.0].into_iter().collect();
        assert_eq!(even.median(), 1.5);
        assert_eq!(Rounds::default().median(), 0.0);
        assert_eq!([1.0].into_iter().collect::<Rounds>().spread(), None);
    }

    #[test]
    fn a_ratio_is_taken_round_by_round() {
        let nova: Rounds = [1.0, 4.0].into_iter().collect();
        let raw: Rounds = [2.0, 4.0].into_iter().collect();
        assert_eq!(nova.over(&raw), [0.5, 1.0].into_iter().collect());
    }

    #[test]
    fn times_are_told_in_milliseconds() {
        let mut times = Times::new();
        for ms in 1..=100 {
            times.record(Duration::from_millis(ms));
        }
        assert!((times.quantile_ms(0.5) - 50.0).abs() < 0.5);
        assert!((times.max_ms() - 100.0).abs() < 0.5);
        assert_eq!(times.len(), 100);
    }
}
