//! What is seen on the wire: acks that come too early, tasks that are scheduled; and rules that are taken away.

use nova_broker::{AckToken, Broker as _, Expect, Message, Receipt, Scan};
use nova_types::{RunId, run_skill};
use nova_wire::{Task, assets, subject};

use crate::scenario::Sabotage;
use crate::wire::Wire;

impl Wire {
    /// Notes a message that was stored.
    pub(super) fn note_stored(&self, message: &Message) {
        if let Some((_, task)) = subject::parse_schedule(&message.subject) {
            self.books.open().scheduled.insert(task);
        }
    }

    /// Holds an ack that is about to reach the broker against what is stored then (I8): a task's needs its outcome, or its
    /// place in the schedules; the start of a run needs its history.
    pub(super) async fn judge_ack(&self, token: &AckToken) {
        let Some((stream, sequence)) = place(token) else { return };
        let Some(skill) = assets::skill_of_stream(&stream) else { return };
        let Ok(Some(stored)) = self.inner.get(stream, sequence).await else { return };
        let task = match Task::parse(&stored.subject, stored.sequence, stored.headers, stored.body) {
            Ok(task) => task.id,
            Err(bad) => bad.id,
        };
        let outcome = self.inner.last(assets::OUTCOMES.to_owned(), subject::outcome(&skill, &task)).await;
        if matches!(outcome, Ok(Some(_))) {
            return;
        }
        let mut has_record = self.books.open().scheduled.contains(&task);
        if skill == run_skill() {
            let history = subject::run_of_any_partition(&RunId::of(&task));
            let found = self.inner.scan(Scan::all(assets::RUNS, history, 1)).await;
            has_record = found.is_ok_and(|found| !found.is_empty());
        }
        if !has_record {
            self.books.open().broken.push(format!("I8: {task} of {skill} is acked before its end is recorded"));
        }
    }

    /// The receipt that is made up for a message that a sabotage lets vanish.
    pub(super) fn swallowed(&self, message: &Message) -> Option<Receipt> {
        let is_gone = match self.sabotage {
            Some(Sabotage::LettersLost) => subject::parse_dead(&message.subject).is_some(),
            Some(Sabotage::AttemptsLost) => subject::parse_attempt(&message.subject).is_some(),
            _ => false,
        };
        is_gone.then(|| Receipt { stream: String::new(), sequence: 1, is_duplicate: false })
    }

    /// What a sabotage leaves of a compare-and-set.
    pub(super) fn weakened(&self, message: &Message, expect: Expect) -> Expect {
        let is_weak = match self.sabotage {
            Some(Sabotage::NoFence) => subject::parse_outcome(&message.subject).is_some(),
            Some(Sabotage::HistoryWithoutFence) => subject::parse_run(&message.subject).is_some(),
            _ => false,
        };
        if is_weak { Expect::Any } else { expect }
    }
}

/// The stream and sequence that a token of the memory broker names: `$JS.ACK.<stream>.<consumer>.<n>.<sequence>...`.
fn place(token: &AckToken) -> Option<(String, u64)> {
    let text = format!("{token:?}");
    let mut parts = text.split("$JS.ACK.").nth(1)?.split('.');
    let stream = parts.next()?.to_owned();
    let sequence = parts.nth(2)?.parse().ok()?;
    Some((stream, sequence))
}
