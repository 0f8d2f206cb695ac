//! One delivery from its arrival to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use nova_broker::{BlobError, Delivery, Settle};
use nova_types::{UnixMillis, codes};
use nova_wire::{AttemptRecord, BadTask, BlobRef, Claim, ErrorBody, EventKind, Payload, Task, limits};
use tokio::time::Instant;

use crate::Context;
use crate::admit::{Admission, Facts, admit, is_to_be_noted};
use crate::case::Case;
use crate::context::{About, ContextParts};
use crate::end::Ending;
use crate::judge::{Fate, judge};
use crate::lease::Lease;
use crate::rarely::rarely;
use crate::retry::Attempts;
use crate::slots::Slot;
use crate::station::Station;
use crate::told::Told;

/// How often a payload that is missing is looked for, a second apart, before it counts as gone.
const LOOKS: u64 = 5;

impl Station {
    /// Handles one delivery under lease; `slot` is there when one was free at the pull.
    pub(crate) fn handle(
        self: Arc<Self>,
        delivery: Box<Delivery>,
        slot: Option<Slot>,
    ) -> impl Future<Output = ()> + Send {
        self.handle_since(delivery, slot, Instant::now())
    }

    /// The same for a delivery whose lease began at that moment.
    pub(crate) async fn handle_since(self: Arc<Self>, delivery: Box<Delivery>, slot: Option<Slot>, taken: Instant) {
        let lease = self.leases.hold(&delivery.token, taken);
        self.process(delivery, slot, &lease).await;
    }

    async fn process(self: &Arc<Self>, delivery: Box<Delivery>, slot: Option<Slot>, lease: &Lease) {
        if delivery.deliveries > 1 {
            self.meters.redeliveries.inc();
        }
        let Some((mut case, payload)) = self.prepare(delivery).await else { return };
        let slot = match slot {
            Some(slot) => slot,
            None => match rarely(self.wait_for_slot(lease)).await {
                Some(slot) => slot,
                // Not started: whoever stops or loses the lease now has done nothing.
                None if lease.is_lost() => return,
                None => return rarely(self.hand_back(&case)).await,
            },
        };
        if self.hard.is_cancelled() {
            return rarely(self.hand_back(&case)).await;
        }
        if self.begin(&case).await.is_none() {
            return;
        }
        // It may have waited for the slot, and been cancelled or expired meanwhile.
        let ending = if self.cancels.contains(&case.task.id) {
            Some(Ending::cancelled(ErrorBody::new(codes::CANCELLED, "cancelled before it started")))
        } else if case.policy.deadline.is_some_and(|deadline| self.now() >= deadline) {
            let error = ErrorBody::new(codes::EXPIRED, "its deadline passed before it started");
            if case.task.options.bundle.is_some() {
                case.attempt -= 1;
                return rarely(self.end_left(&case, error)).await;
            }
            Some(Ending::dead(error))
        } else {
            None
        };
        if let Some(ending) = ending {
            // Only those before it were made.
            case.attempt -= 1;
            return rarely(self.end(&case, ending)).await;
        }
        nova_runtime::failpoint::hit("before-start");
        self.meters.running.add(1.0);
        case.started = Some(self.clock.now());
        if case.task.options.bundle.is_some() {
            rarely(self.run_bundle(case, payload, slot, lease)).await;
        } else {
            self.run(&case, payload, slot, lease).await;
        }
        self.meters.running.add(-1.0);
    }

    /// A slot for a delivery that came without; `None` when the worker drains or the lease is lost.
    async fn wait_for_slot(&self, lease: &Lease) -> Option<Slot> {
        tokio::select! {
            biased;
            slot = self.slots.take() => Some(slot),
            () = self.drain.cancelled() => None,
            () = lease.lost() => None,
        }
    }

