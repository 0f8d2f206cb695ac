//! Carries out what becomes of a task: outcome first, then the letter, then the ack, then the word to waiters.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::{BoxFuture, Either};
use nova_broker::{BlobError, BrokerError, Delivery, Settle, Stored};
use nova_types::{ItemCount, Outcome, OutcomeKind, TaskId, Usage, codes};
use nova_wire::{
    AttemptRecord, BadTask, ContentType, DeadLetter, ErrorBody, EventKind, Payload, assets, limits, name, subject,
};

use crate::case::Case;
use crate::judge::Fate;
use crate::rarely::rarely;
use crate::record::{Record, Written, tell_again};
use crate::retry::{Attempts, NotKept};
use crate::station::Station;

mod again;

/// The pause before a large result is stored again; a store that has room again is noticed within it.
pub(crate) const STORE_PAUSE: Duration = Duration::from_secs(5);

/// How a task ends for good.
pub(crate) struct Ending {
    kind: OutcomeKind,
    payload: Option<Payload>,
    error: Option<ErrorBody>,
    usage: Usage,
    items: Option<ItemCount>,
    /// The letter of its failed items, when it is a bundle.
    letter: Option<Box<DeadLetter>>,
}

/// What an ending comes to, on the heap: the future of every task would else have room for it, and more than once.
struct Concluding {
    record: Record,
    error: Option<ErrorBody>,
    letter: Option<Box<DeadLetter>>,
}

impl Ending {
    pub(crate) fn dead(error: ErrorBody) -> Self {
        Self { error: Some(error), ..Self::of(OutcomeKind::Dead) }
    }

    pub(crate) fn cancelled(error: ErrorBody) -> Self {
        Self { error: Some(error), ..Self::of(OutcomeKind::Cancelled) }
    }

    pub(crate) fn completed(payload: Payload, usage: Usage) -> Self {
        Self { payload: Some(payload), usage, ..Self::of(OutcomeKind::Completed) }
    }

    /// A bundle of which every item has ended, with the letter of those that failed.
    pub(crate) fn bundle(payload: Payload, items: ItemCount, usage: Usage, letter: Option<DeadLetter>) -> Self {
        Self { items: Some(items), letter: letter.map(Box::new), ..Self::completed(payload, usage) }
    }

    fn of(kind: OutcomeKind) -> Self {
        Self { kind, payload: None, error: None, usage: Usage::default(), items: None, letter: None }
    }
}

impl Station {
    pub(crate) async fn stored_outcome(&self, task: &TaskId) -> Result<Option<Stored>, BrokerError> {
        self.broker.last(assets::OUTCOMES.to_owned(), subject::outcome(&self.name, task)).await
    }

    /// Ends, retries or hands back an attempt's task.
    pub(crate) async fn settle_fate(&self, case: &Case, fate: Fate, usage: Usage) {
        match fate {
            Fate::Complete(payload) => self.end(case, Ending::completed(payload, usage)).await,
            Fate::Cancel(error) => self.end(case, Ending { usage, ..Ending::cancelled(error) }).await,
            Fate::Dead(error) => {
                if self.has_noted_end(case, &error).await {
                    self.end(case, Ending { usage, ..Ending::dead(error) }).await;
                }
            }
            Fate::Retry { after, error } => self.retry(case, after, &error).await,
            Fate::Snooze { pause } => {
                self.meters.snoozes.inc();
                let kept = case.attempts.change(case.attempt, |record| {
                    record.snoozes += 1;
                    record.ended();
                });
                match kept.await {
                    Err(NotKept::Overtaken { .. }) => self.fenced(case).await,
                    Err(error) => {
                        tracing::warn!(task = %case.task.id, %error, "snooze was not noted");
                        self.put_off(&case.delivery.token).await;
                    }
                    Ok(()) => self.later(case, pause).await,
                }
            }
            Fate::HandBack => self.hand_back(case).await,
            Fate::Drop => self.fenced(case).await,
        }
    }

    /// Gives a task back at once, unfinished or not even begun; the note says that no worker was lost over it and that it
    /// had no outcome then. What a costly attempt claimed stays: it may have begun.
    pub(crate) async fn hand_back(&self, case: &Case) {
        let noted = case.attempts.change(case.attempt, |record| {
            record.snoozes += 1;
            record.unended = 0;
        });
        match noted.await {
            Err(NotKept::Overtaken { .. }) => return self.fenced(case).await,
            Err(error) => tracing::warn!(task = %case.task.id, %error, "hand-back was not noted"),
            Ok(()) => {}
        }
        self.settle(&case.delivery.token, Settle::Nak { delay: Duration::ZERO }).await;
    }

