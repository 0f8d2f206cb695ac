//! A rate holds over every stretch of time, whoever starts the attempts.

use std::time::Duration;

use crate::books::Pages;
use crate::scenario::{Blow, Scenario};

/// See `catalogue_line` of the world.
const PER_SECOND: f64 = 2.0;
/// The same.
const BURST: f64 = 3.0;

pub(super) fn judge(scenario: &Scenario, pages: &Pages, broken: &mut Vec<String>) {
    let starts: Vec<_> = pages.begun.iter().filter(|begun| begun.task.name().as_str().starts_with('l')).collect();
    // A task is counted when it is asked for, and starts when it comes: each way may take the longest or no time at all,
    // and where a process stands still it is all that time under way.
    let most_frozen = scenario.blows.iter().map(|(_, blow)| match blow {
        Blow::Freeze(_, time) => *time,
        _ => Duration::ZERO,
    });
    let spread = most_frozen.max().unwrap_or_default() + 3 * Duration::from_millis(scenario.weather.latency_ms);
    for (at, first) in starts.iter().enumerate() {
        for (count, last) in (1_u32..).zip(&starts[at..]) {
            let time = last.at.since(first.at) + spread;
            if f64::from(count) > PER_SECOND * time.as_secs_f64() + BURST {
                broken.push(format!("rate: {count} attempts began within {time:?}, from {} on", first.task));
                return;
            }
        }
    }
}
