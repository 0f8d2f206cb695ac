//! An attempt on a bundle: what its lanes share, and how one of its items runs.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nova_types::{Policy, codes};
use nova_wire::{ContentType, ErrorBody, EventKind, ItemEnd, Payload, Settled, limits};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::{Board, Stop};
use super::fold::{ItemFate, RESULT_BYTES, attempt_of, is_flat};

use crate::blocking::panic_text;
use crate::case::Case;
use crate::context::{About, ContextParts, Reporter};
use crate::judge::{Ended, judge};
use crate::rate::limiter::Grant;
use crate::retry::Attempts;
use crate::station::Station;
use crate::told::PROGRESS_EVERY;
use crate::{CheckpointError, Context, Next, Verdict};

/// How long a lane runs items that never wait before it lets others of its thread on.
const TURN: std::time::Duration = std::time::Duration::from_millis(1);

/// An attempt on a bundle, as its lanes see it.
pub(super) struct Work {
    pub(super) station: Arc<Station>,
    pub(super) about: Arc<About>,
    pub(super) attempts: Attempts,
    pub(super) policy: Policy,
    pub(super) attempt: u32,
    pub(super) content_type: ContentType,
    pub(super) inputs: Vec<Payload>,
    /// What earlier attempts settled.
    pub(super) before: Settled,
    /// When the task itself expires.
    pub(super) expires: Option<Instant>,
    /// What items leave for the next attempt.
    left: Mutex<Settled>,
    board: Mutex<Board>,
    /// Tells all items to stop.
    stopped: CancellationToken,
    /// How much its results take so far, in bytes.
    results: AtomicUsize,
    /// Whether the token that came with the task is used, where the skill has a rate.
    has_begun: AtomicBool,
    /// One write of the state at a time, the newest last.
    saving: tokio::sync::Mutex<()>,
    told: Mutex<Option<Instant>>,
}

impl Work {
    pub(super) fn new(
        station: Arc<Station>,
        case: &Case,
        about: Arc<About>,
        inputs: Vec<Payload>,
        before: Settled,
    ) -> Self {
        let now = station.now();
        let items = (0..).take(inputs.len()).filter(|item| !before.ended.contains_key(item));
        Self {
            about,
            attempts: case.attempts.clone(),
            policy: case.policy.clone(),
            attempt: case.attempt,
            content_type: case.task.payload.content_type,
            board: Mutex::new(Board::new(items)),
            left: Mutex::new(Settled { checkpoints: before.checkpoints.clone(), ..Settled::default() }),
            results: AtomicUsize::new(before.ended.values().map(|end| end.body.bytes.len()).sum()),
            inputs,
            before,
            expires: case.policy.deadline.map(|deadline| Instant::now() + deadline.since(now)),
            stopped: CancellationToken::new(),
            has_begun: AtomicBool::new(false),
            saving: tokio::sync::Mutex::default(),
            told: Mutex::default(),
            station,
        }
    }

    pub(super) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn left(&self) -> MutexGuard<'_, Settled> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all items; the first reason counts.
    pub(super) fn stop(&self, why: Stop) {
        self.board().stop.get_or_insert(why);
        self.stopped.cancel();
    }

    /// Runs items until none waits, or, in an extra lane, until another attempt wants the slot.
    pub(super) async fn lane(self: Arc<Self>, lane: usize) {
        let is_extra = lane > 0;
        let mut turn = Instant::now();
        while !(is_extra && self.station.slots.are_wanted()) {
            if !self.may_begin(is_extra).await {
                return;
            }
            let now = Instant::now();
            let until = now + self.policy.timeout;
            let until = self.expires.map_or(until, |expires| expires.min(until));
            let Some(item) = self.board().take(lane, until) else { return };
            let (fate, usage) = if self.expires.is_some_and(|expires| now >= expires) {
                (self.expired(item), Default::default())
            } else {
                self.one(item, until).await
            };
            self.board().put(lane, fate, usage);
            nova_runtime::failpoint::hit("item-ended");
            if turn.elapsed() >= TURN {
                tokio::task::yield_now().await;
                turn = Instant::now();
            }
        }
    }

