//! Codec, subjects and headers.

use std::hint::black_box;

use bytes::Bytes;
use nova_types::{Outcome, OutcomeKind, Policy, Priority, Skill, TaskId, UnixMillis, Usage, WorkerId};
use nova_wire::{Headers, Task, name, parse_outcome, subject, write_outcome};

fn skill() -> Skill {
    Skill::new("code-review").expect("a skill")
}

fn id() -> TaskId {
    "shop.01920000-1234-7abc-8def-0123456789ab".parse().expect("an id")
}

pub fn subjects(times: u64) {
    let (skill, id) = (skill(), id());
    for _ in 0..times {
        let task = black_box(subject::task(&skill, Priority::Normal));
        black_box(subject::parse_place(&task).expect("a task's"));
        black_box(subject::outcome(&skill, &id));
        let done = black_box(subject::done(&skill, &id));
        black_box(subject::parse_done(&done).expect("a notice's"));
    }
}

pub fn task(times: u64) {
    let subject = subject::task(&skill(), Priority::Normal);
    let body = Bytes::from_static(br#"{"repository":"https://git.example/shop","commit":"5f2c01aa"}"#);
    let policy = Policy::default();
    for sequence in 0..times {
        let headers = Headers::new()
            .with(name::MSG_ID, "shop.01920000-1234-7abc-8def-0123456789ab")
            .with(name::TIMEOUT, "90s")
            .with(name::MAX_ATTEMPTS, "5");
        let task = Task::parse(&subject, sequence, headers, body.clone()).expect("a task");
        task.payload.validate().expect("JSON");
        black_box(task.policy(&policy));
    }
}

pub fn outcome(times: u64) {
    let outcome = Outcome {
        kind: OutcomeKind::Completed,
        task: id(),
        skill: skill(),
        attempt: 1,
        worker: Some(WorkerId::new("host-code-review-1a2b").expect("an id")),
        nonce: Some("9f2c01aa-7".to_owned()),
        submitted: Some(UnixMillis(1_795_370_000_123)),
        started: Some(UnixMillis(1_795_370_000_124)),
        finished: UnixMillis(1_795_370_000_130),
        code: None,
        usage: Usage::default(),
        items: None,
    };
    for _ in 0..times {
        let line = black_box(write_outcome(&outcome));
        black_box(parse_outcome(&line).expect("an outcome"));
    }
}
