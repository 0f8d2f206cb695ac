//! Whole messages: a subject, header lines, an empty line and a body, as they come from a stream.

use std::collections::BTreeMap;

use bytes::Bytes;
use nova_types::{Generation, Policy, codes};
use nova_wire::{AttemptRecord, DeadLetter, Headers, SkillPolicy, Task, TaskOptions, limits, name, subject};

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

const LINES: &[&str] = &[
    "nova.task.echo\n",
    "nova.task.echo.high.a%2Fb\n",
    "Nats-Msg-Id: ",
    "Nova-Id: ",
    "_.a~1",
    "Nova-Timeout: ",
    "Nova-Deadline: ",
    "Nova-Max-Attempts: ",
    "Nova-Backoff: 1s..5m",
    "Nova-Key: ",
    "Nova-Outcome-TTL: 1h",
    "Nova-Reply: nova.reply.a.b",
    "Nova-Version: 1",
    "Nova-Bundle: 1000",
    "Nova-Labels: a=b",
    "Nova-Redrive-Of: ",
    "Nova-Dead: ",
    "Nova-Attempts: []",
    "Nova-Blob: ",
    "Nova-Orig-Nats-",
    "Nats-Rollup: all",
    "Nats-Expected-Last-Subject-Sequence: 0",
    "Content-Type: application/msgpack",
    "Content-Type: application/json; charset=utf-8",
    "\n\n",
    "NOVA-",
    "traceparent: ",
    "error;task=\"_.a\";skill=\"echo\";attempts=1;stream=\"S\";seq=9",
];

pub const TASK: Target = Target {
    name: "task",
    about: "a task's message: what is read is the same when Nova publishes it again, what is refused becomes a letter",
    run: task,
    words: LINES,
    longest: 16 * 1024,
    tries: 2500,
    bounds: Bounds { held: (256 * 1024, 512), steps: (2048, 16) },
};

pub const LETTER: Target = Target {
    name: "letter",
    about: "a dead letter: it keeps the original headers, none of them the broker's, and written again it is the same",
    run: letter,
    words: LINES,
    longest: 16 * 1024,
    tries: 2500,
    bounds: Bounds::USUAL,
};

pub const NOTES: Target = Target {
    name: "notes",
    about: "a skill's policy as notes on its consumers: written and read again it is the same",
    run: notes,
    words: &[
        "nova-lease=",
        "nova-timeout=",
        "nova-max-attempts=",
        "nova-backoff=",
        "nova-costly=true",
        "nova-events=full",
        "nova-rate=",
        "nova-key-rate=",
        "nova-key-partitions=",
        "nova-key-concurrency=",
        "\n",
        "64",
        "1000",
        "100/s burst 50",
    ],
    longest: 1024,
    tries: 2500,
    bounds: Bounds::USUAL,
};

/// The subject, headers and body of a message written as text.
fn message(bytes: &[u8]) -> (String, Headers, Bytes) {
    let (head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &b""[..]),
    };
    let head = as_text(head);
    let (subject, lines) = head.split_once('\n').unwrap_or((&head, ""));
    let lines = lines.lines().filter_map(|line| line.split_once(':'));
    let headers = lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    (subject.to_owned(), headers, Bytes::copy_from_slice(body))
}

