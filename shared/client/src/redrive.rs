//! Redriving a dead letter: a new task in its place.

use nova_broker::{BlobError, BrokerError};
use nova_types::{Name, OutcomeKind, Scope, TaskId, UnixMillis};
use nova_wire::{BlobRef, DeadLetter, Headers, Payload, TaskKey, is_bundle_size, name, parse_rfc3339, split, subject};

use crate::outcome::{InvalidRecord, read_content_type};
use crate::submit::Prepared;
use crate::{Client, SubmitError, Submitted, WaitError};

/// How a dead letter is redriven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redrive {
    /// The input to use in place of the original one.
    pub edit: Option<Payload>,
}

/// A dead letter has a new task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redriven {
    /// The task the letter is about.
    pub of: TaskId,
    /// The new task; a duplicate when it was redriven a moment ago already.
    pub submitted: Submitted,
}

/// A dead letter that was not redriven.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// An earlier redrive completed.
    #[error("task {of} was redriven before, and {by} completed: drop the dead letter")]
    Completed {
        /// The task the letter is about.
        of: TaskId,
        /// Its redrive.
        by: TaskId,
    },
    /// It was redriven too often.
    #[error("task {of} was redriven {most} times already")]
    TooOften {
        /// The task the letter is about.
        of: TaskId,
        /// The limit.
        most: u32,
    },
    /// Its large payload could not be read.
    #[error("could not read the payload of task {of}")]
    Payload {
        /// The task the letter is about.
        of: TaskId,
        /// Why.
        #[source]
        source: BlobError,
    },
    /// Its headers cannot be understood; an edited input replaces them.
    #[error("the dead letter of task {of} cannot be understood")]
    Garbled {
        /// The task the letter is about.
        of: TaskId,
        /// Why.
        #[source]
        source: InvalidRecord,
    },
    /// Earlier redrives could not be looked for.
    #[error("could not look for earlier redrives of task {of}")]
    Look {
        /// The task the letter is about.
        of: TaskId,
        /// Why.
        #[source]
        source: Box<WaitError>,
    },
    /// The original could not be looked for.
    #[error("could not read the original of task {of}")]
    Original {
        /// The task the letter is about.
        of: TaskId,
        /// Why.
        #[source]
        source: BrokerError,
    },
    /// The new task could not be submitted.
    #[error("could not submit the task in place of {of}")]
    Submit {
        /// The task the letter is about.
        of: TaskId,
        /// Why.
        #[source]
        source: SubmitError,
    },
}

impl RedriveError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "redrive_completed",
            Self::TooOften { .. } => "redrive_limit",
            Self::Payload { .. } => "bad_blob",
            Self::Garbled { .. } => "garbled_record",
            Self::Look { source, .. } => source.code(),
            Self::Original { .. } => "broker",
            Self::Submit { source, .. } => source.code(),
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Payload { source, .. } => source.is_transient(),
            Self::Look { source, .. } => source.is_transient(),
            Self::Original { source, .. } => source.is_transient(),
            Self::Submit { source, .. } => source.is_transient(),
            Self::Completed { .. } | Self::TooOften { .. } | Self::Garbled { .. } => false,
        }
    }
}

/// The most redrives of one task: beyond it someone should look.
const MOST_REDRIVES: u32 = 100;

/// The name that redrives of a task share, and the number of the first one not used by the task itself.
fn root(letter: &DeadLetter) -> (String, u32) {
    let name = letter.task.name().as_str();
    let numbered = name.rsplit_once("-r").and_then(|(root, n)| Some((root, n.parse::<u32>().ok()?)));
    match numbered {
        Some((root, n)) if letter.headers.get(name::REDRIVE_OF).is_some() => (root.to_owned(), n.saturating_add(1)),
        _ => (name.to_owned(), 1),
    }
}

