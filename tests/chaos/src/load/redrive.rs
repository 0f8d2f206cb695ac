//! Redrives of dead tasks; submitters choose among the same few, so that they meet.

use futures_util::StreamExt as _;
use nova_client::{Client, DeadEntry, DeadFilter, Redrive};
use nova_wire::Payload;

use super::skill;
use crate::history::{Journal, What};
use crate::order::{End, Order};
use crate::tail::Tail;
use crate::worker::SKILL;

/// How many of the oldest letters are chosen among.
const LETTERS: usize = 12;

/// Redrives one of the oldest letters: of even numbers mended, the others as they are, to die again.
pub(super) async fn redrive(client: &Client, journal: &Journal, tail: &Tail, random: &mut fastrand::Rng) {
    let skill = skill(SKILL);
    let filter = DeadFilter { skill: Some(skill.clone()), limit: Some(LETTERS), ..DeadFilter::default() };
    let found: Vec<DeadEntry> = client.dead(filter).filter_map(async |entry| entry.ok()).collect().await;
    let orders: Vec<(&DeadEntry, Order)> = found
        .iter()
        .filter_map(|entry| Some((entry, serde_json::from_slice::<Order>(&entry.letter.body).ok()?)))
        .collect();
    let Some((entry, order)) = random.choice(&orders) else { return };
    let order = if order.n.is_multiple_of(2) { Order { end: End::Done, ..order.clone() } } else { order.clone() };
    let of = entry.letter.task.clone();
    let edit = serde_json::to_vec(&order).expect("an order has a JSON form");
    let how = Redrive { edit: order.n.is_multiple_of(2).then(|| Payload::json(edit)) };
    journal.note(What::Redrive { skill: skill.clone(), of: of.clone(), order });
    // One that is refused or nobody answered may be there all the same: another asked for it, too.
    if let Ok(redriven) = client.redrive(&entry.letter, how).await {
        let task = redriven.submitted.task;
        tail.acked(&skill, &task);
        journal.note(What::Redriven { skill, of, task });
    }
}