    /// Ends a task for good.
    pub(crate) fn end<'a>(&'a self, case: &'a Case, ending: Ending) -> impl Future<Output = ()> + Send + use<'a> {
        let is_large = ending.payload.as_ref().is_some_and(|payload| payload.bytes.len() > limits::INLINE_BYTES);
        if is_large {
            return Either::Left(rarely(self.end_large(case, ending)));
        }
        Either::Right(self.finish(&case.delivery, self.concluding(case, ending, None), Some(&case.attempts)))
    }

    async fn end_large(&self, case: &Case, mut ending: Ending) {
        // Given up: whoever gets the task next makes the result again.
        let Ok(blob) = self.move_large_result(case, &mut ending).await else { return };
        self.finish(&case.delivery, self.concluding(case, ending, blob), Some(&case.attempts)).await;
    }

    /// What is to be recorded of an ending.
    fn concluding(&self, case: &Case, ending: Ending, blob: Option<String>) -> Box<Concluding> {
        let payload = match (ending.payload, &ending.error) {
            (Some(payload), _) => payload,
            (None, Some(error)) => encode_error(case.task.payload.content_type, error),
            (None, None) => Payload::default(),
        };
        let record = Record {
            outcome: Outcome {
                kind: ending.kind,
                task: case.task.id.clone(),
                skill: self.name.clone(),
                attempt: case.attempt,
                worker: Some(self.worker.clone()),
                nonce: Some(case.nonce.clone()),
                submitted: Some(case.delivery.at),
                started: case.started,
                finished: self.clock.now(),
                code: ending.error.as_ref().map(|error| error.code.clone()),
                usage: ending.usage,
                items: ending.items,
            },
            payload,
            blob,
            ttl: case.policy.outcome_ttl,
            traceparent: case.task.headers.get(name::TRACEPARENT).filter(is_short).map(ToOwned::to_owned),
            reply: case.task.options.reply.clone(),
            line: OnceLock::new(),
        };
        Box::new(Concluding { record, error: ending.error, letter: ending.letter })
    }

    /// Puts a large result into the object store; one that is too large ends the task.
    async fn move_large_result(&self, case: &Case, ending: &mut Ending) -> Result<Option<String>, ()> {
        let Some(payload) = &mut ending.payload else { return Ok(None) };
        // Two processes may have drawn one nonce; neither may replace what the other has named.
        let name = format!("out-{}-{}-{:08x}", self.name, case.nonce, fastrand::u32(..));
        loop {
            match self.blobs.put(&name, &payload.bytes).await {
                Ok(blob) => {
                    payload.bytes = bytes::Bytes::new();
                    return Ok(Some(blob.to_header()));
                }
                // Held like an outcome that has no room: to let it go would be to do the work again.
                Err(error @ BlobError::Store { .. }) => {
                    self.meters.store_full.inc();
                    tracing::error!(task = %case.task.id, %error, "result cannot be stored, holding the task");
                }
                Err(error) => {
                    *ending = Ending::dead(ErrorBody::new(codes::BAD_RESULT, &error.to_string()));
                    return Ok(None);
                }
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(STORE_PAUSE) => {}
                () = self.hard.cancelled() => return Err(()),
            }
        }
    }

    /// Ends a message that is no task.
    pub(crate) async fn refuse(&self, delivery: &Delivery, bad: BadTask) {
        let error = ErrorBody::new(bad.code, &bad.message);
        let record = Record {
            outcome: Outcome {
                kind: OutcomeKind::Dead,
                task: bad.id,
                skill: self.name.clone(),
                attempt: 0,
                worker: Some(self.worker.clone()),
                nonce: Some(self.nonces.next()),
                submitted: Some(delivery.at),
                started: None,
                finished: self.clock.now(),
                code: Some(error.code.clone()),
                usage: Usage::default(),
                items: None,
            },
            payload: encode_error(ContentType::Json, &error),
            blob: None,
            ttl: None,
            traceparent: None,
            reply: None,
            line: OnceLock::new(),
        };
        self.finish(delivery, Box::new(Concluding { record, error: Some(error), letter: None }), None).await;
    }