    /// Whether the rate of the skill, where it has one, lets another item begin; waits until it does.
    async fn may_begin(&self, is_extra: bool) -> bool {
        let Some(limiter) = &self.station.limiter else { return true };
        // The first has the token that the task was taken with.
        if !self.has_begun.swap(true, Ordering::Relaxed) || self.board().waiting() == 0 {
            return true;
        }
        loop {
            let pause = match limiter.take(1).await {
                Grant::Now(_) => return true,
                // One waits for all of them.
                Grant::Wait(_) if is_extra => return false,
                Grant::Wait(pause) => pause,
            };
            self.station.meters.rate_waits.inc();
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.stopped.cancelled() => return false,
            }
        }
    }

    fn attempt_of(&self, item: u32) -> u32 {
        attempt_of(&self.before, item, self.attempt)
    }

    /// The end of an item whose turn came when the deadline of its task had passed.
    fn expired(&self, item: u32) -> ItemFate {
        let error = ErrorBody::new(codes::EXPIRED, "its deadline passed before it started");
        let attempt = self.attempt_of(item) - 1;
        ItemFate::of(crate::judge::Fate::Dead(error), attempt, self.content_type)
    }

    /// Runs one item to what becomes of it.
    async fn one(self: &Arc<Self>, item: u32, until: Instant) -> (ItemFate, nova_types::Usage) {
        let cancel = self.stopped.child_token();
        let context = Context::new(ContextParts {
            about: Arc::clone(&self.about),
            attempt: self.attempt_of(item),
            deadline: until,
            item: Some(item),
            checkpoint: self.before.checkpoints.get(&item).cloned(),
            cancel: Some(cancel.clone()),
            reporter: Arc::clone(self) as Arc<dyn Reporter>,
        });
        let station = &self.station;
        let input = self.inputs[item as usize].clone();
        let running = async { Next::new(&station.middleware, &*station.skill).run(input, context.clone()).await };
        let mut running = std::pin::pin!(AssertUnwindSafe(running).catch_unwind());
        let early = tokio::select! {
            biased;
            ended = &mut running => Err(by_itself(ended)),
            () = tokio::time::sleep_until(until) => Ok(Ended::TimedOut),
            () = self.stopped.cancelled() => Ok(self.board().stop.unwrap_or(Stop::HandedBack).ended()),
        };
        let ended = match early {
            Err(ended) => ended,
            Ok(why) => {
                cancel.cancel();
                // A result that comes in the grace counts where nobody has decided otherwise.
                let late = tokio::time::timeout(station.cancel_grace, &mut running).await;
                match (why, late.map(by_itself)) {
                    (Ended::LeaseLost | Ended::HandedBack, Ok(Ended::Returned(Ok(result)))) => {
                        Ended::Returned(Ok(result))
                    }
                    (why, _) => why,
                }
            }
        };
        let ended = match ended {
            Ended::Returned(Ok(result)) => Ended::Returned(self.fit(result)),
            ended => ended,
        };
        (self.judged(item, ended), context.usage())
    }

    /// What becomes of an item that ended so.
    pub(super) fn judged(&self, item: u32, ended: Ended) -> ItemFate {
        let attempt = self.attempt_of(item);
        let fate = judge(ended, attempt, &self.policy, self.station.now(), fastrand::f64());
        ItemFate::of(fate, attempt, self.content_type)
    }

    /// A result as it can stand in the list: one value of the task's content type.
    fn fit(&self, result: Payload) -> Result<Payload, Verdict> {
        let bad = |error: &dyn std::error::Error| Verdict::reject(codes::BAD_RESULT, error.to_string());
        let result = if result.content_type == self.content_type {
            result.validate().map_err(|error| bad(&error))?;
            result
        } else {
            let value = result.to_json().map_err(|error| bad(&error))?;
            Payload::encode(self.content_type, &value).map_err(|error| bad(&error))?
        };
        if !is_flat(&result) {
            return Err(Verdict::reject(codes::BAD_RESULT, "the result nests too deep"));
        }
        let bytes = result.bytes.len();
        if self.results.fetch_add(bytes, Ordering::Relaxed) + bytes > RESULT_BYTES {
            self.results.fetch_sub(bytes, Ordering::Relaxed);
            let message = format!("the results of its bundle would take more than {RESULT_BYTES} bytes together");
            return Err(Verdict::reject(codes::BAD_RESULT, message));
        }
        Ok(result)
    }

    /// What was settled before, with what items of this attempt leave.
    pub(super) fn base(&self) -> Settled {
        Settled { checkpoints: self.left().checkpoints.clone(), ..self.before.clone() }
    }

    /// What is settled by now.
    fn settled(&self) -> Settled {
        let mut settled = self.base();
        for (item, fate) in self.board().fates() {
            if let ItemFate::Ended(end) = fate {
                let end: &ItemEnd = end;
                settled.ended.insert(*item, end.clone());
                settled.spared.remove(item);
                settled.checkpoints.remove(item);
            }
        }
        settled
    }

    /// Keeps what is settled by now, for whoever goes on should this worker be lost.
    ///
    /// # Errors
    /// When another attempt has begun, or the broker does not take it.
    pub(super) async fn save(&self) -> Result<(), super::NotSaved> {
        let _turn = self.saving.lock().await;
        let state = self.station.bundle_state(&self.settled(), self.content_type).await?;
        Ok(self.attempts.keep_bundle(self.attempt, state).await?)
    }
}

impl Reporter for Work {
    fn progress(&self, item: Option<u32>, _fraction: f32, note: &str) {
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.is_some_and(|at| at.elapsed() < PROGRESS_EVERY) {
                return;
            }
            *told = Some(Instant::now());
        }
        // How far one item is says nothing of the bundle; how many have ended does.
        let ended = self.before.ended.len() + self.board().fates().len();
        let station = &self.station;
        let mut event = station.events.event(EventKind::Progress, &station.name, &self.about.task, self.attempt);
        event.fraction = Some(ended as f32 / self.inputs.len().max(1) as f32);
        event.message = item.filter(|_| !note.is_empty()).map(|item| format!("item {item}: {note}"));
        let events = station.events.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { events.tell(event).await });
        }
    }

    fn save_checkpoint(&self, item: Option<u32>, bytes: Bytes) -> BoxFuture<'_, Result<(), CheckpointError>> {
        Box::pin(async move {
            let Some(item) = item else { return Ok(()) };
            {
                let mut left = self.left();
                let others = left.checkpoints.iter().filter(|(of, _)| **of != item);
                let total = others.map(|(_, bytes)| bytes.len()).sum::<usize>() + bytes.len();
                if total > limits::CHECKPOINT_BYTES {
                    return Err(CheckpointError::TooLarge { bytes: total });
                }
                left.checkpoints.insert(item, bytes);
            }
            let not_stored = |source| CheckpointError::NotStored { task: self.about.task.clone(), source };
            self.save().await.map_err(|error| not_stored(Box::new(error)))
        })
    }
}

fn by_itself(ended: Result<Result<Payload, Verdict>, Box<dyn Any + Send>>) -> Ended {
    match ended {
        Ok(returned) => Ended::Returned(returned),
        Err(panic) => Ended::Panicked(panic_text(&*panic)),
    }
}