    /// Reads the task and all that must be known before it starts; ends it where it cannot.
    async fn prepare(&self, delivery: Box<Delivery>) -> Option<(Box<Case>, Payload)> {
        // A delivered mark of an expired message carries no task: whoever set a time to live on a task wanted its end.
        let (headers, body) = (delivery.headers.clone(), delivery.body.clone());
        let task = match Task::parse(&delivery.subject, delivery.sequence, headers, body) {
            Ok(task) => task,
            Err(bad) => {
                rarely(self.refuse(&delivery, bad)).await;
                return None;
            }
        };
        if self.policy.keyed.is_some() && task.key.is_none() {
            let message = format!("skill {0} is keyed: publish to nova.task.{0}.<priority>.<key>", self.name);
            let bad = BadTask { id: task.id, code: codes::BAD_KEY.into(), message };
            rarely(self.refuse(&delivery, bad)).await;
            return None;
        }
        if let Some(bad) = self.refuses_bundle(&task) {
            rarely(self.refuse(&delivery, bad)).await;
            return None;
        }
        let attempts = Attempts::none(&self.broker, &self.name, &task.id);
        let policy = task.policy(&self.policy.policy);
        let nonce = self.nonces.next();
        let mut case = Box::new(Case { delivery, task, policy, attempts, attempt: 0, nonce, started: None });
        let came_before = case.delivery.deliveries > 1 || case.task.is_republished;
        let is_suspect = came_before || self.may_have_run(&case);
        if is_suspect && !rarely(self.is_open(&case)).await? {
            return None;
        }
        if let Some(ttl) = case.policy.outcome_ttl.filter(|ttl| *ttl < self.shortest_ttl()) {
            let message = format!("outcome TTL {ttl:?} is shorter than the fence needs, {:?}", self.shortest_ttl());
            // The refusal is an outcome, too, and lives as long as any.
            case.policy.outcome_ttl = None;
            rarely(self.end(&case, Ending::dead(ErrorBody::new(codes::BAD_HEADER, &message)))).await;
            return None;
        }
        let record = case.attempts.record().await;
        let admission = admit(&Facts {
            deliveries: case.delivery.deliveries,
            submitted: case.delivery.at,
            now: self.now(),
            record: is_suspect.then_some(&record),
            recorded: case.attempts.stored_at().await,
            is_cancelled: self.cancels.contains(&case.task.id),
            policy: &case.policy,
            is_costly: self.policy.is_costly,
            outcomes_kept: case.policy.outcome_ttl.map_or(self.outcomes_kept, |ttl| ttl.min(self.outcomes_kept)),
        });
        match admission {
            Admission::Start { attempt } => case.attempt = attempt,
            Admission::Wait { pause } => {
                let delay = pause.min(limits::NAK_DELAY);
                rarely(self.settle(&case.delivery.token, Settle::Nak { delay })).await;
                return None;
            }
            Admission::End { attempts, is_cancel, error } => {
                case.attempt = attempts;
                if case.task.options.bundle.is_some() && !is_cancel {
                    rarely(self.end_left(&case, error)).await;
                    return None;
                }
                let ending = if is_cancel { Ending::cancelled(error) } else { Ending::dead(error) };
                rarely(self.end(&case, ending)).await;
                return None;
            }
        }
        let payload = self.input(&case).await?;
        Some((case, payload))
    }

    fn shortest_ttl(&self) -> Duration {
        limits::SHORTEST_OUTCOME_TTL.max(self.policy.lease * 10)
    }

    /// Whether a task that comes for the first time, as the broker says, may have run all the same.
    fn may_have_run(&self, case: &Case) -> bool {
        // For a costly one a stretch of others proves too little.
        self.horizon.covers(case.delivery.at) && (self.policy.is_costly || !self.horizon.is_passed_by(case.place()))
    }

    /// Whether a task that may have run before has no outcome yet; one that has is concluded here. `None`: put off.
    async fn is_open(&self, case: &Case) -> Option<bool> {
        let (outcome, loaded) = tokio::join!(self.stored_outcome(&case.task.id), case.attempts.load());
        match (outcome, loaded) {
            (Ok(None), Ok(())) => {
                if case.delivery.deliveries == 1 && self.would_show_its_end(case).await {
                    self.horizon.met_untouched(case.place());
                }
                Some(true)
            }
            (Ok(Some(stored)), Ok(())) => {
                self.conclude(case, &stored).await;
                Some(false)
            }
            (outcome, loaded) => {
                let (outcome, attempts) = (outcome.err(), loaded.err());
                tracing::warn!(task = %case.task.id, ?outcome, ?attempts, "could not look at a redelivered task");
                self.put_off(&case.delivery.token).await;
                None
            }
        }
    }

    /// Whether there would be something to see of a task that had ended or begun: its outcome is kept for as long as it is old,
    /// and it has the place in the queue in which its consumer delivers it.
    async fn would_show_its_end(&self, case: &Case) -> bool {
        let kept = case.policy.outcome_ttl.map_or(self.outcomes_kept, |ttl| ttl.min(self.outcomes_kept));
        let is_in_its_place = !case.task.is_republished && case.task.key.is_none();
        is_in_its_place && self.now().since(case.delivery.at) < kept && case.attempts.stored_at().await.is_none()
    }

