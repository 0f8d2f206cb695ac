//! Dead letters: the original bytes and headers, with the cause beside them.

use bytes::Bytes;
use nova_types::{Code, Skill, TaskId};

use crate::attempt::AttemptRecord;
use crate::headers::{Headers, has_prefix, name};
use crate::limits;
use crate::structured::{Item, push_integer, push_text};

/// A message that is no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message has no valid {} header", name::DEAD)]
pub struct InvalidDeadLetter;

/// A task that will not be tried again.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Why.
    pub code: Code,
    /// Which task.
    pub task: TaskId,
    /// Of which skill.
    pub skill: Skill,
    /// How many attempts failed.
    pub attempts: u32,
    /// The stream the task came from.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// The attempts as JSON.
    pub history: String,
    /// The original headers.
    pub headers: Headers,
    /// The original body.
    pub body: Bytes,
}

impl DeadLetter {
    /// The letter's headers: the original ones, the broker's own renamed so that they neither dedupe, expire nor fence it.
    ///
    /// A letter that is refused would hold its task for ever: where all of them are more than the broker takes, the
    /// longest original ones are left out, and `dropped` says how many.
    #[must_use]
    pub fn to_headers(&self) -> Headers {
        let mut lines: Vec<(String, String)> = self
            .headers
            .iter()
            .filter(|(key, _)| !key.eq_ignore_ascii_case(name::DEAD) && !key.eq_ignore_ascii_case(name::ATTEMPTS))
            .map(|(key, value)| {
                let key = if has_prefix(key, name::NATS_PREFIX) {
                    format!("{}{key}", name::ORIGINAL_PREFIX)
                } else {
                    key.to_owned()
                };
                (key, value.to_owned())
            })
            .collect();
        // The cause is short: ids and names are, each with its limit.
        let room = limits::HEADER_BLOCK_BYTES.saturating_sub(self.history.len() + 1024);
        let dropped = drop_longest(&mut lines, room);
        let mut cause = self.code.as_str().to_owned();
        if !cause.starts_with(|c: char| c.is_ascii_alphabetic()) {
            // Still a code: the longest ones lose their end, or they would not be read back as they were written.
            cause = Code::new(&format!("e_{cause}")).as_str().to_owned();
        }
        push_text(&mut cause, "task", &self.task.to_string());
        push_text(&mut cause, "skill", self.skill.as_str());
        push_integer(&mut cause, "attempts", i64::from(self.attempts));
        push_text(&mut cause, "stream", &self.stream);
        push_integer(&mut cause, "seq", i64::try_from(self.sequence).unwrap_or(i64::MAX));
        if dropped > 0 {
            push_integer(&mut cause, "dropped", dropped);
        }
        let out: Headers = lines.into_iter().collect();
        out.with(name::DEAD, cause).with(name::ATTEMPTS, self.history.clone())
    }

    /// Reads a letter back, with the original headers as they were.
    ///
    /// # Errors
    /// [`InvalidDeadLetter`].
    pub fn parse(headers: &Headers, body: Bytes) -> Result<Self, InvalidDeadLetter> {
        let item = Item::parse(headers.get(name::DEAD).ok_or(InvalidDeadLetter)?).map_err(|_| InvalidDeadLetter)?;
        let original = headers
            .iter()
            .filter(|(key, _)| {
                !key.eq_ignore_ascii_case(name::DEAD)
                    && !key.eq_ignore_ascii_case(name::ATTEMPTS)
                    && !has_prefix(key, name::NATS_PREFIX)
            })
            .map(|(key, value)| {
                let restored =
                    if has_prefix(key, "Nova-Orig-Nats-") { &key[name::ORIGINAL_PREFIX.len()..] } else { key };
                (restored.to_owned(), value.to_owned())
            })
            .collect();
        Ok(Self {
            code: Code::new(&item.token),
            task: item.text("task").and_then(|t| t.parse().ok()).ok_or(InvalidDeadLetter)?,
            skill: item.text("skill").and_then(|t| Skill::new(t).ok()).ok_or(InvalidDeadLetter)?,
            attempts: item.integer("attempts").and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            stream: item.text("stream").unwrap_or_default().to_owned(),
            sequence: item.integer("seq").and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            history: headers.get(name::ATTEMPTS).unwrap_or("[]").to_owned(),
            headers: original,
            body,
        })
    }

    /// The failed attempts that the letter lists.
    #[must_use]
    pub fn attempts_listed(&self) -> AttemptRecord {
        AttemptRecord {
            failed: self.attempts,
            failures: serde_json::from_str(&self.history).unwrap_or_default(),
            ..AttemptRecord::default()
        }
    }
}

/// Takes out the longest lines until the rest fits into `room`; says how many.
fn drop_longest(lines: &mut Vec<(String, String)>, room: usize) -> i64 {
    // Name, value, colon, space and line break.
    let length = |(key, value): &(String, String)| key.len() + value.len() + 4;
    let mut total: usize = lines.iter().map(length).sum();
    let mut dropped = 0;
    while total > room {
        let Some((at, longest)) = lines.iter().map(length).enumerate().max_by_key(|(_, length)| *length) else { break };
        lines.remove(at);
        total -= longest;
        dropped += 1;
    }
    dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_keeps_the_original_and_disarms_the_brokers_headers() {
        let letter = DeadLetter {
            code: Code::new("exit"),
            task: "cli.a".parse().expect("an id"),
            skill: Skill::new("shell").expect("a skill"),
            attempts: 5,
            stream: "NOVA_TASKS_shell".into(),
            sequence: 9,
            history: "[]".into(),
            headers: Headers::new().with("Nats-Msg-Id", "cli.a").with("Nats-TTL", "5s").with("X-Mine", "é"),
            body: Bytes::from_static(b"\xff\x00"),
        };
        let headers = letter.to_headers();
        assert_eq!(
            headers.get("Nova-Dead"),
            Some(r#"exit;task="cli.a";skill="shell";attempts=5;stream="NOVA_TASKS_shell";seq=9"#)
        );
        assert_eq!(headers.get("Nova-Orig-Nats-Msg-Id"), Some("cli.a"));
        assert!(headers.iter().all(|(key, _)| !key.starts_with("Nats-")));
        assert_eq!(DeadLetter::parse(&headers, letter.body.clone()), Ok(letter));
    }
}
