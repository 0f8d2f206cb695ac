//! Bundles: the items of one task run as attempts of their own, and what is left of them is tried again.
//!
//! Queue, lease, cancel, deadline and outcome are those of the task. Each item goes through the middleware and the skill by
//! itself, with its own timeout, panic and verdict. Items run one after the other in the slot of the task, and beside each
//! other in slots that nobody else wants.

mod board;
mod fold;
mod lanes;
mod letter;
mod state;
mod work;

use std::sync::Arc;

use nova_types::{ItemCount, OutcomeKind, Usage, codes};
use nova_wire::{BadTask, ErrorBody, ItemEnd, Payload, Settled, Task, split_bundle};
use tokio::time::Instant;

use self::board::Stop;
use self::fold::{Next, encode, fold, summary};
pub(crate) use self::state::NotSaved;
use self::work::Work;
use crate::case::Case;
use crate::context::About;
use crate::end::Ending;
use crate::judge::Fate;
use crate::lease::Lease;
use crate::slots::Slot;
use crate::station::Station;

impl Station {
    /// Why a task of this skill may not be a bundle, where it is one.
    pub(crate) fn refuses_bundle(&self, task: &Task) -> Option<BadTask> {
        task.options.bundle?;
        // Order holds between tasks, and the promise never to start twice unasked is kept by a claim for each task.
        let why = match (&self.policy.keyed, self.policy.is_costly) {
            (Some(_), _) => "keyed",
            (None, true) => "costly",
            (None, false) => return None,
        };
        let message = format!("skill {} is {why} and takes no bundles: submit each item as a task", self.name);
        Some(BadTask { id: task.id.clone(), code: codes::UNSUPPORTED.into(), message })
    }

    /// Runs what is left of a bundle.
    pub(crate) async fn run_bundle(self: &Arc<Self>, mut case: Box<Case>, body: Payload, slot: Slot, lease: &Lease) {
        let count = case.task.options.bundle.unwrap_or(0);
        let inputs = match split_bundle(&body, count) {
            Ok(inputs) => inputs,
            Err(bad) => {
                // Only those before it were made.
                case.attempt -= 1;
                return self.end(&case, Ending::dead(ErrorBody::new(bad.code(), &bad.to_string()))).await;
            }
        };
        let Some(before) = self.settled_before(&case).await else { return };
        if before.ended.len() == inputs.len() {
            // Whoever ran the last of them was lost before the outcome.
            case.attempt -= 1;
            return self.finish_bundle(&case, &inputs, &before, Usage::default()).await;
        }
        self.tell_start(&case, self.now()).await;
        let about = Arc::new(About {
            task: case.task.id.clone(),
            skill: self.name.clone(),
            headers: case.task.headers.clone(),
        });
        let began = Instant::now();
        let work = Arc::new(Work::new(Arc::clone(self), &case, about, inputs, before));
        nova_runtime::failpoint::hit("mid-work");
        let slot = lanes::run(&work, slot, lease).await;
        self.meters.run.observe(began.elapsed());
        let _held = slot.map(|slot| self.slots.end(slot));
        if lease.is_lost() {
            self.meters.leases_lost.inc();
        }
        nova_runtime::failpoint::hit("after-run");
        self.conclude_round(&case, &work).await;
    }

    /// Ends a bundle that may not start again: what earlier attempts settled stands, the rest ends with the error. A bundle
    /// of which nothing is settled ends like any task.
    pub(crate) async fn end_left(&self, case: &Case, error: ErrorBody) {
        let record = case.attempts.record().await;
        if record.bundle.is_none() {
            return self.end(case, Ending::dead(error)).await;
        }
        let Some(body) = self.input(case).await else { return };
        let Some(mut settled) = self.settled_before(case).await else { return };
        let count = case.task.options.bundle.unwrap_or(0);
        let Ok(inputs) = split_bundle(&body, count) else { return self.end(case, Ending::dead(error)).await };
        let content_type = case.task.payload.content_type;
        for item in 0..count {
            let attempt = fold::attempt_of(&settled, item, case.attempt + 1) - 1;
            let end = || ItemEnd { kind: OutcomeKind::Dead, attempt, body: encode(content_type, &error) };
            settled.ended.entry(item).or_insert_with(end);
        }
        self.finish_bundle(case, &inputs, &settled, Usage::default()).await;
    }

