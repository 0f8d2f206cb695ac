//! Submitting one task.

use futures_util::FutureExt as _;
use nova_broker::{Expect, Message, PublishError};
use nova_types::{Name, Priority, Skill, TaskId};
use nova_wire::{ContentType, EncodeError, Headers, InvalidBundle, Payload, TaskOptions, name, split_bundle, subject};
use serde::Serialize;

use crate::{Client, Guard, Standing, SubmitError};

/// What a task is to be called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SubmitId {
    /// A new name in the client's scope: a UUIDv7.
    #[default]
    New,
    /// This name in the client's scope.
    Name(Name),
    /// This id, whatever its scope.
    Id(TaskId),
}

impl From<Name> for SubmitId {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

impl From<TaskId> for SubmitId {
    fn from(id: TaskId) -> Self {
        Self::Id(id)
    }
}

/// A task to submit.
#[derive(Debug, Clone, PartialEq)]
pub struct Submit {
    /// Which skill it is for.
    pub skill: Skill,
    /// What it is to be called.
    pub id: SubmitId,
    /// How urgent it is.
    pub priority: Priority,
    /// Its input.
    pub payload: Payload,
    /// What it asks for beside its skill's policy.
    pub options: TaskOptions,
    /// The trace it belongs to, as W3C `traceparent`.
    pub traceparent: Option<String>,
    /// The same of `tracestate`.
    pub tracestate: Option<String>,
    /// Further headers, carried to the worker untouched; none that begins with `Nova-` or `Nats-`.
    pub headers: Headers,
    /// What its key promises, when it has one.
    pub guard: Option<Guard>,
}

impl Submit {
    /// A task of normal priority under a new id.
    #[must_use]
    pub fn new(skill: Skill, payload: Payload) -> Self {
        Self {
            skill,
            id: SubmitId::New,
            priority: Priority::Normal,
            payload,
            options: TaskOptions::default(),
            traceparent: None,
            tracestate: None,
            headers: Headers::new(),
            guard: None,
        }
    }

    /// The same with a JSON input.
    ///
    /// # Errors
    /// [`EncodeError`] when the value has no JSON form.
    pub fn json<T: Serialize + ?Sized>(skill: Skill, input: &T) -> Result<Self, EncodeError> {
        Ok(Self::new(skill, Payload::encode(ContentType::Json, input)?))
    }

    /// The same with a MessagePack input, the faster of the two.
    ///
    /// # Errors
    /// [`EncodeError`] when the value has no MessagePack form.
    pub fn msgpack<T: Serialize + ?Sized>(skill: Skill, input: &T) -> Result<Self, EncodeError> {
        Ok(Self::new(skill, Payload::encode(ContentType::MsgPack, input)?))
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

    /// The same under an idempotency key: however often a task of this skill, scope and key is submitted, by whichever
    /// client, there is one, for as long as `ttl` says. The others are answered with that one's id.
    ///
    /// It holds beyond the broker's dedupe window and beyond the outcome. Another input under the same key is refused as
    /// [`SubmitError::Conflict`]. Clients share keys that share their scope: give yours a name of its own.
    #[must_use]
    pub fn once(mut self, key: impl Into<String>, ttl: std::time::Duration) -> Self {
        self.guard = Some(Guard::Once { key: key.into(), ttl });
        self
    }

    /// The same as a unique task: while one of this skill, scope and key waits or runs, no other is taken, and the submit
    /// is answered with that one's id. It holds its key for 30 days at most.
    #[must_use]
    pub fn unique(mut self, key: impl Into<String>) -> Self {
        self.guard = Some(Guard::Unique { key: key.into() });
        self
    }

    /// The same with the key whose turn it waits for, of a keyed skill: tasks of one key run in the order they were
    /// submitted. Another skill refuses it as [`SubmitError::NotKeyed`]. Options given later replace it.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.options.key = Some(key.into());
        self
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: TaskOptions) -> Self {
        self.options = options;
        self
    }
}

/// How often, and with which pauses, a queue that has no leader is tried again: elections take 4 to 9 s.
const LEADER_TRIES: u32 = 24;
const LEADER_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// The broker has the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Its id.
    pub task: TaskId,
    /// Which skill it is for.
    pub skill: Skill,
    /// The stream that holds it.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// Whether a task of that id was submitted within the dedupe window before, so that this one was dropped.
    pub is_duplicate: bool,
    /// Set when another task has the key: `task` is that one, and nothing was submitted. A task found before it reached
    /// its queue has just been put there.
    pub existing: Option<Standing>,
}

