//! Waiting for outcomes: one subscription for each scope, and the record itself as the fallback.
//!
//! Listening begins before the first look at the record, so that no end falls between. Core messages may be lost, so
//! every waiter looks again from time to time and after each reconnect.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::Either;
use futures_util::{FutureExt as _, StreamExt as _};
use nova_broker::{BlobError, BrokerError, Message};
use nova_types::{Scope, Skill, TaskId};
use nova_wire::{Ended, InvalidBundle, assets, subject};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::outcome::{InvalidRecord, RawOutcome};
use crate::submit::{Prepared, SubmitId};
use crate::{Client, Submit, SubmitError, TaskOutcome};

/// The longest pause between two looks at the record: what a lost notice may cost at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A wait that brought no outcome.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// The task has not ended in time; it goes on.
    #[error("task {task} of skill `{skill}` has not ended within {after_ms} ms")]
    TimedOut {
        /// The task.
        task: TaskId,
        /// Its skill.
        skill: Skill,
        /// How long it was waited for.
        after_ms: u64,
    },
    /// Its key was given away before, and the outcome of the task that has it is not kept any more; or that task has
    /// waited longer than outcomes are kept, and whether it has ended cannot be seen.
    #[error("task {task} of skill `{skill}` has the key, and its outcome is not kept any more{}", how(.ended.as_ref()))]
    Forgotten {
        /// The task.
        task: TaskId,
        /// Its skill.
        skill: Skill,
        /// How it ended, where somebody saw it.
        ended: Option<Ended>,
    },
    /// The task could not be submitted.
    #[error("could not submit the task to wait for")]
    Submit(#[source] SubmitError),
    /// The broker refused to be listened to or read.
    #[error("could not wait for task {task}")]
    Broker {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// It ended, but its large result could not be read.
    #[error("task {task} ended, but its result could not be read")]
    Result {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<BlobError>,
    },
    /// It ended, but what its items came to cannot be understood.
    #[error("task {task} ended, but the ends of its items cannot be understood")]
    Items {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: Box<InvalidBundle>,
    },
    /// It ended, but its record cannot be understood.
    #[error("task {task} ended, but its record cannot be understood")]
    Garbled {
        /// The task.
        task: TaskId,
        /// Why.
        #[source]
        source: InvalidRecord,
    },
}

fn how(ended: Option<&Ended>) -> String {
    let told = |ended: &Ended| format!(": it {} at {}", ended.kind, nova_wire::format_rfc3339(ended.finished));
    ended.map(told).unwrap_or_default()
}

impl WaitError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "wait_timeout",
            Self::Forgotten { .. } => "outcome_forgotten",
            Self::Submit(source) => source.code(),
            Self::Broker { .. } => "broker",
            Self::Result { .. } => "bad_blob",
            Self::Garbled { .. } | Self::Items { .. } => "garbled_record",
        }
    }

    /// Whether waiting again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::TimedOut { .. } => true,
            Self::Submit(source) => source.is_transient(),
            Self::Broker { source, .. } => source.is_transient(),
            Self::Result { source, .. } => source.is_transient(),
            Self::Forgotten { .. } | Self::Garbled { .. } | Self::Items { .. } => false,
        }
    }
}

type Waiters = HashMap<String, Vec<(u64, oneshot::Sender<Message>)>>;

/// One scope's subscription and who waits on it.
pub(crate) struct Hub {
    waiters: Arc<Mutex<Waiters>>,
    next: AtomicU64,
    is_open: Arc<AtomicBool>,
    reader: tokio::task::JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A place among the waiters; given up when dropped.
pub(crate) struct Ticket {
    hub: Arc<Hub>,
    subject: String,
    number: u64,
    notice: oneshot::Receiver<Message>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut waiters = self.hub.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = waiters.get_mut(&self.subject) {
            here.retain(|(number, _)| *number != self.number);
            if here.is_empty() {
                waiters.remove(&self.subject);
            }
        }
    }
}

