//! What must hold of workflow runs: I13 to I15.

use std::collections::BTreeMap;

use nova_types::{OutcomeKind, RunId, StepId, run_skill};
use nova_workflow::Decision;

use super::{Copy, Lives, Violation};

/// The steps of the workflow of [`crate::load`], in the order in which each waits for the one before.
pub const CHAIN: [&str; 3] = ["a", "b", "c"];

/// The tag of a step's order.
#[must_use]
pub fn tag(run: u64, step: &str) -> String {
    format!("run{run}/{step}")
}

/// Everything that is wrong with the runs.
pub fn check(lives: &Lives, truth: &Copy) -> Vec<Violation> {
    let mut all = decided_once(truth);
    for (task, life) in lives.tasks.iter().filter(|(task, _)| task.skill == run_skill()) {
        let Some(order) = &life.order else { continue };
        let is_completed = life.outcomes.iter().any(|record| record.outcome.kind == OutcomeKind::Completed);
        for pair in CHAIN.windows(2) {
            let [before, after] = [pair[0], pair[1]].map(|step| lives.steps.get(&tag(order.n, step)));
            let end = before.and_then(|step| step.first_end);
            let start = after.and_then(|step| step.first_start);
            if is_completed && (end.is_none() || start.is_none()) {
                let what = format!("completed, and {} or {} never ran", pair[0], pair[1]);
                all.push(Violation::new("I14 runs complete by their steps", task, what));
            }
            if let Some(start) = start
                && end.is_none_or(|end| start < end)
            {
                let what = format!("{} began before {} had ended", pair[1], pair[0]);
                all.push(Violation::new("I15 steps in order", task, what));
            }
        }
    }
    all
}

/// The ranges of each part of each run that were decided to start.
type Started<'a> = BTreeMap<(&'a RunId, &'a StepId, String), Vec<(u32, u32)>>;

/// No part of any run was decided twice, and every history is without gaps.
fn decided_once(truth: &Copy) -> Vec<Violation> {
    const INVARIANT: &str = "I13 steps decided once";
    let mut all = Vec::new();
    let mut last: BTreeMap<&RunId, u64> = BTreeMap::new();
    let mut started: Started<'_> = BTreeMap::new();
    for (run, transition) in &truth.transitions {
        let before = last.insert(run, transition.n).unwrap_or(0);
        if transition.n != before + 1 {
            all.push(Violation::new(INVARIANT, run, format!("transition {} follows {before}", transition.n)));
        }
        for decision in &transition.decisions {
            let Decision::Start { step, role, from, to } = decision else { continue };
            let ranges = started.entry((run, step, format!("{role:?}"))).or_default();
            if ranges.iter().any(|(low, high)| to > low && from < high) {
                all.push(Violation::new(INVARIANT, run, format!("{step} {from}..{to} was decided twice")));
            }
            ranges.push((*from, *to));
        }
    }
    all
}
