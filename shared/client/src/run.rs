//! Starting runs and giving them orders.
//!
//! A run is a task of the skill `nova-run`, so whatever can be done with a task can be done with a run: submitting it
//! starts it, its outcome is the run's end, its cancel ends it.

use std::time::Duration;

use nova_broker::{Expect, Message, PublishError};
use nova_types::{Name, Priority, RunId, StepId, TaskId, WorkflowName, run_skill};
use nova_wire::{EncodeError, Headers, TaskOptions, name, subject};
use nova_workflow::{Order, Restart, StartRequest};
use serde::Serialize;

use crate::submit::SubmitId;
use crate::{CancelAccepted, Client, QueryError, Submit, SubmitError, TaskOutcome, WaitError};

/// A run to start.
#[derive(Debug, Clone, PartialEq)]
pub struct StartRun {
    /// Which workflow, with which input.
    pub request: StartRequest,
    /// What its task is to be called; a run that is started twice under one id within a moment starts once.
    pub id: SubmitId,
    /// How urgent it is.
    pub priority: Priority,
    /// Its deadline, labels and what else a task may ask for.
    pub options: TaskOptions,
}

impl StartRun {
    /// A run of the workflow's present version, under a new id.
    ///
    /// # Errors
    /// [`EncodeError`] when the input has no JSON form.
    pub fn new<T: Serialize + ?Sized>(workflow: WorkflowName, input: &T) -> Result<Self, EncodeError> {
        let input = nova_wire::Payload::encode(nova_wire::ContentType::Json, input)?;
        let input = serde_json::from_slice(&input.bytes).expect("what was just encoded is JSON");
        Ok(StartRequest { workflow, version: None, input, restart: None }.into())
    }

    /// The same under another id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<SubmitId>) -> Self {
        self.id = id.into();
        self
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: TaskOptions) -> Self {
        self.options = options;
        self
    }
}

/// The task that the run is.
impl From<StartRun> for Submit {
    fn from(start: StartRun) -> Self {
        let submit = Self::json(run_skill(), &start.request).expect("a record with text keys always encodes");
        submit.with_id(start.id).with_priority(start.priority).with_options(start.options)
    }
}

impl From<StartRequest> for StartRun {
    fn from(request: StartRequest) -> Self {
        Self { request, id: SubmitId::New, priority: Priority::Normal, options: TaskOptions::default() }
    }
}

/// The broker has the run; a coordinator starts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartedRun {
    /// The run.
    pub run: RunId,
    /// The task that it is.
    pub task: TaskId,
    /// Whether a run of that id was started a moment before, so that this one was dropped.
    pub is_duplicate: bool,
}

/// An answer to an approval step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The step.
    pub step: StepId,
    /// The hash of what was looked at; an answer for anything else is ignored.
    pub hash: String,
    /// Who says so.
    pub by: Option<String>,
    /// A word with it.
    pub note: Option<String>,
}

impl From<Answer> for Order {
    fn from(answer: Answer) -> Self {
        let Answer { step, hash, by, note } = answer;
        Self { step: Some(step), hash: Some(hash), by, note, ..Self::default() }
    }
}

/// The broker has the order: it will be heeded whoever is down now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderAccepted {
    /// Its sequence, by which the run's history names it.
    pub sequence: u64,
}

impl Client {
    /// Starts a run.
    ///
    /// `Ok` says that the request is stored. Whether the workflow exists and its input fits is the coordinator's to say:
    /// a run that cannot start ends as `dead`, and its outcome says why.
    ///
    /// # Errors
    /// [`SubmitError`], as of [`submit`](Self::submit).
    pub async fn start_run(&self, start: impl Into<StartRun>) -> Result<StartedRun, SubmitError> {
        let submitted = self.submit(Submit::from(start.into())).await?;
        let run = RunId::of(&submitted.task);
        Ok(StartedRun { run, task: submitted.task, is_duplicate: submitted.is_duplicate })
    }