/// The id of redrive `n`, in the task's own scope where clients may use it.
fn id_of(letter: &DeadLetter, root: &str, n: u32) -> TaskId {
    let scope = letter.task.scope();
    let (scope, prefix) = if scope.is_for_clients() { (scope.clone(), "") } else { (Scope::plain(), "seq-") };
    let suffix = format!("-r{n}");
    // A name at the limit loses its end: the id must differ from the original, not resemble it.
    let room = 64 - suffix.len() - prefix.len();
    let text = format!("{prefix}{}{suffix}", nova_wire::limits::clip(root, room));
    TaskId::new(scope, Name::new(text).expect("a name's own characters, cut to 64, make a name"))
}

/// The original headers without what would end, dedupe or misname the new task.
fn headers_for(letter: &DeadLetter, now: UnixMillis) -> Headers {
    let mut headers = letter.headers.clone();
    headers.retain(|key| {
        let key = key.to_ascii_lowercase();
        !key.starts_with("nats-") && !key.starts_with("nova-orig-")
    });
    for key in [name::ID, name::BLOB, name::REPLY] {
        headers.remove(key);
    }
    let deadline = headers.get(name::DEADLINE).and_then(parse_rfc3339);
    if deadline.is_some_and(|deadline| deadline <= now) {
        headers.remove(name::DEADLINE);
    }
    headers.set(name::REDRIVE_OF, letter.task.to_string());
    headers
}

/// Says how many items a bundle has whose input was edited.
fn count_items(task: &TaskId, headers: &mut Headers, payload: &Payload) -> Result<(), SubmitError> {
    if headers.get(name::BUNDLE).is_none() {
        return Ok(());
    }
    let bad = |what: String| SubmitError::BadTask { task: task.clone(), what };
    let items = split(payload).map_err(|error| bad(format!("it is a bundle, and {error}")))?.len();
    let is_size = u32::try_from(items).is_ok_and(is_bundle_size);
    if !is_size {
        return Err(bad(format!("it is a bundle, and its body has {items} items")));
    }
    headers.set(name::BUNDLE, items.to_string());
    Ok(())
}

impl Client {
    /// Submits a dead letter's task anew, as `<name>-r<n>`; the letter stays until it is dropped.
    ///
    /// At most one redrive of a letter is live: while `-r<n>` has no outcome, redriving again submits the same id, which
    /// the broker drops or the outcome's fence holds to one end.
    ///
    /// # Errors
    /// [`RedriveError`]; safe to call again.
    pub async fn redrive(&self, letter: &DeadLetter, how: Redrive) -> Result<Redriven, RedriveError> {
        let of = letter.task.clone();
        let task = self.next_redrive(letter).await?;
        let mut headers = headers_for(letter, self.now());
        let payload = match how.edit {
            Some(edit) => edit,
            None => self.original(letter).await?,
        };
        count_items(&task, &mut headers, &payload).map_err(|source| RedriveError::Submit { of: of.clone(), source })?;
        headers.remove(name::CONTENT_TYPE);
        let prepared = self.pack(task, letter, headers, payload).await;
        let prepared = prepared.map_err(|source| RedriveError::Submit { of: of.clone(), source })?;
        let (priority, key) = self.original_place(letter).await?;
        let mut prepared = Prepared { priority, ..prepared };
        if let Some(key) = key.filter(|_| prepared.headers.get(name::KEY).is_none()) {
            prepared.headers.set(name::KEY, key.to_string());
        }
        let submitted = self.send(prepared).await.map_err(|source| RedriveError::Submit { of: of.clone(), source })?;
        Ok(Redriven { of, submitted })
    }

    async fn pack(
        &self,
        task: TaskId,
        letter: &DeadLetter,
        headers: Headers,
        payload: Payload,
    ) -> Result<Prepared, SubmitError> {
        let (headers, body) = self.carry(&task, headers, payload).await?;
        Ok(Prepared { task, skill: letter.skill.clone(), priority: nova_types::Priority::Normal, headers, body })
    }

