//! Ask and wait: `nova.call.<skill>` publishes a task and answers with its outcome.
//!
//! The request is the task: same body, same headers, the id in `Nats-Msg-Id` or made here. `Nova-Call-Timeout` says how
//! long to wait (default 30 s; ask with a longer timeout than that). The answer is the outcome's body with its
//! `Nova-Outcome` header. A wait that ends before the task does is answered with the header `Nova-Call: 202;task="<id>"`
//! and the body `{"task":"<id>"}`: the task goes on and its outcome can be read later. A refusal has the headers
//! `Nats-Service-Error-Code` (400 bad request, 404 no such skill, 413 too large, 429 too many calls or a full queue, 503
//! broker not reached: the task may run) and `Nats-Service-Error`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::{Blobs, BrokerError, Expect, Listener, Message};
use nova_runtime::Metric;
use nova_types::{DurationText, Name, Priority, Scope, Skill, TaskId};
use nova_wire::{CALL_PENDING_STATUS, Headers, Task, limits, name, subject};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::Parts;
use crate::record::outcome_of;
use crate::refusal::Refusal;

/// How long the caller wants to wait.
pub const TIMEOUT_HEADER: &str = "Nova-Call-Timeout";
/// On an answer: the wait ended before the task did.
pub const PENDING_HEADER: &str = "Nova-Call";

/// The longest a caller may wait: what takes longer is better watched than waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How the part works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How many calls may wait at once. Default 10,000.
    pub waiting: usize,
    /// How long a call waits unless it says otherwise. Default 30 s.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { waiting: 10_000, timeout: Duration::from_secs(30) }
    }
}

/// The calls of one coordinator.
pub(crate) struct Calls {
    parts: Parts,
    options: Options,
    /// The scope of the ids made here: one wildcard subscription hears all their ends.
    scope: Scope,
    waits: Mutex<HashMap<TaskId, oneshot::Sender<Message>>>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
}

/// A call, checked.
struct Request {
    skill: Skill,
    id: TaskId,
    is_own_id: bool,
    wait: Duration,
    headers: Headers,
}

impl Calls {
    pub(crate) fn new(parts: Parts, options: Options, stop: CancellationToken) -> Self {
        let scope = Scope::new(format!("c{:012x}", fastrand::u64(..) >> 16)).expect("letters and digits");
        let slots = Arc::new(Semaphore::new(options.waiting.min(Semaphore::MAX_PERMITS)));
        Self { parts, options, scope, waits: Mutex::default(), slots, stop }
    }

    /// Listens to the ends of the tasks named here; give each to [`wake`](Self::wake).
    pub(crate) async fn listen(&self) -> Result<Listener, BrokerError> {
        self.parts.broker.listen(subject::done_of_scope(&self.scope), None).await
    }

    /// Hands an end to the call that waits for it.
    pub(crate) fn wake(&self, end: Message) {
        let Some((_, id)) = subject::parse_done(&end.subject) else { return };
        let waiting = self.lock().remove(&id);
        if let Some(waiting) = waiting {
            // A caller that gave up meanwhile needs no answer.
            let _ = waiting.send(end);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TaskId, oneshot::Sender<Message>>> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a call out and makes its answer.
    pub(crate) async fn handle(&self, request: Message, reply: String) -> Message {
        let Ok(_slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Refusal::busy("too many calls wait already").answer(reply);
        };
        let pending = self.parts.metrics.gauge(Metric::CallsPending, &[]);
        pending.add(1.0);
        let answer = match self.serve(request).await {
            Ok(answer) => Message { subject: reply, reply: None, ..answer },
            Err(refusal) => refusal.answer(reply),
        };
        pending.add(-1.0);
        answer
    }

    async fn serve(&self, message: Message) -> Result<Message, Refusal> {
        let request = self.read(&message)?;
        // First listen, then publish: an end between the two is heard.
        let mut wait = Waiting::begin(self, &request).await?;
        if !request.is_own_id
            && let Ok(Some((_, end))) = outcome_of(&self.parts, &request.skill, &request.id).await
        {
            return Ok(end_answer(end));
        }
        self.publish(&request, message.body).await?;
        let end = wait.end(self, &request).await;
        self.parts.metrics.inc(Metric::CallsServed, &[request.skill.as_str()]);
        Ok(end.map_or_else(|| pending_answer(&request.id), end_answer))
    }

    fn read(&self, message: &Message) -> Result<Request, Refusal> {
        let skill = subject::parse_call(&message.subject).ok_or_else(|| Refusal::bad("its subject names no skill"))?;
        let mut headers = message.headers.clone();
        let wait = match headers.get(TIMEOUT_HEADER) {
            None => self.options.timeout,
            Some(text) => {
                let wait: DurationText =
                    text.parse().map_err(|error| Refusal::bad(format!("{TIMEOUT_HEADER}: {error}")))?;
                wait.0.min(LONGEST_WAIT)
            }
        };
        headers.remove(TIMEOUT_HEADER);
        refuse_reserved(&headers)?;
        let is_own_id = headers.get(name::MSG_ID).is_none();
        if is_own_id {
            let made = Name::new(uuid::Uuid::now_v7().to_string()).expect("a UUID is a name");
            headers.set(name::MSG_ID, TaskId::new(self.scope.clone(), made).to_string());
        }
        let subject = subject::task_for(&skill, Priority::Normal, &headers);
        let task = Task::parse(&subject, 0, headers.clone(), message.body.clone());
        let task = task.map_err(|bad| Refusal::bad(format!("{}: {}", bad.code, bad.message)))?;
        Ok(Request { skill, id: task.id, is_own_id, wait, headers })
    }

    async fn publish(&self, request: &Request, mut body: bytes::Bytes) -> Result<(), Refusal> {
        let mut headers = request.headers.clone();
        if body.len() > limits::INLINE_BYTES {
            let key = format!("in-{}", uuid::Uuid::now_v7().simple());
            let blob = Blobs::new(Arc::clone(&self.parts.broker)).put(&key, &body).await;
            let blob = blob.map_err(|error| Refusal { code: 503, message: error.to_string() })?;
            headers.set(name::BLOB, blob.to_header());
            body = bytes::Bytes::new();
        }
        let subject = subject::task_for(&request.skill, Priority::Normal, &headers);
        let message = Message::new(subject, body).with_headers(headers);
        match self.parts.broker.publish(message, Expect::Any).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal::publish(&request.skill, &error)),
        }
    }
}