    /// The task's input, fetched where it is large.
    pub(crate) async fn input(&self, case: &Case) -> Option<Payload> {
        match &case.task.blob {
            None => Some(case.task.payload.clone()),
            Some(blob) => rarely(self.fetch_input(case, blob)).await,
        }
    }

    async fn fetch_input(&self, case: &Case, blob: &BlobRef) -> Option<Payload> {
        match self.blobs.get(blob).await {
            Ok(bytes) => Some(Payload { content_type: case.task.payload.content_type, bytes }),
            // A replica may be a moment behind, and a store that cannot be reached says nothing of what is in it.
            Err(error @ (BlobError::Reach { .. } | BlobError::Missing { .. }))
                if !matches!(error, BlobError::Missing { .. }) || case.delivery.deliveries < LOOKS =>
            {
                tracing::warn!(task = %case.task.id, %error, "input could not be fetched");
                self.put_off(&case.delivery.token).await;
                None
            }
            Err(error) => {
                let code = if matches!(error, BlobError::TooLarge { .. }) { codes::TOO_LARGE } else { codes::BAD_BLOB };
                self.end(case, Ending::dead(ErrorBody::new(code, &error.to_string()))).await;
                None
            }
        }
    }

    /// Notes that an attempt begins where that must be known: a costly one, so that nobody begins it again, and one of a
    /// task that may have taken workers down.
    async fn begin(&self, case: &Case) -> Option<()> {
        let is_to_be_noted = is_to_be_noted(case.delivery.deliveries, &case.attempts.record().await);
        if !is_to_be_noted && !self.policy.is_costly {
            return Some(());
        }
        rarely(self.note_begin(case, is_to_be_noted)).await
    }

    async fn note_begin(&self, case: &Case, is_to_be_noted: bool) -> Option<()> {
        let claim = self.policy.is_costly.then(|| Claim {
            attempt: case.attempt,
            worker: self.worker.clone(),
            nonce: case.nonce.clone(),
            at: self.now(),
        });
        let note = |record: &mut AttemptRecord| {
            record.unended += u32::from(is_to_be_noted);
            record.claim = claim.clone();
        };
        match case.attempts.change(case.attempt, note).await {
            Ok(()) => Some(()),
            Err(error) => {
                tracing::warn!(task = %case.task.id, %error, "the start of an attempt could not be noted");
                self.put_off(&case.delivery.token).await;
                None
            }
        }
    }

    async fn run(self: &Arc<Self>, case: &Case, payload: Payload, slot: Slot, lease: &Lease) {
        let now = self.now();
        self.tell_start(case, now).await;
        let began = Instant::now();
        let left = case.policy.deadline.map_or(Duration::MAX, |deadline| deadline.since(now));
        let deadline = began + case.policy.timeout.min(left);
        let about = Arc::new(About {
            task: case.task.id.clone(),
            skill: self.name.clone(),
            headers: case.task.headers.clone(),
        });
        let context = Context::new(ContextParts {
            about: Arc::clone(&about),
            attempt: case.attempt,
            deadline,
            item: None,
            checkpoint: case.attempts.checkpoint().await,
            cancel: None,
            reporter: Arc::new(Told::new(Arc::clone(self), about, case)),
        });
        let (ended, _held) = self.execute(payload, &context, slot, lease).await;
        self.meters.run.observe(began.elapsed());
        if lease.is_lost() {
            self.meters.leases_lost.inc();
        }
        nova_runtime::failpoint::hit("after-run");
        let fate = judge(ended, case.attempt, &case.policy, self.now(), fastrand::f64());
        match fate {
            Fate::Complete(payload) => self.end(case, Ending::completed(payload, context.usage())).await,
            other => rarely(self.settle_fate(case, other, context.usage())).await,
        }
    }

    /// Tells whoever counts or listens that an attempt starts now.
    pub(crate) async fn tell_start(&self, case: &Case, now: UnixMillis) {
        if case.attempt == 1 {
            self.meters.wait.observe(now.since(case.delivery.at));
        }
        if self.events.is_full() {
            let event = self.events.event(EventKind::Started, &self.name, &case.task.id, case.attempt);
            rarely(self.events.tell(event)).await;
        }
    }
}