    async fn finish(&self, delivery: &Delivery, concluding: Box<Concluding>, attempts: Option<&Attempts>) {
        let Concluding { record, error, letter: of_items } = &*concluding;
        let outcome = &record.outcome;
        match record.write(&self.broker, &self.hard, || self.meters.store_full.inc()).await {
            Written::Ours => {}
            Written::Another => return rarely(self.refused(delivery, outcome, attempts)).await,
            Written::GivenUp => return,
            Written::TooLarge => return self.finish_smaller(delivery, record, attempts).await,
        }
        nova_runtime::failpoint::hit("after-outcome");
        if of_items.is_none() && outcome.kind != OutcomeKind::Dead {
            self.settle(&delivery.token, Settle::Ack).await;
        } else {
            rarely(self.settle_dead(delivery, &concluding, attempts)).await;
        }
        nova_runtime::failpoint::hit("after-ack");
        record.tell(&self.broker).await;
        self.meters.finished(outcome.kind).inc();
        if let Some(items) = outcome.items {
            self.meters.count_items(items);
        }
        let kind = match outcome.kind {
            OutcomeKind::Completed => return,
            OutcomeKind::Dead => EventKind::Dead,
            OutcomeKind::Cancelled => EventKind::Cancelled,
        };
        if let Some(error) = error {
            let (task, code) = (&outcome.task, error.code.clone());
            let event = self.events.failure(kind, &self.name, task, outcome.attempt, code, &error.message);
            rarely(self.events.store(event)).await;
        }
    }

    /// Ends a task whose result is larger than the broker takes.
    fn finish_smaller<'a>(
        &'a self,
        delivery: &'a Delivery,
        record: &'a Record,
        attempts: Option<&'a Attempts>,
    ) -> BoxFuture<'a, ()> {
        rarely(self.finish(delivery, too_large(record), attempts))
    }

    /// Posts the letter, then acks. Without its letter the task stays, to be concluded when it comes again; its end is told
    /// all the same.
    async fn settle_dead(&self, delivery: &Delivery, concluding: &Concluding, attempts: Option<&Attempts>) {
        let letter = match (&concluding.letter, &concluding.error) {
            (Some(of_items), _) => Some((**of_items).clone()),
            (None, Some(error)) => {
                Some(self.letter(delivery, &concluding.record.outcome, error, &history(attempts).await))
            }
            (None, None) => None,
        };
        let is_posted = match letter {
            Some(letter) => self.post(letter).await,
            None => true,
        };
        if is_posted {
            self.settle(&delivery.token, Settle::Ack).await;
        } else {
            self.put_off(&delivery.token).await;
        }
    }

    /// Another's outcome stands: ours counts for nothing, and the message is done with.
    async fn refused(&self, delivery: &Delivery, outcome: &Outcome, attempts: Option<&Attempts>) {
        self.meters.fenced.inc();
        let event = self.events.failure(
            EventKind::Fenced,
            &self.name,
            &outcome.task,
            outcome.attempt,
            "fenced".into(),
            "another outcome was recorded first",
        );
        self.events.store(event).await;
        match self.stored_outcome(&outcome.task).await {
            Ok(Some(stored)) => {
                if self.has_letter(delivery, &stored, &history(attempts).await).await {
                    self.settle(&delivery.token, Settle::Ack).await;
                }
            }
            _ => self.put_off(&delivery.token).await,
        }
    }

    /// An attempt that lost its lease says so and leaves the task to whoever holds it now.
    async fn fenced(&self, case: &Case) {
        self.meters.fenced.inc();
        let (task, attempt) = (&case.task.id, case.attempt);
        let message = "the lease ended before the attempt did";
        let event = self.events.failure(EventKind::Fenced, &self.name, task, attempt, "lease_lost".into(), message);
        self.events.store(event).await;
    }

    /// A redelivered task that has its outcome: completes what may be missing behind it.
    pub(crate) async fn conclude(&self, case: &Case, stored: &Stored) {
        let history = case.attempts.record().await;
        if self.has_letter(&case.delivery, stored, &history).await {
            self.settle(&case.delivery.token, Settle::Ack).await;
            tell_again(&self.broker, stored, case.task.options.reply.as_deref()).await;
        } else {
            self.put_off(&case.delivery.token).await;
        }
    }
}

/// What is known of the attempts; a message that is no task had none.
async fn history(attempts: Option<&Attempts>) -> AttemptRecord {
    match attempts {
        Some(attempts) => attempts.record().await,
        None => AttemptRecord::default(),
    }
}

/// The end of a task whose result is larger than the broker takes.
fn too_large(record: &Record) -> Box<Concluding> {
    let error = ErrorBody::new(codes::BAD_RESULT, "the result is larger than the broker takes");
    let outcome = record.outcome.clone();
    let smaller = Record {
        outcome: Outcome { kind: OutcomeKind::Dead, code: Some(error.code.clone()), items: None, ..outcome },
        payload: encode_error(record.payload.content_type, &error),
        blob: None,
        line: OnceLock::new(),
        ..record.clone()
    };
    Box::new(Concluding { record: smaller, error: Some(error), letter: None })
}

fn is_short(text: &&str) -> bool {
    text.len() <= limits::TRACE_BYTES
}

fn encode_error(content_type: ContentType, error: &ErrorBody) -> Payload {
    Payload::encode(content_type, error).expect("an error body is plain data")
}
