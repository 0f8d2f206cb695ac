//! Whether readers and writers of an outcome could have been one after the other: linearizability of a write-once register.
//!
//! With one value ever written, that comes to three rules, each about the order in real time: whoever saw the value saw *that*
//! value; nobody sees nothing after somebody, before, saw something; nobody sees something before it was asked for. They are
//! sufficient, too: put the write before the first look that found it, and every look behind or before it as it found.

use super::{Life, Task, Violation};

const INVARIANT: &str = "I4 outcomes are read as they are";

/// Everything that no order of reads and the write explains.
pub fn check(task: &Task, life: &Life) -> Vec<Violation> {
    let mut all = Vec::new();
    let written: Vec<&str> = life
        .outcomes
        .iter()
        .filter_map(|record| record.outcome.worker.as_ref().map(|worker| worker.as_str()).or(Some("nobody")))
        .collect();
    for look in &life.looks {
        let Some(found) = &look.found else { continue };
        if !written.contains(&&**found) {
            all.push(Violation::new(INVARIANT, task, format!("a reader saw {found}'s, which is not stored")));
        }
        if life.asked.is_some_and(|asked| look.at < asked) {
            all.push(Violation::new(INVARIANT, task, "a reader saw it before the task was asked for"));
        }
    }
    // The earliest moment at which somebody surely had seen it.
    let seen = life.looks.iter().filter(|look| look.found.is_some()).map(|look| look.at).min();
    let blind = life.looks.iter().filter(|look| look.found.is_none()).map(|look| look.asked).max();
    if let (Some(seen), Some(blind)) = (seen, blind)
        && blind > seen
    {
        all.push(Violation::new(INVARIANT, task, "a reader saw nothing after another had seen it"));
    }
    all
}