    /// The first redrive that has not ended, or has not begun.
    async fn next_redrive(&self, letter: &DeadLetter) -> Result<TaskId, RedriveError> {
        let of = || letter.task.clone();
        let (root, first) = root(letter);
        for n in first..first.saturating_add(MOST_REDRIVES) {
            let id = id_of(letter, &root, n);
            let raw = self.look(&letter.skill, &id).await;
            match raw.map_err(|source| RedriveError::Look { of: of(), source: Box::new(source) })? {
                None => return Ok(id),
                Some(raw) if raw.outcome.kind == OutcomeKind::Completed => {
                    return Err(RedriveError::Completed { of: of(), by: id });
                }
                Some(_) => {}
            }
        }
        Err(RedriveError::TooOften { of: of(), most: MOST_REDRIVES })
    }

    async fn original(&self, letter: &DeadLetter) -> Result<Payload, RedriveError> {
        let of = || letter.task.clone();
        let garbled = |source| RedriveError::Garbled { of: of(), source };
        let content_type = read_content_type(&letter.headers).map_err(garbled)?;
        let blob = letter.headers.get(name::BLOB).map(BlobRef::parse).transpose();
        let bytes = match blob.map_err(|error| garbled(error.into()))? {
            None => letter.body.clone(),
            // The new task gets a blob of its own: each is deleted with the record that names it.
            Some(blob) => {
                let read = self.inner.blobs.get(&blob).await;
                read.map_err(|source| RedriveError::Payload { of: of(), source })?
            }
        };
        Ok(Payload { content_type, bytes })
    }

    /// The priority and the key the task had, while its stream still holds it.
    async fn original_place(
        &self,
        letter: &DeadLetter,
    ) -> Result<(nova_types::Priority, Option<TaskKey>), RedriveError> {
        let found = match self.inner.broker.get(letter.stream.clone(), letter.sequence).await {
            Ok(found) => found,
            Err(BrokerError::NotFound { .. }) => None,
            Err(source) => return Err(RedriveError::Original { of: letter.task.clone(), source }),
        };
        let place = found.as_ref().and_then(|stored| subject::parse_place(&stored.subject));
        let key = place.as_ref().and_then(|place| TaskKey::from_token(place.token?).ok());
        Ok((place.map(|place| place.priority).unwrap_or_default(), key))
    }
}

#[cfg(test)]
mod tests {
    use nova_types::{Code, Skill};

    use super::*;

    fn letter(id: &str, headers: Headers) -> DeadLetter {
        DeadLetter {
            code: Code::new("exit"),
            task: id.parse().expect("an id"),
            skill: Skill::new("shell").expect("a skill"),
            attempts: 5,
            stream: "NOVA_TASKS_shell".into(),
            sequence: 9,
            history: "[]".into(),
            headers,
            body: bytes::Bytes::new(),
        }
    }

    #[track_caller]
    fn check_id(id: &str, headers: Headers, expect: &str) {
        let letter = letter(id, headers);
        let (root, n) = root(&letter);
        assert_eq!(id_of(&letter, &root, n).to_string(), expect);
    }

    #[test]
    fn a_redrive_is_numbered_after_the_first_task() {
        let redriven = || Headers::new().with(name::REDRIVE_OF, "cli.a");
        check_id("cli.a", Headers::new(), "cli.a-r1");
        check_id("cli.a-r1", redriven(), "cli.a-r2");
        check_id("cli.a-r1", Headers::new(), "cli.a-r1-r1");
        check_id("_seq.7", Headers::new(), "_.seq-7-r1");
        let long = "x".repeat(64);
        check_id(&format!("cli.{long}"), Headers::new(), &format!("cli.{}-r1", "x".repeat(61)));
    }

    #[test]
    fn headers_that_would_end_the_new_task_are_dropped() {
        let headers = Headers::new()
            .with("Nats-Msg-Id", "cli.a")
            .with("Nova-Id", "cli.a")
            .with("Nova-Deadline", "1970-01-01T00:00:01Z")
            .with("Nova-Timeout", "5s")
            .with("X-Mine", "x");
        let kept = headers_for(&letter("cli.a", headers), UnixMillis(2000));
        let names: Vec<&str> = kept.iter().map(|(key, _)| key).collect();
        assert_eq!(names, ["Nova-Timeout", "X-Mine", "Nova-Redrive-Of"]);
    }
}
