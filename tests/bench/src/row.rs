//! One figure of a case, and the bound it is held to.

use serde::Serialize;

use crate::sample::Rounds;

/// What a figure must keep to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It must stay below.
    Below(f64),
    /// It must reach it.
    AtLeast(f64),
}

/// CPU time behind one task, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cpu {
    /// Of the broker.
    pub broker_us: f64,
    /// Of workers and submitter.
    pub own_us: f64,
}

/// A place on a curve; the figure is the height.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// The curve.
    pub curve: &'static str,
    /// How far to the right.
    pub x: f64,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its case.
    pub case: &'static str,
    /// What it is, for a person.
    pub name: String,
    /// The figure that counts.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// The median of the rounds; the figure itself where there is one round.
    pub median: f64,
    /// How far the rounds lie apart, as a share of the median.
    pub spread: Option<f64>,
    /// The same divided by what it is compared with, measured in between.
    pub ratio: Option<f64>,
    /// What it must keep to.
    pub bound: Option<Bound>,
    /// The CPU time behind each task.
    pub cpu: Option<Cpu>,
    /// Where it is drawn.
    pub point: Option<Point>,
    /// What to know about it, such as the settings it was measured with.
    pub note: Option<String>,
}

impl Row {
    /// A figure measured once.
    pub fn once(case: &'static str, name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            case,
            name: name.into(),
            value,
            unit,
            median: value,
            spread: None,
            ratio: None,
            bound: None,
            cpu: None,
            point: None,
            note: None,
        }
    }

    /// A figure measured in rounds.
    pub fn of(case: &'static str, name: impl Into<String>, rounds: &Rounds, unit: &'static str) -> Self {
        Self { spread: rounds.spread(), ..Self::once(case, name, rounds.median(), unit) }
    }

    /// What one figure comes to beside another, as a row of its own: `of` is the rounds of [`Rounds::over`], and the name
    /// is the two with a slash between, such as `noop/raw`.
    pub fn ratio(case: &'static str, name: impl Into<String>, of: &Rounds) -> Self {
        Self::of(case, name, of, "x").over(of)
    }

    /// The same with what it comes to beside another.
    pub fn over(mut self, ratio: &Rounds) -> Self {
        self.ratio = Some(ratio.median());
        self
    }

    /// The same under a bound.
    pub fn within(mut self, bound: Bound) -> Self {
        self.bound = Some(bound);
        self
    }

    /// The same with the CPU time behind each task.
    pub fn costing(mut self, cpu: Cpu) -> Self {
        self.cpu = Some(cpu);
        self
    }

    /// The same as a point of a curve.
    pub fn at(mut self, curve: &'static str, x: f64) -> Self {
        self.point = Some(Point { curve, x });
        self
    }

    /// The same with what to know about it.
    pub fn noted(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Whether it is what one thing comes to beside another, as a row of its own.
    pub fn is_ratio(&self) -> bool {
        self.unit == "x" && self.name.contains('/')
    }

    /// How much of its bound it misses, as a share of the bound; `None` when it keeps to it.
    pub fn missed_by(&self) -> Option<f64> {
        let missed = match self.bound? {
            Bound::Below(limit) => (self.value >= limit).then(|| self.value / limit - 1.0),
            Bound::AtLeast(limit) => (self.value < limit).then(|| 1.0 - self.value / limit),
        };
        // A figure that is no number keeps to nothing.
        if self.value.is_nan() { Some(f64::NAN) } else { missed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, bound: Bound, missed: Option<f64>) {
        let row = Row::once("x", "y", value, "ms").within(bound);
        assert_eq!(row.missed_by(), missed);
    }

    #[test]
    fn a_ratio_is_a_row_with_its_median_and_spread() {
        let nova: Rounds = [80.0, 90.0, 100.0].into_iter().collect();
        let raw: Rounds = [100.0, 100.0, 100.0].into_iter().collect();
        let row = Row::ratio("noop", "noop/raw", &nova.over(&raw));
        assert_eq!((row.value, row.median, row.ratio, row.unit), (0.9, 0.9, Some(0.9), "x"));
        assert!(row.spread.is_some_and(|spread| (spread - 0.2 / 0.9).abs() < 1e-9));
    }

    #[test]
    fn bounds_are_judged() {
        check(19.9, Bound::Below(20.0), None);
        check(20.0, Bound::Below(20.0), Some(0.0));
        check(30.0, Bound::Below(20.0), Some(0.5));
        check(5.0, Bound::AtLeast(5.0), None);
        check(4.0, Bound::AtLeast(5.0), Some(1.0 - 4.0 / 5.0));
        let none = Row::once("x", "y", f64::NAN, "ms").within(Bound::Below(1.0));
        assert!(none.missed_by().is_some());
    }
}
