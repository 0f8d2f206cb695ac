//! Folds events into a run: what is known afterwards, before anything is decided upon it.
//!
//! Whatever is told twice, too late or out of order changes nothing.

mod approved;
mod cancelled;
mod ended;
mod fired;
mod items;
mod paused;
mod signalled;
mod started;

use nova_workflow::Event;

use super::Stuck;
use super::shared::Shared;
use super::turn::Turn;

/// Folds one event.
pub(super) fn fold(turn: &mut Turn<'_>, event: &Event) -> Result<(), Stuck> {
    if let Event::Started(started) = event {
        return started::fold(turn, started);
    }
    if let Some(order) = order_of(event) {
        if !is_new(turn, order) {
            return Ok(());
        }
        if turn.run.started.is_none() || turn.run.ended.is_some() {
            let when = if turn.run.ended.is_some() { "after the run's end" } else { "before the run began" };
            turn.ignore(format!("order {order} came {when}"));
            return Ok(());
        }
    }
    match event {
        Event::Started(_) => {}
        Event::Admitted => turn.run.queued = false,
        Event::Ended(ends) => ended::fold(turn, ends)?,
        Event::Items(items) => items::fold(turn, items)?,
        Event::Fired(timer) => fired::fold(turn, timer),
        Event::Signalled { name, data, .. } => signalled::fold(turn, name, data),
        Event::Approved(answer) => approved::fold(turn, answer),
        Event::Cancelled { why } => cancelled::fold(turn, why),
        Event::Paused { .. } => paused::fold(turn, true),
        Event::Resumed { .. } => paused::fold(turn, false),
    }
    Ok(())
}

fn order_of(event: &Event) -> Option<u64> {
    match event {
        Event::Signalled { order, .. } | Event::Paused { order } | Event::Resumed { order } => Some(*order),
        Event::Approved(answer) => Some(answer.order),
        _ => None,
    }
}

/// How many orders are remembered. A redelivery is at most minutes old; that many orders in that time are no use to anyone.
const REMEMBERED: usize = 4096;

/// Notes an order; says whether it was not known. When too many are, the oldest is forgotten and all before it with it.
fn is_new(turn: &mut Turn<'_>, order: u64) -> bool {
    let orders: &mut Shared<Vec<u64>> = &mut turn.run.orders;
    let Err(at) = orders.binary_search(&order) else { return false };
    let is_full = orders.len() >= REMEMBERED;
    if is_full && at == 0 {
        return false;
    }
    let orders = orders.to_mut();
    orders.insert(at, order);
    if is_full {
        orders.remove(0);
    }
    true
}
