//! Each item of a bundle has one end, and it is that of an attempt of this item.

use nova_types::OutcomeKind;
use nova_wire::{ItemEnd, read_ends};

use super::{End, Held};
use crate::books::Pages;
use crate::scenario::{Part, Scenario};
use crate::world::client;

pub(super) fn judge(scenario: &Scenario, pages: &Pages, held: &Held, broken: &mut Vec<String>) {
    for asked in &scenario.tasks {
        let Part::Bundle(items) = &asked.part else { continue };
        let task = client::id(&asked.name);
        let Some(End { outcome, body, .. }) = held.outcomes.get(&task) else { continue };
        if outcome.kind != OutcomeKind::Completed {
            continue;
        }
        let ends = match read_ends(body) {
            Ok(ends) if ends.len() == items.len() => ends,
            found => {
                broken.push(format!("items: {task} has {} items and ended with {found:?}", items.len()));
                continue;
            }
        };
        let count = |kind| ends.iter().filter(|end| end.kind == kind).count();
        let said = outcome.items.map_or((0, 0), |said| (said.failed as usize, said.cancelled as usize));
        if said != (count(OutcomeKind::Dead), count(OutcomeKind::Cancelled)) {
            broken.push(format!("items: {task} says {:?} of {ends:?}", outcome.items));
        }
        for (item, ItemEnd { kind, attempt, body }) in (0_u32..).zip(&ends) {
            let has_begun =
                |begun: &crate::books::Begun| (&begun.task, begun.item, begun.attempt) == (&task, Some(item), *attempt);
            if *kind == OutcomeKind::Completed && !pages.begun.iter().any(has_begun) {
                broken.push(format!("items: {item} of {task} completed by attempt {attempt}, which never began"));
            }
            let square = (item * item).to_string();
            if *kind == OutcomeKind::Completed && body.bytes != square.as_bytes() {
                broken.push(format!("items: {item} of {task} has the result {:?}", body.bytes));
            }
        }
    }
}