    /// Starts a run and waits for its end, listening before it is sent.
    ///
    /// # Errors
    /// [`WaitError`]; [`WaitError::Submit`] when it was not started. After [`WaitError::TimedOut`] the run goes on.
    pub async fn start_run_and_wait(
        &self,
        start: impl Into<StartRun>,
        timeout: Duration,
    ) -> Result<TaskOutcome, WaitError> {
        self.submit_and_wait(Submit::from(start.into()), timeout).await
    }

    /// Waits for a run's end; its result is the outcome's.
    ///
    /// # Errors
    /// [`WaitError`]; safe to call again.
    pub async fn wait_run(&self, task: &TaskId, timeout: Duration) -> Result<TaskOutcome, WaitError> {
        self.wait(&run_skill(), task, timeout).await
    }

    /// Makes a new run that takes over what an earlier one completed, to be started by [`start_run`](Self::start_run).
    ///
    /// It is pinned to the earlier run's version, unless `version` names another one (its hash).
    ///
    /// # Errors
    /// [`QueryError::UnknownRun`] when there is no such run, [`QueryError::Broker`]; safe to call again.
    pub async fn restart_run(
        &self,
        restart: Restart,
        input: serde_json::Value,
        version: Option<String>,
    ) -> Result<StartRun, QueryError> {
        let old = self.run_summary(&restart.run).await?.summary;
        let version = Some(version.unwrap_or(old.version));
        Ok(StartRequest { workflow: old.workflow, version, input, restart: Some(restart) }.into())
    }

    /// Asks for a run's end; the outcome decides whether it came in time. Finished steps are undone as the workflow says.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again.
    pub async fn cancel_run(&self, task: &TaskId) -> Result<CancelAccepted, QueryError> {
        self.cancel(&run_skill(), task).await
    }

    /// Sends a signal to a run.
    ///
    /// A signal that comes before its step waits for it.
    ///
    /// # Errors
    /// [`QueryError::Write`]. Calling it again sends a second signal.
    pub async fn signal(
        &self,
        task: &TaskId,
        signal: impl Into<String>,
        data: serde_json::Value,
        by: Option<String>,
    ) -> Result<OrderAccepted, QueryError> {
        let order = Order { signal: Some(signal.into()), data, by, ..Order::default() };
        self.order("signal", task, &order).await
    }

    /// Approves what an approval step waits for.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again: only the first answer counts.
    pub async fn approve(&self, task: &TaskId, answer: Answer) -> Result<OrderAccepted, QueryError> {
        self.order("approve", task, &answer.into()).await
    }

    /// Refuses what an approval step waits for.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again: only the first answer counts.
    pub async fn reject(&self, task: &TaskId, answer: Answer) -> Result<OrderAccepted, QueryError> {
        self.order("reject", task, &answer.into()).await
    }

    /// Lets a run start nothing new until it is resumed.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again.
    pub async fn pause_run(&self, task: &TaskId) -> Result<OrderAccepted, QueryError> {
        self.order("pause", task, &Order::default()).await
    }

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// [`QueryError::Write`]; safe to call again.
    pub async fn resume_run(&self, task: &TaskId) -> Result<OrderAccepted, QueryError> {
        self.order("resume", task, &Order::default()).await
    }

    async fn order(&self, verb: &str, task: &TaskId, order: &Order) -> Result<OrderAccepted, QueryError> {
        let body = serde_json::to_vec(order).expect("a record with text keys always encodes");
        // A name of its own, so that an order whose receipt was lost is stored once however often it is sent.
        let id = Name::new(format!("order-{}", uuid::Uuid::now_v7().simple())).expect("letters and digits");
        let headers = Headers::new().with(name::MSG_ID, id.to_string());
        let message = Message::new(subject::order(verb, task), body).with_headers(headers);
        let tries = self.inner.options.receipt_tries.max(1);
        let mut sent = 1;
        loop {
            match self.inner.broker.publish(message.clone(), Expect::Any).await {
                Ok(receipt) => return Ok(OrderAccepted { sequence: receipt.sequence }),
                Err(PublishError::Unknown { .. }) if sent < tries => sent += 1,
                Err(source) => {
                    return Err(QueryError::Write { what: format!("{verb} run {}", RunId::of(task)), source });
                }
            }
        }
    }
}