/// A task ready to be sent, and to be sent again.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) task: TaskId,
    pub(crate) skill: Skill,
    pub(crate) priority: Priority,
    /// Without the dedupe key, which only a submit has.
    pub(crate) headers: Headers,
    pub(crate) body: bytes::Bytes,
}

impl Client {
    /// Submits one task and waits for the broker's receipt.
    ///
    /// A lost receipt is asked for again under the same dedupe key. Payloads over 256 KiB go through the object store.
    ///
    /// # Errors
    /// [`SubmitError`]. Only [`SubmitError::NoReceipt`] leaves it open whether the task is stored; submitting it again
    /// under the same id is safe: within the dedupe window the broker drops the copy, later only one of the two
    /// outcomes is taken, though the work may be done twice.
    ///
    /// # Cancel safety
    /// A dropped call leaves it open whether the task is stored.
    pub async fn submit(&self, mut submit: Submit) -> Result<Submitted, SubmitError> {
        if let Some(guard) = submit.guard.take() {
            return self.submit_guarded(submit, &guard).boxed().await;
        }
        let prepared = self.prepare(submit).await?;
        self.send(prepared).await
    }

    /// Checks a task, names it and moves a large payload to the object store.
    ///
    /// All but the move is done at once: what is kept over an await, each of many waiting submits keeps.
    pub(crate) fn prepare(
        &self,
        submit: Submit,
    ) -> impl Future<Output = Result<Prepared, SubmitError>> + Send + use<'_> {
        let laid_out = self.lay_out(submit);
        async move {
            match laid_out? {
                (prepared, None) => Ok(prepared),
                (mut prepared, Some(large)) => {
                    prepared.headers.set(name::BLOB, self.put_input(&prepared.task, &large).boxed().await?);
                    Ok(prepared)
                }
            }
        }
    }

    /// The message of a task, and its payload where that is too large for one.
    fn lay_out(&self, submit: Submit) -> Result<(Prepared, Option<bytes::Bytes>), SubmitError> {
        let task = self.checked_name(&submit)?;
        if submit.guard.is_some() {
            let what = "a key cannot be combined with a schedule".to_owned();
            return Err(SubmitError::BadTask { task, what });
        }
        let Submit { skill, priority, payload, options, traceparent, tracestate, mut headers, .. } = submit;
        options.write(&mut headers);
        for (key, value) in [(name::TRACEPARENT, traceparent), (name::TRACESTATE, tracestate)] {
            if let Some(value) = value {
                headers.set(key, value);
            }
        }
        let (body, large) = self.split_off_large(&mut headers, payload);
        Ok((Prepared { task, skill, priority, headers, body }, large))
    }

    /// The body of a message, and what is too large to be one.
    fn split_off_large(&self, headers: &mut Headers, payload: Payload) -> (bytes::Bytes, Option<bytes::Bytes>) {
        if payload.content_type != ContentType::Json {
            headers.set(name::CONTENT_TYPE, payload.content_type.as_str());
        }
        if payload.bytes.len() <= self.inner.options.inline_bytes {
            (payload.bytes, None)
        } else {
            (bytes::Bytes::new(), Some(payload.bytes))
        }
    }

    async fn put_input(&self, task: &TaskId, payload: &bytes::Bytes) -> Result<String, SubmitError> {
        // A name of its own, whatever the id: a second submit of the same id must not change the first one's input.
        let key = format!("in-{}", uuid::Uuid::now_v7().simple());
        let blob = self.inner.blobs.put(&key, payload).await;
        blob.map(|blob| blob.to_header()).map_err(|source| SubmitError::from_blob(task, source))
    }

    /// Puts a payload into a message: inline, or in the object store with a reference.
    pub(crate) async fn carry(
        &self,
        task: &TaskId,
        mut headers: Headers,
        payload: Payload,
    ) -> Result<(Headers, bytes::Bytes), SubmitError> {
        let (body, large) = self.split_off_large(&mut headers, payload);
        if let Some(large) = large {
            headers.set(name::BLOB, self.put_input(task, &large).boxed().await?);
        }
        Ok((headers, body))
    }

    pub(crate) async fn send(&self, prepared: Prepared) -> Result<Submitted, SubmitError> {
        let Prepared { task, skill, priority, mut headers, body } = prepared;
        headers.set(name::MSG_ID, task.to_string());
        let tries = self.inner.options.receipt_tries.max(1);
        let (mut sent, mut refused) = (1, 0);
        loop {
            let subject = subject::task_for(&skill, priority, &headers);
            let message = Message::new(subject, body.clone()).with_headers(headers.clone());
            match self.inner.broker.publish(message, Expect::Any).await {
                Ok(receipt) => {
                    return Ok(Submitted {
                        task,
                        skill,
                        stream: receipt.stream,
                        sequence: receipt.sequence,
                        // On a later try the first copy is our own.
                        is_duplicate: receipt.is_duplicate && sent == 1,
                        existing: None,
                    });
                }
                Err(PublishError::Unknown { .. }) if sent < tries => {
                    tracing::warn!(task = %task, skill = %skill, sent, "no receipt for a submit: sending it again");
                    sent += 1;
                }
                // While a replicated queue has no leader nobody answers for it, as if it were not there.
                Err(PublishError::NoStream { .. })
                    if refused < LEADER_TRIES && self.has_queue(&skill, &headers).await =>
                {
                    tracing::warn!(task = %task, skill = %skill, "the queue has no leader: submitting again");
                    refused += 1;
                    tokio::time::sleep(LEADER_PAUSE).await;
                }
                // An earlier try may be stored, whatever is said of the last one.
                Err(source) if sent > 1 => {
                    return Err(SubmitError::NoReceipt { task, skill, source: Box::new(source) });
                }
                Err(error) => return Err(self.explain_refusal(task, skill, &headers, error).boxed().await),
            }
        }
    }

    /// The id of a task that a worker would take.
    pub(crate) fn checked_name(&self, submit: &Submit) -> Result<TaskId, SubmitError> {
        let task = self.name(submit);
        check(&task, submit)?;
        Ok(task)
    }

    fn name(&self, submit: &Submit) -> TaskId {
        let name = match &submit.id {
            SubmitId::Id(id) => return id.clone(),
            SubmitId::Name(name) => name.clone(),
            SubmitId::New => self.inner.names.draw(self.now()),
        };
        TaskId::new(self.inner.scope.clone(), name)
    }
}

