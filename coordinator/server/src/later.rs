//! Requests to schedule: `nova.later.<skill>.<scope>.<name>` makes a schedule that fires the task.
//!
//! Headers: `Nova-Schedule` (when), `Nova-Time-Zone` (with a cron line only), `Nova-Catch-Up` (with a recurring one only),
//! `Nova-Priority`, and those of the task; the body is its input. The answer is `{"stream":...,"seq":...}`, or a refusal as in [`call`](crate::call) with 409 for an
//! id that has a schedule already. Submitters never write schedules themselves: a target of their own choice would pass by
//! the permissions, and a rollup would wipe the others.

use std::time::Duration;

use nova_broker::{Expect, Message, PublishError, Receipt};
use nova_types::{CatchUp, Priority, Skill, TaskId};
use nova_wire::{Headers, ScheduleSpec, Task, assets, limits, name, subject};
use tokio::sync::Semaphore;

use crate::Parts;
use crate::call::refuse_reserved;
use crate::due::begin;
use crate::refusal::Refusal;

/// How many requests are under way at once: three round trips each.
const AT_ONCE: usize = 256;
/// How long a request may wait for its turn before it is told to come again.
const TURN: Duration = Duration::from_secs(2);

/// Headers of a stored schedule that say nothing of what was asked for: our own condition, and what the broker adds.
const BROKERS: [&str; 2] = [name::EXPECTED_LAST_SUBJECT_SEQUENCE, name::ROLLUP];

/// The requests to schedule of one coordinator.
pub(crate) struct Later {
    parts: Parts,
    turns: Semaphore,
}

/// A request, checked.
#[derive(Debug, PartialEq)]
struct Request {
    skill: Skill,
    id: TaskId,
    priority: Priority,
    spec: ScheduleSpec,
    time_zone: Option<String>,
    /// The task's own headers.
    headers: Headers,
}

impl Later {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, turns: Semaphore::new(AT_ONCE) }
    }

    /// Carries a request out and makes its answer.
    pub(crate) async fn handle(&self, message: Message, reply: String) -> Message {
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN, self.turns.acquire()).await else {
            return Refusal { code: 503, message: "too many requests at once".to_owned() }.answer(reply);
        };
        match self.serve(message).await {
            Ok(receipt) => {
                let body = serde_json::json!({ "stream": receipt.stream, "seq": receipt.sequence }).to_string();
                Message::new(reply, body)
            }
            Err(refusal) => refusal.answer(reply),
        }
    }

    async fn serve(&self, message: Message) -> Result<Receipt, Refusal> {
        let request = read(&message)?;
        let queue = self.parts.broker.stream(assets::tasks_stream(&request.skill)).await;
        if queue.map_err(|error| Refusal::broker(&error))?.is_none() {
            return Err(Refusal::unknown_skill(&request.skill));
        }
        let headers = request.schedule_headers(self.parts.clock.now());
        let subject = subject::schedule(&request.skill, &request.id);
        let schedule = Message::new(subject.clone(), message.body.clone()).with_headers(headers.clone());
        let made = match self.parts.broker.publish(schedule, Expect::NOTHING).await {
            Ok(receipt) => Ok(receipt),
            Err(PublishError::Conflict { .. }) => self.compare(subject, &headers, &message).await,
            Err(PublishError::NoStream { .. }) => {
                Err(Refusal { code: 503, message: "schedules are not provisioned".to_owned() })
            }
            Err(error) => Err(Refusal::publish(&request.skill, &error)),
        };
        if made.is_ok() && request.spec.is_recurring() {
            begin(&self.parts, &request.skill, &request.id).await;
        }
        made
    }

    /// Whether what stands there is this very schedule, asked for again after a lost answer.
    async fn compare(&self, subject: String, headers: &Headers, message: &Message) -> Result<Receipt, Refusal> {
        let stands = self.parts.broker.last(assets::SCHEDULES.to_owned(), subject).await;
        let stands = stands.map_err(|error| Refusal::broker(&error))?;
        let sorted = |headers: &Headers| {
            let mut lines: Vec<(String, String)> = headers
                .iter()
                .filter(|(key, _)| !BROKERS.iter().any(|added| key.eq_ignore_ascii_case(added)))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            lines.sort();
            lines
        };
        match stands {
            Some(stored) if stored.body == message.body && sorted(&stored.headers) == sorted(headers) => {
                Ok(Receipt { stream: assets::SCHEDULES.to_owned(), sequence: stored.sequence, is_duplicate: true })
            }
            _ => Err(Refusal { code: 409, message: "a schedule of that id exists".to_owned() }),
        }
    }
}

impl Request {
    fn schedule_headers(&self, now: nova_types::UnixMillis) -> Headers {
        let mut headers = self.headers.clone();
        headers.set(name::SCHEDULE, self.spec.to_broker(now));
        headers.set(name::SCHEDULE_TARGET, subject::due(&self.skill, self.priority));
        if let Some(zone) = &self.time_zone {
            headers.set(name::SCHEDULE_TIME_ZONE, zone.clone());
        }
        headers.set(name::PRIORITY, self.priority.as_str());
        // What a recurring one fires is called after its second; only a one-shot is the task itself.
        if !self.spec.is_recurring() {
            headers.set(name::ID, self.id.to_string());
        }
        headers
    }
}

