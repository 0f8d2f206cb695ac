//! A redrive keeps the identity of its task, and there is at most one at a time: I20.

use std::collections::BTreeMap;

use nova_types::OutcomeKind;

use super::{Life, Lives, Task, Violation, keyed};

const INVARIANT: &str = "I20 one redrive at a time";

/// Every redrive that is not alone, not of a dead task, or does not say of which.
pub fn check(lives: &Lives) -> Vec<Violation> {
    let mut rows: BTreeMap<Task, BTreeMap<u32, (&Task, &Life)>> = BTreeMap::new();
    for (task, life) in &lives.tasks {
        let Some((root, n)) = task.redriven() else { continue };
        let Some(first) = lives.tasks.get_key_value(&root) else { continue };
        let row = rows.entry(root).or_default();
        row.insert(0, first);
        row.insert(n, (task, life));
    }
    let mut all = Vec::new();
    for (root, row) in rows {
        for ((task, life), (at, n)) in row.values().zip(row.keys().enumerate()) {
            if at != *n as usize {
                all.push(Violation::new(INVARIANT, task, "the redrive before it is not there"));
            }
            for letter in life.letters.iter().filter(|_| at > 0) {
                let of = letter.redrive_of.clone().map(|id| Task { skill: task.skill.clone(), id });
                let is_its = of.is_some_and(|of| of == root || of.redriven().is_some_and(|(its, _)| its == root));
                if !is_its {
                    let what = format!("its letter says that it is a redrive of {:?}", letter.redrive_of);
                    all.push(Violation::new(INVARIANT, task, what));
                }
            }
        }
        let row: Vec<(&Task, &Life)> = row.into_values().collect();
        for pair in row.windows(2) {
            let [(before, its), (task, life)] = pair else { continue };
            if its.outcomes.is_empty()
                || its.outcomes.iter().any(|record| record.outcome.kind == OutcomeKind::Completed)
            {
                all.push(Violation::new(INVARIANT, task, format!("there is a redrive, and {before} is not dead")));
            }
            if let (Some(end), Some(start)) = (keyed::end(its), life.starts.first())
                && start.at < end
            {
                all.push(Violation::new(INVARIANT, task, format!("began before {before} had ended")));
            }
        }
    }
    all
}