    /// Decides on what the items of an attempt came to, and carries that out.
    async fn conclude_round(&self, case: &Case, work: &Work) {
        let (fates, stop, usage) = {
            let mut board = work.board();
            (board.finish(), board.stop, board.usage)
        };
        let count = work.inputs.len();
        let mut settled = work.base();
        let next = fold(&mut settled, case.attempt, case.policy.max_attempts, fates, count);
        match (stop, next) {
            (Some(Stop::Cancelled), _) => {
                let ended = settled.ended.values().filter(|end| end.kind != OutcomeKind::Cancelled).count();
                let message = format!("cancelled while it ran; {ended} of {count} items had ended");
                let fate = Fate::Cancel(ErrorBody::new(codes::CANCELLED, &message));
                self.settle_fate(case, fate, usage).await;
            }
            (_, Next::Done) => self.end_bundle(case, &work.inputs, &settled, usage).await,
            (Some(Stop::LeaseLost), _) => self.settle_fate(case, Fate::Drop, usage).await,
            (_, Next::Fail { after, error }) => {
                self.put_by(case, &settled, Fate::Retry { after, error }, usage).await;
            }
            (_, Next::Snooze { pause }) => self.put_by(case, &settled, Fate::Snooze { pause }, usage).await,
            (_, Next::HandBack) => self.put_by(case, &settled, Fate::HandBack, usage).await,
        }
    }

    /// Lets a bundle go for now, with what is settled of it in its record.
    async fn put_by(&self, case: &Case, settled: &Settled, fate: Fate, usage: Usage) {
        if self.carry(case, settled).await {
            self.settle_fate(case, fate, usage).await;
        }
    }

    /// Ends a bundle whose items all have.
    async fn end_bundle(&self, case: &Case, inputs: &[Payload], settled: &Settled, usage: Usage) {
        if let Some(error) = failure(settled) {
            // Noted first: whoever finds the task again without its outcome runs nothing that has ended for good.
            if !self.carry(case, settled).await || !self.has_noted_end(case, &error).await {
                return;
            }
        }
        self.finish_bundle(case, inputs, settled, usage).await;
    }

    /// Writes the outcome of a bundle whose end is noted, or needs no note.
    async fn finish_bundle(&self, case: &Case, inputs: &[Payload], settled: &Settled, usage: Usage) {
        let letter = match failure(settled) {
            None => None,
            Some(error) => {
                let history = case.attempts.record().await;
                Some(self.items_letter(case, inputs, settled, error.code, &history))
            }
        };
        let body = settled.ends(case.task.payload.content_type);
        self.end(case, Ending::bundle(body, count(settled), usage, letter)).await;
    }
}

/// The items of a bundle by how they ended.
fn count(settled: &Settled) -> ItemCount {
    let of = |kind| u32::try_from(settled.ended.values().filter(|end| end.kind == kind).count()).unwrap_or(u32::MAX);
    let items = u32::try_from(settled.ended.len()).unwrap_or(u32::MAX);
    ItemCount { items, failed: of(OutcomeKind::Dead), cancelled: of(OutcomeKind::Cancelled) }
}

/// What the items that will not be tried again have to say together.
fn failure(settled: &Settled) -> Option<ErrorBody> {
    let errors: Vec<_> = dead(settled).filter_map(|(item, end)| Some((item, end.error()?))).collect();
    let failed = errors.iter().map(|(item, error)| (*item, error));
    (!errors.is_empty()).then(|| summary(failed, settled.ended.len()))
}

/// The items that will not be tried again.
fn dead(settled: &Settled) -> impl Iterator<Item = (u32, &ItemEnd)> {
    settled.ended.iter().filter(|(_, end)| end.kind == OutcomeKind::Dead).map(|(item, end)| (*item, end))
}
