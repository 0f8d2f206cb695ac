//! An accepted cancel is honoured: I18.
//!
//! A worker hears of a cancel over the connection that brings its tasks, and looks for one right before each start. One that
//! was cut off or frozen may start late what had been brought before; behind its back the coordinators end the task, and
//! nobody starts what has ended. So a start is wrong when the cancel had been accepted for a while and all that while nothing
//! was in this worker's way.

use std::time::Duration;

use nova_types::OutcomeKind;

use super::{Life, Lives, Task, Violation};
use crate::bounds::Faults;
use crate::history::Fact;

const INVARIANT: &str = "I18 cancels are honoured";

/// How long after its acceptance a cancel may not have been heard: it takes milliseconds, the rest is for a busy machine.
const HEARD: u64 = 2 * Duration::from_secs(1).as_nanos() as u64;
/// How long a running attempt that was told to stop may go on: the grace of the workers of a run, and to be heard.
const STOPPED: u64 = HEARD + Duration::from_secs(1).as_nanos() as u64;

/// Every cancel that was not heeded.
pub fn check(history: &[Fact], lives: &Lives) -> Vec<Violation> {
    let faults = Faults::of(history);
    lives.tasks.iter().flat_map(|(task, life)| of_task(task, life, &faults)).collect()
}

fn of_task(task: &Task, life: &Life, faults: &Faults) -> Vec<Violation> {
    let Some(accepted) = life.cancel_accepted else { return Vec::new() };
    let mut all = Vec::new();
    let was_free =
        |worker: &str, from: u64, to: u64| !faults.any(from, to, |span| span.is_of_server() || span.target == worker);
    // Of one that was acknowledged the first invariant says the same.
    if life.outcomes.is_empty() && life.acked.is_none() {
        all.push(Violation::new(INVARIANT, task, "a cancel was accepted, and there is no outcome"));
    }
    for start in life.starts.iter().filter(|start| start.at > accepted + HEARD) {
        if was_free(&start.by, start.at - HEARD, start.at) {
            let late = (start.at - accepted) as f64 / 1e9;
            let what =
                format!("{} started attempt {} {late:.1} s after a cancel was accepted", start.by, start.attempt);
            all.push(Violation::new(INVARIANT, task, what));
        }
    }
    let is_completed = life.outcomes.iter().any(|record| record.outcome.kind == OutcomeKind::Completed);
    for end in life.ends.iter().filter(|end| is_completed && end.at > accepted + STOPPED) {
        let began =
            life.starts.iter().any(|start| start.by == end.by && start.attempt == end.attempt && start.at < accepted);
        if began && was_free(&end.by, accepted, end.at) {
            all.push(Violation::new(INVARIANT, task, format!("{} was not told to stop, and completed", end.by)));
        }
    }
    all
}
