//! A task as it stands on the wire: parsed by workers, written by clients, published again by Nova.

use bytes::Bytes;
use nova_types::{Code, Generation, Policy, Priority, Skill, TaskId, codes};

use crate::blob::BlobRef;
use crate::headers::{Headers, has_prefix, name};
use crate::payload::{ContentType, Payload};
use crate::{TaskKey, limits, subject};

mod options;

pub use options::TaskOptions;

/// A message on a task subject that cannot become a task; it ends as a dead letter under `id`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("task {id} is refused as {code}: {message}")]
pub struct BadTask {
    /// The id it is recorded under: its own where that is usable, else made from its sequence.
    pub id: TaskId,
    /// The code of the dead letter.
    pub code: Code,
    /// What is wrong, for a person.
    pub message: String,
}

/// One task, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Which skill it is for.
    pub skill: Skill,
    /// How urgent it is.
    pub priority: Priority,
    /// Whose turn it waits for, when its skill is keyed.
    pub key: Option<TaskKey>,
    /// Whether Nova published it again: its attempts are then read before it starts.
    pub is_republished: bool,
    /// What it asks for.
    pub options: TaskOptions,
    /// Its input; empty when it is in the object store.
    pub payload: Payload,
    /// Where its input is, when it is large.
    pub blob: Option<BlobRef>,
    /// All headers as they came.
    pub headers: Headers,
}

impl Task {
    /// Reads a message of a task stream.
    ///
    /// # Errors
    /// [`BadTask`] with the code and the id to record it under.
    pub fn parse(subject: &str, sequence: u64, headers: Headers, body: Bytes) -> Result<Self, BadTask> {
        let by_sequence = || TaskId::from_sequence(sequence);
        let refuse = |id: &TaskId, code: &str, message: String| BadTask { id: id.clone(), code: code.into(), message };
        let Some(subject::TaskPlace { skill, priority, token }) = subject::parse_place(subject) else {
            return Err(refuse(&by_sequence(), codes::BAD_SUBJECT, "its subject names no queue".into()));
        };
        let (id, is_republished) = identify(&headers, by_sequence)?;
        once_only(&headers).map_err(|what| refuse(&id, codes::BAD_HEADER, what))?;
        match headers.get(name::VERSION) {
            None | Some("1") => {}
            Some(other) => {
                let told = limits::clip(other, 32);
                return Err(refuse(&id, codes::BAD_VERSION, format!("its wire version `{told}` is not 1")));
            }
        }
        let key = read_key(&skill, token, headers.get(name::KEY)).map_err(|(code, what)| refuse(&id, code, what))?;
        let content_type = match headers.get(name::CONTENT_TYPE) {
            None => ContentType::Json,
            Some(text) => ContentType::from_media_type(text).ok_or_else(|| {
                let told = limits::clip(text, 64);
                let message = format!("content type `{told}` is neither application/json nor application/msgpack");
                refuse(&id, codes::BAD_CONTENT_TYPE, message)
            })?,
        };
        let options = TaskOptions::from_headers(&headers).map_err(|what| refuse(&id, codes::BAD_HEADER, what))?;
        let blob = match headers.get(name::BLOB) {
            None => None,
            Some(text) => {
                Some(BlobRef::parse(text).map_err(|error| refuse(&id, codes::BAD_HEADER, error.to_string()))?)
            }
        };
        let payload = Payload { content_type, bytes: body };
        Ok(Self { id, skill, priority, key, is_republished, options, payload, blob, headers })
    }

    /// The policy of this task: what it asks for over what its skill says.
    #[must_use]
    pub fn policy(&self, skill: &Policy) -> Policy {
        let asked = &self.options;
        Policy {
            timeout: asked.timeout.unwrap_or(skill.timeout),
            deadline: asked.deadline.or(skill.deadline),
            max_attempts: asked.max_attempts.unwrap_or(skill.max_attempts),
            backoff: asked.backoff.unwrap_or(skill.backoff),
            outcome_ttl: asked.outcome_ttl.or(skill.outcome_ttl),
        }
    }

    /// The headers under which Nova publishes the task again: its id, and a dedupe key of that generation.
    #[must_use]
    pub fn republished_headers(headers: &Headers, id: &TaskId, generation: Generation) -> Headers {
        let mut out = headers.clone();
        out.retain(|key| !has_prefix(key, name::NATS_PREFIX) && !key.eq_ignore_ascii_case(name::PRIORITY));
        out.set(name::ID, id.to_string());
        out.set(name::MSG_ID, format!("{id}~{}", generation.0));
        out
    }
}