/// When a waiter first looks at the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstLook {
    /// At once: the task may have ended already.
    Now,
    /// After a while: the task did not exist when listening began.
    Later,
}

/// What comes of it until then.
async fn within<T>(until: Option<Instant>, future: impl Future<Output = T>) -> Option<T> {
    match until {
        Some(until) => tokio::time::timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}

impl Client {
    /// Waits for a task's outcome and fetches its result, wherever that is kept.
    ///
    /// # Errors
    /// [`WaitError`]; safe to call again.
    ///
    /// # Cancel safety
    /// Nothing is lost: the outcome can be waited for again.
    pub async fn wait(&self, skill: &Skill, task: &TaskId, timeout: Duration) -> Result<TaskOutcome, WaitError> {
        let ticket = self.register(skill, task).await?;
        self.wait_on(ticket, skill, task, FirstLook::Now, timeout).await
    }

    /// Submits a task and waits for its outcome, listening before it is sent.
    ///
    /// # Errors
    /// [`WaitError`]; [`WaitError::Submit`] when it was not submitted. After [`WaitError::TimedOut`] the task goes on.
    pub fn submit_and_wait(
        &self,
        mut submit: Submit,
        timeout: Duration,
    ) -> impl Future<Output = Result<TaskOutcome, WaitError>> + Send + use<'_> {
        if let Some(guard) = submit.guard.take() {
            let guarded = async move { self.submit_guarded_and_wait(submit, &guard, timeout).await };
            return Either::Left(guarded.boxed());
        }
        let first = if submit.id == SubmitId::New { FirstLook::Later } else { FirstLook::Now };
        Either::Right(self.send_and_wait(self.prepare(submit), first, timeout))
    }

    async fn send_and_wait(
        &self,
        preparing: impl Future<Output = Result<Prepared, SubmitError>> + Send,
        first: FirstLook,
        timeout: Duration,
    ) -> Result<TaskOutcome, WaitError> {
        let prepared = preparing.await.map_err(WaitError::Submit)?;
        let ticket = self.register(&prepared.skill, &prepared.task).await?;
        let submitted = self.send(prepared).await.map_err(WaitError::Submit)?;
        self.wait_on(ticket, &submitted.skill, &submitted.task, first, timeout).await
    }

    /// Takes a place among the waiters; whatever ends from now on is heard.
    pub(crate) async fn register(&self, skill: &Skill, task: &TaskId) -> Result<Ticket, WaitError> {
        let hub = self.hub(task.scope()).await;
        let hub = hub.map_err(|source| WaitError::Broker { task: task.clone(), source })?;
        let subject = subject::done(skill, task);
        let number = hub.next.fetch_add(1, Ordering::Relaxed);
        let (sender, notice) = oneshot::channel();
        let mut waiters = hub.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.entry(subject.clone()).or_default().push((number, sender));
        drop(waiters);
        Ok(Ticket { hub, subject, number, notice })
    }

    async fn hub(&self, scope: &Scope) -> Result<Arc<Hub>, BrokerError> {
        let mut hubs = self.inner.hubs.lock().await;
        if let Some(hub) = hubs.get(scope).filter(|hub| hub.is_open.load(Ordering::Acquire)) {
            return Ok(hub.clone());
        }
        let mut listener = self.inner.broker.listen(subject::done_of_scope(scope), None).await?;
        let waiters: Arc<Mutex<Waiters>> = Arc::default();
        let is_open = Arc::new(AtomicBool::new(true));
        let reader = tokio::spawn({
            let (waiters, is_open) = (waiters.clone(), is_open.clone());
            async move {
                while let Some(message) = listener.next().await {
                    let here = waiters.lock().unwrap_or_else(PoisonError::into_inner).remove(&message.subject);
                    for (_, sender) in here.into_iter().flatten() {
                        // A waiter that has gone needs no notice.
                        let _ = sender.send(message.clone());
                    }
                }
                is_open.store(false, Ordering::Release);
                waiters.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        });
        let hub = Arc::new(Hub { waiters, next: AtomicU64::new(0), is_open, reader });
        hubs.insert(scope.clone(), hub.clone());
        Ok(hub)
    }

    pub(crate) async fn wait_on(
        &self,
        ticket: Ticket,
        skill: &Skill,
        task: &TaskId,
        first: FirstLook,
        timeout: Duration,
    ) -> Result<TaskOutcome, WaitError> {
        let until = Instant::now().checked_add(timeout);
        let late = || {
            let after_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            WaitError::TimedOut { task: task.clone(), skill: skill.clone(), after_ms }
        };
        let raw = self.hear_or_see(ticket, skill, task, first, until).await?.ok_or_else(late)?;
        let fetched = within(until, raw.fetch(&self.inner.blobs)).await.ok_or_else(late)?;
        fetched.map_err(|source| WaitError::Result { task: task.clone(), source: Box::new(source) })
    }

    /// The end of a task, however long it takes; `None` when it can never be read.
    pub(crate) async fn end_of(&self, ticket: Ticket, skill: &Skill, task: &TaskId) -> Option<RawOutcome> {
        self.hear_or_see(ticket, skill, task, FirstLook::Now, None).await.ok()?
    }

    /// The end of a task; `None` when it has not come until then.
    async fn hear_or_see(
        &self,
        mut ticket: Ticket,
        skill: &Skill,
        task: &TaskId,
        first: FirstLook,
        until: Option<Instant>,
    ) -> Result<Option<RawOutcome>, WaitError> {
        let mut pause = self.inner.options.check_every;
        let mut next_look = match first {
            FirstLook::Now => Instant::now(),
            FirstLook::Later => Instant::now() + pause,
        };
        let mut connection = self.inner.broker.connection();
        connection.mark_unchanged();
        let (mut hears, mut sees_connection) = (true, true);
        loop {
            tokio::select! {
                biased;
                notice = &mut ticket.notice, if hears => {
                    hears = false;
                    next_look = Instant::now();
                    // A notice that cannot be read still says where to look.
                    if let Ok(message) = notice
                        && let Ok(raw) = RawOutcome::parse(&message.headers, message.body)
                    {
                        return Ok(Some(raw));
                    }
                }
                changed = connection.changed(), if sees_connection => {
                    sees_connection = changed.is_ok();
                    if sees_connection && connection.borrow_and_update().is_up {
                        next_look = Instant::now();
                    }
                }
                // One timer for both: each costs as much as the notice.
                () = tokio::time::sleep_until(until.map_or(next_look, |until| until.min(next_look))) => {
                    if until.is_some_and(|until| until <= next_look) {
                        return Ok(None);
                    }
                    // On the heap, as it is rare: each waiter would else have room for it.
                    let Some(looked) = within(until, self.look(skill, task)).boxed().await else { return Ok(None) };
                    match looked {
                        Ok(Some(raw)) => return Ok(Some(raw)),
                        Ok(None) => {}
                        Err(WaitError::Broker { source, .. }) if source.is_transient() => {}
                        Err(error) => return Err(error),
                    }
                    next_look = Instant::now() + pause;
                    pause = (pause * 2).min(LONGEST_PAUSE.max(self.inner.options.check_every));
                }
            }
        }
    }

    /// The record as it stands now.
    pub(crate) async fn look(&self, skill: &Skill, task: &TaskId) -> Result<Option<RawOutcome>, WaitError> {
        let _turn = self.inner.reads.acquire().await.expect("the semaphore is never closed");
        let stored = self.inner.broker.last(assets::OUTCOMES.to_owned(), subject::outcome(skill, task)).await;
        let stored = stored.map_err(|source| WaitError::Broker { task: task.clone(), source })?;
        // The mark of an expired record is no record.
        let stored = stored.filter(|stored| stored.headers.get("Nats-Marker-Reason").is_none());
        let parsed = stored.map(|stored| RawOutcome::parse(&stored.headers, stored.body)).transpose();
        parsed.map_err(|source| WaitError::Garbled { task: task.clone(), source })
    }
}