fn read(message: &Message) -> Result<Request, Refusal> {
    let (skill, id) = subject::parse_later(&message.subject)
        .ok_or_else(|| Refusal::bad("its subject is not nova.later.<skill>.<scope>.<name>"))?;
    let id = TaskId::from_client(&id.to_string()).map_err(|error| Refusal::bad(error.to_string()))?;
    let mut headers = message.headers.clone();
    refuse_reserved(&headers)?;
    for key in [name::WHEN, name::TIME_ZONE, name::CATCH_UP, name::PRIORITY] {
        if headers.count(key) > 1 {
            return Err(Refusal::bad(format!("header {key} is repeated")));
        }
    }
    if headers.get(name::MSG_ID).is_some_and(|given| given.parse::<TaskId>().ok().as_ref() != Some(&id)) {
        return Err(Refusal::bad(format!("header {} is not the id of its subject, {id}", name::MSG_ID)));
    }
    let when = headers.get(name::WHEN).ok_or_else(|| Refusal::bad(format!("header {} is missing", name::WHEN)))?;
    let spec: ScheduleSpec = when.parse().map_err(|error| Refusal::bad(format!("{}: {error}", name::WHEN)))?;
    let priority = match headers.get(name::PRIORITY) {
        None => Priority::Normal,
        Some(word) => word.parse().map_err(|error| Refusal::bad(format!("{}: {error}", name::PRIORITY)))?,
    };
    let time_zone = headers.get(name::TIME_ZONE).map(ToOwned::to_owned);
    if time_zone.is_some() && !matches!(spec, ScheduleSpec::Cron(_)) {
        return Err(Refusal::bad(format!("header {} is for cron lines only", name::TIME_ZONE)));
    }
    if let Some(word) = headers.get(name::CATCH_UP) {
        word.parse::<CatchUp>().map_err(|error| Refusal::bad(format!("{}: {error}", name::CATCH_UP)))?;
        if !spec.is_recurring() {
            return Err(Refusal::bad(format!("header {} is for recurring schedules only", name::CATCH_UP)));
        }
    }
    if headers.get(name::NOMINAL).is_some() {
        return Err(Refusal::bad(format!("header {} is not for clients", name::NOMINAL)));
    }
    if message.body.len() > limits::INLINE_BYTES {
        let message = format!("an input over {} bytes goes through the object store", limits::INLINE_BYTES);
        return Err(Refusal { code: 413, message });
    }
    for key in [name::WHEN, name::TIME_ZONE, name::PRIORITY, name::MSG_ID] {
        headers.remove(key);
    }
    // Read it as a worker will: what it would refuse is refused now, while someone is there to hear it.
    let task = headers.clone().with(name::MSG_ID, id.to_string());
    Task::parse(&subject::task_for(&skill, priority, &task), 0, task, message.body.clone())
        .map_err(|bad| Refusal::bad(format!("{}: {}", bad.code, bad.message)))?;
    Ok(Request { skill, id, priority, spec, time_zone, headers })
}

#[cfg(test)]
mod tests {
    use nova_types::UnixMillis;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Message {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Message::new("nova.later.echo.cli.a", "{}").with_headers(headers)
    }

    #[track_caller]
    fn check_refused(headers: &[(&str, &str)], words: &str) {
        let refusal = read(&request(headers)).expect_err("it is wrong");
        assert!(refusal.code == 400 && refusal.message.contains(words), "{refusal}");
    }

    #[test]
    fn a_request_becomes_a_schedule_of_nova() {
        let made = read(&request(&[("Nova-Schedule", "@in 2s"), ("Nova-Priority", "low"), ("Nova-Timeout", "5s")]));
        let headers = made.expect("it is right").schedule_headers(UnixMillis(1000));
        for (key, value) in [
            ("Nats-Schedule", "@at 1970-01-01T00:00:03.000Z"),
            ("Nats-Schedule-Target", "nova.due.echo.low"),
            ("Nova-Id", "cli.a"),
            ("Nova-Timeout", "5s"),
        ] {
            assert_eq!(headers.get(key), Some(value));
        }
        assert_eq!(headers.get("Nova-Schedule"), None);
    }

    #[test]
    fn a_recurring_schedule_has_no_task_id_of_its_own() {
        let made = read(&request(&[("Nova-Schedule", "*/5 * * * *"), ("Nova-Time-Zone", "Europe/Berlin")]));
        let headers = made.expect("it is right").schedule_headers(UnixMillis(0));
        assert_eq!((headers.get("Nova-Id"), headers.get("Nats-Schedule-Time-Zone")), (None, Some("Europe/Berlin")));
    }

    #[test]
    fn what_a_submitter_may_not_say_is_refused() {
        let when = ("Nova-Schedule", "@in 2s");
        check_refused(&[], "Nova-Schedule is missing");
        check_refused(&[("Nova-Schedule", "soon")], "Nova-Schedule");
        check_refused(&[when, ("Nova-Time-Zone", "UTC")], "cron");
        check_refused(&[when, ("Nova-Priority", "urgent")], "Nova-Priority");
        check_refused(&[when, ("Nova-Catch-Up", "all")], "recurring");
        check_refused(&[("Nova-Schedule", "@daily"), ("Nova-Catch-Up", "none")], "Nova-Catch-Up");
        check_refused(&[when, ("Nova-Nominal", "2026-11-22T18:00:00Z")], "not for clients");
        check_refused(&[when, ("Nats-Schedule-Target", "nova.due.shell.high")], "not for clients");
        check_refused(&[when, ("nats-rollup", "all")], "not for clients");
        check_refused(&[when, ("Nova-Id", "cli.b")], "not for clients");
        check_refused(&[when, ("Nats-Msg-Id", "cli.b")], "not the id");
        check_refused(&[when, ("Nova-Timeout", "soon")], "bad_header");
        check_refused(&[when, when], "repeated");
        let foreign = Message { subject: "nova.later.echo._seq.1".into(), ..request(&[when]) };
        assert!(read(&foreign).is_err());
        assert!(read(&request(&[when, ("Nats-Msg-Id", "cli.a")])).is_ok());
    }
}