/// The task's id, and whether Nova published it again.
fn identify(headers: &Headers, by_sequence: impl Fn() -> TaskId) -> Result<(TaskId, bool), BadTask> {
    let refuse = |message: String| BadTask { id: by_sequence(), code: codes::BAD_ID.into(), message };
    let given = headers.get(name::MSG_ID);
    let Some(own) = headers.get(name::ID) else {
        return match given {
            None => Ok((by_sequence(), false)),
            Some(text) => TaskId::from_client(text).map(|id| (id, false)).map_err(|error| refuse(error.to_string())),
        };
    };
    let id: TaskId = own.parse().map_err(|error: nova_types::InvalidId| refuse(error.to_string()))?;
    let generation = given.and_then(|text| text.strip_prefix(own)?.strip_prefix('~')?.parse::<u64>().ok());
    match generation {
        Some(_) => Ok((id, true)),
        None => Err(refuse(format!("header {} is Nova's own: clients give their id in {}", name::ID, name::MSG_ID))),
    }
}

/// The key of a task: it stands in its subject, and the header, where there is one, must say the same.
fn read_key(
    skill: &Skill,
    token: Option<&str>,
    header: Option<&str>,
) -> Result<Option<TaskKey>, (&'static str, String)> {
    match (token, header) {
        (None, None) => Ok(None),
        // It would be worked beside the others of its key.
        (None, Some(_)) => {
            let what = format!("a key must stand in the subject, nova.task.{skill}.<priority>.<key>, of a keyed skill");
            Err((codes::UNSUPPORTED, what))
        }
        (Some(token), header) => {
            let key = TaskKey::from_token(token).map_err(|_| {
                (codes::BAD_KEY, format!("`{}` in its subject is no key's token", limits::clip(token, 64)))
            })?;
            if header.is_some_and(|header| header != key.as_str()) {
                return Err((codes::BAD_KEY, format!("{} is not the key in its subject", name::KEY)));
            }
            Ok(Some(key))
        }
    }
}

