//! How soon work went on after each fault, against what is promised: from the history alone, event by event.
//!
//! A figure is judged where nothing else was in the way: another fault on those that had to take over makes it a figure that
//! is told, not one that can be blamed on this fault.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::Violation;
use crate::history::Fact;
use crate::worker::LEASE;

mod coordinator;
mod faults;
mod server;
mod worker;

pub(crate) use faults::Faults;

/// What is promised of the time after a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// From the end or freeze of a worker until an attempt it held is started again.
    WorkerGone,
    /// From the end or freeze of a coordinator until a run that stood between two steps goes on.
    CoordinatorGone,
    /// From a server's being ready again until an attempt starts.
    RestartToStart,
    /// From a server's being ready again until a submit is acknowledged.
    RestartToSubmit,
    /// The longest time without a start after the leader of the outcomes was killed.
    LeaderToStart,
    /// The longest time without an acknowledged submit after the leader of the outcomes was killed.
    LeaderToSubmit,
}

/// One measured time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Of what.
    pub bound: Bound,
    /// Of which event.
    pub of: String,
    /// How long, in seconds.
    pub secs: f64,
    /// Whether nothing else was in the way.
    pub is_judged: bool,
}

/// The samples of one bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// How many were judged.
    pub judged: usize,
    /// The longest of these, in seconds.
    pub worst: f64,
    /// The one in their middle, in seconds.
    pub median: f64,
    /// How many had something else in their way.
    pub told: usize,
    /// The longest of those, in seconds.
    pub worst_told: f64,
}

impl Bound {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::WorkerGone,
        Self::CoordinatorGone,
        Self::RestartToStart,
        Self::RestartToSubmit,
        Self::LeaderToStart,
        Self::LeaderToSubmit,
    ];

    /// The longest it may take.
    #[must_use]
    pub fn promised(self) -> Duration {
        match self {
            Self::WorkerGone => LEASE + Duration::from_secs(1),
            Self::CoordinatorGone | Self::RestartToStart | Self::RestartToSubmit => Duration::from_secs(5),
            Self::LeaderToStart | Self::LeaderToSubmit => Duration::from_secs(10),
        }
    }

    /// Until when something may have been in the way: what comes after the bound excuses nothing.
    fn due(self, from: u64, came: u64) -> u64 {
        came.min(from.saturating_add(nanoseconds(self.promised())))
    }

    /// What is measured, for the page.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::WorkerGone => "worker dead or frozen: an attempt it held starts again",
            Self::CoordinatorGone => "coordinator dead or frozen: a run between two steps goes on",
            Self::RestartToStart => "server ready again: an attempt starts",
            Self::RestartToSubmit => "server ready again: a submit is acknowledged",
            Self::LeaderToStart => "leader killed: longest time without a start",
            Self::LeaderToSubmit => "leader killed: longest time without an acknowledged submit",
        }
    }
}

/// Measures everything in a history.
#[must_use]
pub fn measure(history: &[Fact]) -> Vec<Sample> {
    let faults = Faults::of(history);
    let mut all = worker::samples(history, &faults);
    all.extend(coordinator::samples(history, &faults));
    all.extend(server::samples(history, &faults));
    all
}

/// Everything that took longer than promised, and than `slack` beyond that.
#[must_use]
pub fn exceeded(samples: &[Sample], slack: Duration) -> Vec<Violation> {
    let is_late = |sample: &&Sample| sample.is_judged && sample.secs > (sample.bound.promised() + slack).as_secs_f64();
    let late = samples.iter().filter(is_late);
    late.map(|sample| Violation {
        invariant: "goes on within its bound",
        of: sample.of.clone(),
        what: format!("{}: {:.2} s", sample.bound.about(), sample.secs),
    })
    .collect()
}

/// The samples of one bound, in figures.
#[must_use]
pub fn summary<'a>(samples: impl IntoIterator<Item = &'a Sample>, bound: Bound) -> Summary {
    let (judged, told): (Vec<&Sample>, Vec<&Sample>) =
        samples.into_iter().filter(|sample| sample.bound == bound).partition(|sample| sample.is_judged);
    let mut secs: Vec<f64> = judged.iter().map(|sample| sample.secs).collect();
    secs.sort_by(f64::total_cmp);
    Summary {
        judged: secs.len(),
        worst: secs.last().copied().unwrap_or(0.0),
        median: secs.get(secs.len() / 2).copied().unwrap_or(0.0),
        told: told.len(),
        worst_told: told.iter().map(|sample| sample.secs).fold(0.0, f64::max),
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_has_the_lease_that_is_judged_by() {
        let catalogue = nova_provision::Catalogue::parse("chaos", crate::field::CATALOGUE).unwrap();
        let leases: Vec<Duration> = catalogue.iter().map(|(_, entry)| entry.policy.lease).collect();
        assert_eq!(leases, [LEASE, LEASE]);
    }

    #[test]
    fn a_summary_tells_the_judged_from_the_others() {
        let sample = |secs, is_judged| Sample { bound: Bound::WorkerGone, of: "w0".to_owned(), secs, is_judged };
        let all = [sample(2.0, true), sample(1.0, true), sample(9.0, false), sample(3.5, true)];
        let expected = Summary { judged: 3, worst: 3.5, median: 2.0, told: 1, worst_told: 9.0 };
        assert_eq!(summary(&all, Bound::WorkerGone), expected);
        assert_eq!(exceeded(&all, Duration::ZERO).len(), 1);
        assert_eq!(exceeded(&all, Duration::from_secs(1)).len(), 0);
        assert_eq!(summary(&all, Bound::LeaderToStart), Summary::default());
    }
}