fn task(bytes: &[u8]) -> Held {
    let (place, headers, body) = message(bytes);
    let task = match Task::parse(&place, 7, headers.clone(), body.clone()) {
        Ok(task) => task,
        Err(bad) => {
            holds(
                "a refusal has a code",
                bad.code.as_str().starts_with("bad_") || bad.code.as_str() == codes::UNSUPPORTED,
            )?;
            holds("a refusal is short", bad.message.len() <= 1024)?;
            let skill = nova_types::Skill::new("echo").expect("a skill's name");
            let recorded = subject::parse_outcome(&subject::outcome(&skill, &bad.id));
            same("where a refusal is recorded", &recorded, &Some((skill.clone(), bad.id.clone())))?;
            kept(&letter_of(&headers, &body, &bad.code, &bad.id, &skill))?;
            return refused(format!("{}: {}", bad.code, bad.message));
        }
    };
    let policy = task.policy(&Policy::default());
    holds("a task has some time", !policy.timeout.is_zero() && policy.max_attempts > 0)?;
    let again = Task::republished_headers(&headers, &task.id, Generation::moved(u64::MAX));
    let again =
        Task::parse(&place, 8, again, body.clone()).map_err(|bad| format!("published again it is refused: {bad}"))?;
    holds("a task that is published again is known as such", again.is_republished)?;
    same("its id", &again.id, &task.id)?;
    same("its options", &again.options, &task.options)?;
    same("its payload", &again.payload, &task.payload)?;
    same("its blob and key", &(&again.blob, &again.key), &(&task.blob, &task.key))?;
    let mut written = Headers::new();
    task.options.write(&mut written);
    same("options written", &TaskOptions::from_headers(&written), &Ok(task.options.clone()))?;
    kept(&letter_of(&headers, &body, &codes::ERROR.into(), &task.id, &task.skill))?;
    let body = task.payload.validate();
    read(body.map_or_else(|error| error.code().to_owned(), |()| "a task".to_owned()))
}

fn letter_of(
    headers: &Headers,
    body: &Bytes,
    code: &nova_types::Code,
    task: &nova_types::TaskId,
    skill: &nova_types::Skill,
) -> DeadLetter {
    DeadLetter {
        code: code.clone(),
        task: task.clone(),
        skill: skill.clone(),
        attempts: 1,
        stream: "NOVA_TASKS_echo".to_owned(),
        sequence: 7,
        history: "[]".to_owned(),
        headers: headers.clone(),
        body: body.clone(),
    }
}

/// Whether a letter keeps what it is about.
fn kept(letter: &DeadLetter) -> Result<(), String> {
    let headers = letter.to_headers();
    let block: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    holds("its headers fit into a message", block <= limits::HEADER_BLOCK_BYTES)?;
    let is_brokers = |name: &str| name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(name::NATS_PREFIX));
    holds("none of its headers is the broker's", !headers.iter().any(|(name, _)| is_brokers(name)))?;
    let again =
        DeadLetter::parse(&headers, letter.body.clone()).map_err(|error| format!("a letter written: {error}"))?;
    let rest =
        |letter: &DeadLetter| DeadLetter { headers: Headers::new(), code: nova_types::Code::new(""), ..letter.clone() };
    same("what a letter says", &rest(&again), &rest(letter))?;
    same("a letter written twice", &again.to_headers(), &headers)
}

fn letter(bytes: &[u8]) -> Held {
    let (_, headers, body) = message(bytes);
    let letter = match DeadLetter::parse(&headers, body) {
        Ok(letter) => letter,
        Err(error) => return refused(error),
    };
    // Numbers of a letter are held at what its header has room for.
    if letter.history.len() <= limits::ATTEMPTS_HEADER_BYTES {
        kept(&letter)?;
    }
    let listed: AttemptRecord = letter.attempts_listed();
    same("how many attempts failed", &listed.failed, &letter.attempts)?;
    read(format!("a letter of {} attempts", listed.failures.len().min(3)))
}

fn notes(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let notes: BTreeMap<String, String> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let policy = match SkillPolicy::from_metadata(&notes) {
        Ok(policy) => policy,
        Err(error) => return refused(error),
    };
    let again = SkillPolicy::from_metadata(&policy.to_metadata());
    same("a policy written", &again, &Ok(policy.clone()))?;
    holds("a lease lasts, an attempt may be made", !policy.lease.is_zero() && policy.policy.max_attempts > 0)?;
    read(format!("{:?} {}", policy.events, policy.keyed.is_some()))
}