/// Refuses a Nova header that stands twice or is overlong: which of two would count is nobody's guess.
fn once_only(headers: &Headers) -> Result<(), String> {
    // A set, for a hostile message may hold thousands: comparing each with each would take a fraction of a second.
    let mut seen = std::collections::BTreeSet::new();
    for (key, value) in headers.iter() {
        if !has_prefix(key, "Nova-") && !key.eq_ignore_ascii_case(name::CONTENT_TYPE) {
            continue;
        }
        if !seen.insert(key.to_ascii_lowercase()) {
            return Err(format!("header {} is repeated", limits::clip(key, 64)));
        }
        if value.len() > limits::HEADER_BYTES {
            return Err(format!("header {} is longer than {} bytes", limits::clip(key, 64), limits::HEADER_BYTES));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(headers: &[(&str, &str)]) -> Result<Task, BadTask> {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Task::parse("nova.task.echo.high", 7, headers, Bytes::from_static(b"{}"))
    }

    #[track_caller]
    fn check_refused(headers: &[(&str, &str)], id: &str, code: &str) {
        let bad = parse(headers).expect_err("it is bad");
        assert_eq!((bad.id.to_string().as_str(), bad.code.as_str()), (id, code), "{bad}");
    }

    #[test]
    fn a_bare_message_is_a_task() {
        let task = parse(&[]).expect("no header is needed");
        assert_eq!((task.id.to_string().as_str(), task.priority), ("_seq.7", Priority::High));
        assert_eq!(task.policy(&Policy::default()), Policy::default());
    }

    #[test]
    fn headers_override_the_policy_of_the_skill() {
        let task = parse(&[
            ("Nats-Msg-Id", "order-1"),
            ("nova-timeout", "5m"),
            ("Nova-Deadline", "2026-11-22T18:00:00Z"),
            ("Nova-Max-Attempts", "2"),
            ("Nova-Backoff", "100ms..1s"),
            ("Nova-Labels", "team=a,env=prod"),
            ("X-Other", "kept"),
        ])
        .expect("all are well formed");
        let policy = task.policy(&Policy::default());
        assert_eq!((policy.timeout.as_secs(), policy.max_attempts), (300, 2));
        assert_eq!(task.id.to_string(), "_.order-1");
        assert_eq!(task.options.labels["env"], "prod");
        assert_eq!(task.headers.get("X-Other"), Some("kept"));
    }

    #[test]
    fn bad_headers_are_told_apart() {
        check_refused(&[("Nats-Msg-Id", "a b")], "_seq.7", "bad_id");
        check_refused(&[("Nats-Msg-Id", "_seq.1")], "_seq.7", "bad_id");
        check_refused(&[("Nats-Msg-Id", "a"), ("Nova-Id", "a")], "_seq.7", "bad_id");
        check_refused(&[("Nats-Msg-Id", "a"), ("Nova-Version", "2")], "_.a", "bad_version");
        check_refused(&[("Nova-Key", "k")], "_seq.7", "unsupported");
        check_refused(&[("Content-Type", "text/html")], "_seq.7", "bad_content_type");
        check_refused(&[("Nova-Timeout", "1s"), ("nova-timeout", "2s")], "_seq.7", "bad_header");
        for (key, value) in [
            ("Nova-Timeout", "soon"),
            ("Nova-Timeout", "0s"),
            ("Nova-Deadline", "tomorrow"),
            ("Nova-Max-Attempts", "0"),
            ("Nova-Backoff", "5s..1s"),
            ("Nova-Reply", "_INBOX.x"),
            ("Nova-Labels", "a"),
            ("Nova-Blob", "x"),
            ("Nova-Bundle", "0"),
            ("Nova-Bundle", "1001"),
        ] {
            check_refused(&[(key, value)], "_seq.7", "bad_header");
        }
        check_refused(&[("Nova-Later", &"x".repeat(5000))], "_seq.7", "bad_header");
    }

    #[test]
    fn a_key_stands_in_the_subject_and_the_header_agrees() {
        let parse = |subject: &str, key: Option<&str>| {
            let headers = key.into_iter().map(|key| (name::KEY.to_owned(), key.to_owned())).collect();
            let task = Task::parse(subject, 7, headers, Bytes::new());
            task.map(|task| task.key.map(|key| key.to_string())).map_err(|bad| bad.code.to_string())
        };
        for subject in ["nova.task.echo.high.a%2Fb", "nova.task.echo.high.3.a%2Fb"] {
            assert_eq!(parse(subject, None), Ok(Some("a/b".to_owned())));
            assert_eq!(parse(subject, Some("a/b")), Ok(Some("a/b".to_owned())));
            assert_eq!(parse(subject, Some("a")), Err(codes::BAD_KEY.to_owned()));
        }
        assert_eq!(parse("nova.task.echo.high.3.a%2", None), Err(codes::BAD_KEY.to_owned()));
        assert_eq!(parse("nova.task.echo.high", Some("a")), Err(codes::UNSUPPORTED.to_owned()));
    }

    #[test]
    fn a_republished_task_keeps_its_id_and_has_its_own_dedupe_key() {
        let id: TaskId = "cli.a".parse().expect("an id");
        let first = Headers::new().with("Nats-Msg-Id", "cli.a").with("Nova-Timeout", "5s").with("Nats-TTL", "3s");
        let headers = Task::republished_headers(&first, &id, Generation(42));
        assert_eq!(headers.get("Nats-Msg-Id"), Some("cli.a~42"));
        assert_eq!(headers.get("Nats-TTL"), None);
        let task = Task::parse("nova.task.echo", 9, headers, Bytes::new()).expect("Nova's own publish");
        assert_eq!((task.id, task.is_republished), (id, true));
    }

    #[test]
    fn thousands_of_headers_are_looked_through_once() {
        let keys: Vec<String> = (0..6000).map(|n| format!("Nova-{n:04}")).collect();
        let mut lines: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "")).collect();
        assert!(parse(&lines).is_ok(), "unknown headers travel on untouched");
        lines.push(("nova-0000", ""));
        check_refused(&lines, "_seq.7", "bad_header");
    }

    #[test]
    fn arbitrary_headers_never_panic() {
        proptest::proptest!(|(key in 0..13_usize, value in "\\PC{0,40}")| {
            let keys = [name::MSG_ID, name::ID, name::VERSION, name::TIMEOUT, name::DEADLINE, name::MAX_ATTEMPTS, name::BACKOFF,
                name::KEY, name::OUTCOME_TTL, name::REPLY, name::LABELS, name::BLOB, name::CONTENT_TYPE];
            let _ = parse(&[(keys[key], &value)]);
        });
    }
}