/// Refuses headers that only the broker or Nova itself may set on a task.
pub(crate) fn refuse_reserved(headers: &Headers) -> Result<(), Refusal> {
    for (key, _) in headers.iter() {
        let is_brokers = key.get(..name::NATS_PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(name::NATS_PREFIX));
        let is_novas = [name::ID, name::TIMER].iter().any(|own| key.eq_ignore_ascii_case(own));
        if is_novas || (is_brokers && !key.eq_ignore_ascii_case(name::MSG_ID)) {
            return Err(Refusal::bad(format!("header {} is not for clients", limits::clip(key, 64))));
        }
    }
    Ok(())
}

/// How the end of one task is heard; dropping it ends the wait.
enum Waiting<'a> {
    /// Through the one subscription of this coordinator's own scope.
    Shared { calls: &'a Calls, id: TaskId, end: oneshot::Receiver<Message> },
    /// Through a subscription of its own: the caller named the task.
    Own(Listener),
}

impl<'a> Waiting<'a> {
    async fn begin(calls: &'a Calls, request: &Request) -> Result<Self, Refusal> {
        if !request.is_own_id {
            let own = calls.parts.broker.listen(subject::done(&request.skill, &request.id), None).await;
            return own.map(Self::Own).map_err(|error| Refusal::broker(&error));
        }
        let (waiting, end) = oneshot::channel();
        calls.lock().insert(request.id.clone(), waiting);
        Ok(Self::Shared { calls, id: request.id.clone(), end })
    }

    async fn heard(&mut self) -> Option<Message> {
        match self {
            Self::Shared { end, .. } => end.await.ok(),
            Self::Own(ends) => ends.next().await,
        }
    }

    /// The end, or `None` when the time is up first.
    async fn end(&mut self, calls: &Calls, request: &Request) -> Option<Message> {
        let deadline = tokio::time::sleep(request.wait);
        tokio::pin!(deadline);
        let mut connection = calls.parts.broker.connection();
        let mut is_deaf = false;
        loop {
            tokio::select! {
                biased;
                end = self.heard(), if !is_deaf => match end {
                    Some(end) => return Some(end),
                    None => is_deaf = true,
                },
                // What was told while the connection was down was not heard.
                changed = connection.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let is_up = connection.borrow_and_update().is_up;
                    if is_up && let Ok(Some((_, end))) = outcome_of(&calls.parts, &request.skill, &request.id).await {
                        return Some(end);
                    }
                }
                () = &mut deadline => break,
                () = calls.stop.cancelled() => break,
            }
        }
        // The record decides; being told of it is only faster.
        outcome_of(&calls.parts, &request.skill, &request.id).await.ok().flatten().map(|(_, end)| end)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Self::Shared { calls, id, .. } = self {
            calls.lock().remove(id);
        }
    }
}

/// The outcome as it stands, without what concerns only its storage.
fn end_answer(mut end: Message) -> Message {
    end.headers.retain(|key| !key.starts_with(name::NATS_PREFIX));
    end
}

fn pending_answer(id: &TaskId) -> Message {
    let body = serde_json::json!({ "task": id }).to_string();
    let headers = Headers::new().with(PENDING_HEADER, format!("{CALL_PENDING_STATUS};task=\"{id}\""));
    Message::new("", body).with_headers(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pending_answer_names_the_task() {
        let answer = pending_answer(&"c1.x".parse().expect("an id"));
        assert_eq!(answer.headers.get("Nova-Call"), Some(r#"202;task="c1.x""#));
        assert_eq!(&answer.body[..], br#"{"task":"c1.x"}"#);
    }

    #[test]
    fn the_brokers_own_headers_are_refused() {
        for (key, is_fine) in [
            ("Nats-Msg-Id", true),
            ("X-Mine", true),
            ("nats-rollup", false),
            ("Nats-TTL", false),
            ("nova-id", false),
            ("Nova-Timer", false),
        ] {
            assert_eq!(refuse_reserved(&Headers::new().with(key, "x")).is_ok(), is_fine, "{key}");
        }
    }
}