/// Refuses what a worker would only turn into a dead letter.
fn check(task: &TaskId, submit: &Submit) -> Result<(), SubmitError> {
    let bad = |what: String| SubmitError::BadTask { task: task.clone(), what };
    if !task.scope().is_for_clients() {
        return Err(bad(format!("scope `{}` is Nova's own", task.scope())));
    }
    let reserved = |key: &str| {
        let key = key.to_ascii_lowercase();
        key.starts_with("nova-") || key.starts_with("nats-")
    };
    if let Some((key, _)) = submit.headers.iter().find(|(key, _)| reserved(key)) {
        return Err(bad(format!("header {key} is not for clients to set")));
    }
    if submit.options != TaskOptions::default() {
        let mut written = Headers::new();
        submit.options.write(&mut written);
        TaskOptions::from_headers(&written).map_err(bad)?;
    }
    let refused = |source| SubmitError::BadInput { task: task.clone(), source };
    match submit.options.bundle {
        None => submit.payload.validate().map_err(refused),
        Some(items) => split_bundle(&submit.payload, items).map(|_| ()).map_err(|error| match error {
            InvalidBundle::Body(source) => refused(source),
            error => bad(error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str) -> (TaskId, Submit) {
        let skill = Skill::new("echo").expect("a skill");
        (id.parse().expect("an id"), Submit::json(skill, &1).expect("encodes"))
    }

    #[track_caller]
    fn check_code(id: &str, change: impl FnOnce(&mut Submit), code: Option<&str>) {
        let (id, mut submit) = task(id);
        change(&mut submit);
        assert_eq!(check(&id, &submit).err().map(|error| error.code()), code);
    }

    #[test]
    fn what_would_only_die_is_refused_at_submit() {
        check_code("a.b", |_| {}, None);
        check_code("_seq.7", |_| {}, Some("bad_task"));
        check_code("a.b", |s| s.headers.push("nova-id", "x"), Some("bad_task"));
        check_code("a.b", |s| s.headers.push("X-Mine", "x"), None);
        check_code("a.b", |s| s.payload = Payload::json("{"), Some("bad_input"));
        check_code("a.b", |s| s.payload = Payload::json(vec![b'['; 500]), Some("too_deep"));
        check_code("a.b", |s| s.payload = Payload::default(), None);
        check_code("a.b", |s| _ = s.options.labels.insert("a b".into(), "c".into()), Some("bad_task"));
        check_code("a.b", |s| s.options.key = Some("order/7".into()), None);
        check_code("a.b", |s| s.options.key = Some(String::new()), Some("bad_task"));
        check_code("a.b", |s| s.options.max_attempts = Some(0), Some("bad_task"));
    }
}
