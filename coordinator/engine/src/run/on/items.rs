//! Tasks of a map ended.

use nova_workflow::{Datum, Items, Role, Segment};
use serde_json::Value;

use crate::run::Stuck;
use crate::run::step::map;
use crate::run::turn::{Turn, own};
use crate::run::value::value;

pub(super) fn fold(turn: &mut Turn<'_>, items: &Items) -> Result<(), Stuck> {
    let id = &items.step;
    let was_active = turn.run.is_active(id) && turn.run.steps.get(id).is_some_and(|step| step.map().is_some());
    let mut fresh = Vec::new();
    for (place, item) in items.done.items.iter().enumerate() {
        if turn.close(id, Role::Work, *item) {
            fresh.push((place, *item));
        }
    }
    // What was done when the map was over is still to be undone some day.
    let is_undoable = turn.plan.workflow().steps.get(id).is_some_and(|step| step.undo.is_some());
    if (was_active || is_undoable) && !fresh.is_empty() {
        let segment =
            if fresh.len() == items.done.items.len() { items.done.clone() } else { part(turn, items, &fresh)? };
        if was_active { map::done(turn, id, segment) } else { map::late(turn, id, segment) }
    }
    for lost in &items.failed {
        if turn.close(id, Role::Work, lost.item) && was_active {
            map::lost(turn, id, lost.clone());
        }
    }
    Ok(())
}

/// The part of a segment that is news: some of its items were counted before.
fn part(turn: &Turn<'_>, items: &Items, fresh: &[(usize, u32)]) -> Result<Segment, Stuck> {
    let results = own(value(turn.data, &items.done.results))?.unwrap_or_default();
    let result = |place: usize| results.get(place).cloned().unwrap_or_default();
    let results: Value = fresh.iter().map(|(place, _)| result(*place)).collect();
    Ok(Segment { items: fresh.iter().map(|(_, item)| *item).collect(), results: Datum::Inline(results) })
}
