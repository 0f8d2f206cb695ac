//! Tasks of one key run in the order they were acknowledged, one after the other.

use std::collections::BTreeMap;

use super::{Life, Lives, Task, Violation};

/// Everything that overtook its forerunner.
pub fn check(lives: &Lives) -> Vec<Violation> {
    let mut keys: BTreeMap<&str, Vec<(&Task, &Life)>> = BTreeMap::new();
    for (task, life) in &lives.tasks {
        // Where a submit had to be repeated its place is not known.
        if let (Some(key), Some(_), false) = (life.key.as_deref(), life.acked, life.is_unsure) {
            keys.entry(key).or_default().push((task, life));
        }
    }
    let mut all = Vec::new();
    for tasks in keys.values_mut() {
        tasks.sort_by_key(|(_, life)| life.acked);
        for pair in tasks.windows(2) {
            let [(first, before), (second, after)] = pair else { continue };
            // Each was submitted when the one before was acknowledged.
            if after.asked <= before.acked {
                continue;
            }
            let (Some(end), Some(start)) = (end(before), after.starts.first()) else { continue };
            if start.at < end {
                let what = format!("began before {} of its key had ended", first.id);
                all.push(Violation::new("keys run in order", second, what));
            }
        }
    }
    all
}

/// When the attempt that stands in the record came to its end.
pub(super) fn end(life: &Life) -> Option<u64> {
    let outcome = &life.outcomes.first()?.outcome;
    let by = outcome.worker.as_ref()?.as_str();
    let ends = life.ends.iter().filter(|end| end.attempt == outcome.attempt && end.by == by);
    // The same worker may have run it twice; the earlier end is the one that surely came before the record.
    ends.map(|end| end.at).min()
}
