//! Subjects, and the values of single headers.

use nova_types::UnixMillis;
use nova_wire::subject::{self, TaskPlace};
use nova_wire::{
    BlobMeta, BlobRef, Calendar, Item, Positions, RunSummary, ScheduleSpec, SubmitKey, TaskKey, assets, format_rfc3339,
    limits, parse_outcome, parse_rfc3339, write_outcome,
};

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

const ITEM_WORDS: &[&str] = &[
    ";task=\"_.a\"",
    ";skill=\"echo\"",
    ";attempt=1",
    ";finished=",
    ";code=\"",
    ";items=",
    "completed",
    "dead",
    "running",
    ";run=\"",
    ";n=",
    ";labels=\"a=b,c=d\"",
    ";key=\"",
    "%C3%A9",
    "%FF",
    "\\\"",
    "\\\\",
    ";*=",
    ";size=",
    ";sha256=\"",
];

pub const SUBJECT: Target = Target {
    name: "subject",
    about: "subjects: what is taken apart is put together to the very same subject, so that nothing has two",
    run: subjects,
    words: &[
        "nova.task.",
        "nova.outcome.",
        "nova.attempt.",
        "nova.dead.",
        "nova.schedule.",
        "nova.control.cancel.",
        "nova.done.",
        "nova.later.",
        "nova.due.",
        "nova.call.",
        "nova.run.",
        "nova.order.",
        "nova.reply.",
        "$KV.nova-config.cron.",
        ".high",
        ".low",
        ".normal",
        ".0.",
        ".65535.",
        ".+1.",
        ".007.",
        "%2F",
        "NOVA_TASKS_",
        "$O.nova-blobs.M.",
    ],
    longest: 300,
    tries: 6000,
    bounds: Bounds::USUAL,
};

pub const STRUCTURED: Target = Target {
    name: "structured",
    about: "structured header values: a refusal names a place inside",
    run: structured,
    words: ITEM_WORDS,
    longest: 4096,
    tries: 4000,
    bounds: Bounds::USUAL,
};

pub const OUTCOME: Target = Target {
    name: "outcome",
    about: "the header of an outcome: written and read again it is the same",
    run: outcome,
    words: ITEM_WORDS,
    longest: 4096,
    tries: 4000,
    bounds: Bounds::USUAL,
};

pub const TRANSITION: Target = Target {
    name: "transition-header",
    about: "the header of a transition: written again it says the same, as far as there is room",
    run: transition,
    words: ITEM_WORDS,
    longest: 4096,
    tries: 4000,
    bounds: Bounds::USUAL,
};

pub const BLOB: Target = Target {
    name: "blob",
    about: "the header that names an object: written and read again it is the same, and its record has a subject",
    run: blob,
    words: ITEM_WORDS,
    longest: 1024,
    tries: 4000,
    bounds: Bounds::USUAL,
};

pub const POSITIONS: Target = Target {
    name: "positions",
    about: "positions in a bundle: never more than a bundle has, written and read again they are the same",
    run: positions,
    words: &["0-999", "4 6-9", " ", "-", "999", "4294967295"],
    longest: 4096,
    tries: 4000,
    bounds: Bounds { held: (64 * 1024, 512), steps: (4096, 16) },
};

pub const KEY: Target = Target {
    name: "key",
    about: "keys of tasks and of submits: each has one token, and each token one key",
    run: key,
    words: &["%2F", "%", "%00", "\u{85}", "\u{a0}", "é", "=", "_", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
    longest: 512,
    tries: 5000,
    bounds: Bounds::USUAL,
};

pub const SCHEDULE: Target = Target {
    name: "schedule",
    about: "schedule, zone and moment, one a line: moments go one way, and back the same way",
    run: schedule,
    words: &[
        "@in ",
        "@at ",
        "@every ",
        "@daily",
        "@hourly",
        "*/5 * * * * *",
        "0 0 0 29 2 *",
        "0 0 0 30 2 ?",
        "MON-FRI",
        "jan,dec",
        "\nEurope/Berlin\n",
        "\nAsia/Kathmandu\n",
        "\nUTC\n",
        "\n-9223372036854775808",
        "\n9223372036854775807",
        "\n253402207200000",
        "\n-377705023201000",
        "3650d",
        "#1",
        "1-59/7",
    ],
    longest: 200,
    tries: 1000,
    // A line that never comes is looked for over years, and zones are read from files.
    bounds: Bounds { held: (2 << 20, 512), steps: (200_000, 16) },
};

pub const MOMENT: Target = Target {
    name: "moment",
    about: "RFC 3339 moments: written and read again they are the same",
    run: moment,
    words: &[
        "2026-11-22T18:00:00Z",
        "+23:59",
        "-00:00",
        ".999999999",
        "[Europe/Berlin]",
        "-009999-01-02T00:00:00Z",
        "24:00",
    ],
    longest: 96,
    tries: 4000,
    bounds: Bounds::USUAL,
};

fn subjects(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let built = [
        subject::parse_outcome(&text).map(|(skill, id)| subject::outcome(&skill, &id)),
        subject::parse_attempt(&text).map(|(skill, id)| subject::attempt(&skill, &id)),
        subject::parse_dead(&text).map(|(skill, id)| subject::dead(&skill, &id)),
        subject::parse_schedule(&text).map(|(skill, id)| subject::schedule(&skill, &id)),
        subject::parse_cancel(&text).map(|(skill, id)| subject::cancel(&skill, &id)),
        subject::parse_done(&text).map(|(skill, id)| subject::done(&skill, &id)),
        subject::parse_later(&text).map(|(skill, id)| subject::later(&skill, &id)),
        subject::parse_due(&text).map(|(skill, priority)| subject::due(&skill, priority)),
        subject::parse_call(&text).map(|skill| subject::call(&skill)),
        subject::parse_run(&text).map(|(partition, run)| subject::run(partition, &run)),
        subject::parse_order(&text).map(|(verb, task)| subject::order(verb, &task)),
        subject::parse_cron_state(&text).map(|(skill, id)| subject::cron_state(&skill, &id)),
        assets::skill_of_stream(&text).map(|skill| assets::tasks_stream(&skill)),
    ];
    for built in built.iter().flatten() {
        same("a subject taken apart and put together", built, &text)?;
    }
    if let Some(name) = BlobMeta::name_of_subject(&text) {
        same("the object of a name", &BlobMeta::name_of_subject(&BlobMeta::subject(&name)), &Some(name))?;
    }
    if let Some((scope, token)) = subject::parse_reply(&text) {
        holds("a reply ends as it was read", text.ends_with(&format!("{scope}.{token}")))?;
    }
    if let Some(group) = subject::commit_group(&text) {
        holds("a group is the beginning of its subject", text.starts_with(group))?;
    }
    let Some(TaskPlace { skill, priority, token }) = subject::parse_place(&text) else {
        let is_read = built.iter().any(Option::is_some);
        return if is_read { read("a record's") } else { refused("no subject of ours") };
    };
    let key = token.map(TaskKey::from_token);
    let partition = subject::partition_of(&text);
    let again = match (&key, partition) {
        (None, _) => subject::task(&skill, priority),
        (Some(Ok(key)), None) => subject::keyed_task(&skill, priority, key),
        (Some(Ok(key)), Some(partition)) => {
            subject::key_in_partition(&skill, partition, &key.token()).replacen('*', priority.as_str(), 1)
        }
        (Some(Err(_)), _) => return read("a task's with a token that is no key's"),
    };
    // The priority may be said where it is the usual one.
    let is_usual = key.is_none() && text == format!("{again}.normal");
    holds("a task's subject is put together to the same", again == text || is_usual)?;
    read("a task's")
}

fn structured(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    match Item::parse(&text) {
        Ok(item) => {
            for (key, _) in &item.parameters {
                holds("a parameter that was read is there", item.get(key).is_some())?;
            }
            read(format!("{} parameters", item.parameters.len().min(4)))
        }
        Err(error) => {
            holds("the place of a fault is inside", error.at <= text.len())?;
            refused(error)
        }
    }
}

fn outcome(bytes: &[u8]) -> Held {
    match parse_outcome(&as_text(bytes)) {
        Ok(outcome) => {
            same("an outcome written", &parse_outcome(&write_outcome(&outcome)), &Ok(outcome.clone()))?;
            read(outcome.kind.as_str())
        }
        Err(error) => refused(error),
    }
}

fn transition(bytes: &[u8]) -> Held {
    let summary = match RunSummary::parse(&as_text(bytes)) {
        Ok(summary) => summary,
        Err(error) => return refused(error),
    };
    let header = summary.to_header();
    let again = RunSummary::parse(&header).map_err(|error| format!("what was written cannot be read: {error}"))?;
    same("a summary written twice", &again.to_header(), &header)?;
    let short = |key: &Option<String>| key.as_deref().map(|key| limits::clip(key, 256).to_owned());
    same("keys", &short(&again.key), &short(&summary.key))?;
    let rest = |summary: &RunSummary| RunSummary { key: None, labels: [].into(), ..summary.clone() };
    same("summaries", &rest(&again), &rest(&summary))?;
    for (key, value) in &again.labels {
        same("a label", &summary.labels.get(key), &Some(value))?;
    }
    read(summary.status.as_str())
}

fn blob(bytes: &[u8]) -> Held {
    let blob = match BlobRef::parse(&as_text(bytes)) {
        Ok(blob) => blob,
        Err(error) => return refused(error),
    };
    same("a name of an object written", &BlobRef::parse(&blob.to_header()), &Ok(blob.clone()))?;
    same(
        "the object of a record's subject",
        &BlobMeta::name_of_subject(&BlobMeta::subject(&blob.name)),
        &Some(blob.name.clone()),
    )?;
    same("the length of a digest", &blob.digest().len(), &("SHA-256=".len() + 44))?;
    holds("no other bytes match", !blob.matches(b"not these bytes"))?;
    read("blob")
}

fn positions(bytes: &[u8]) -> Held {
    let positions: Positions = match as_text(bytes).parse() {
        Ok(positions) => positions,
        Err(error) => return refused(error),
    };
    holds("there are no more than a bundle has", positions.len() <= limits::BUNDLE_ITEMS as usize)?;
    holds("they go up", positions.iter().is_sorted_by(|one, next| one < next))?;
    same("positions written", &positions.to_string().parse(), &Ok(positions.clone()))?;
    read("positions")
}

fn key(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    if let Ok(key) = SubmitKey::new(text.as_str()) {
        let token = key.token();
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-=".contains(&b);
        holds("the token of a submit's key is one of a subject", token.len() <= 64 && token.bytes().all(fits))?;
    }
    let by_token = TaskKey::from_token(&text);
    if let Ok(key) = &by_token {
        same("the token of a token's key", &key.token(), &text)?;
    }
    let key = match TaskKey::new(text.as_str()) {
        Ok(key) => key,
        Err(error) if by_token.is_err() => return refused(error),
        Err(_) => return read("token"),
    };
    let token = key.token();
    holds("a token is one of a subject", token.is_ascii() && !token.contains(['.', '*', '>', ' ']))?;
    same("the key of a key's token", &TaskKey::from_token(&token), &Ok(key))?;
    read("key")
}

fn schedule(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let mut lines = text.split('\n');
    let (when, zone, since) = (lines.next().unwrap_or_default(), lines.next(), lines.next());
    let zone = zone.filter(|zone| !zone.is_empty());
    let since = UnixMillis(since.and_then(|since| since.parse().ok()).unwrap_or(1_795_370_000_123));
    let spec: ScheduleSpec = match when.parse() {
        Ok(spec) => spec,
        Err(error) => return refused(error),
    };
    same("a schedule written", &spec.to_string().parse(), &Ok(spec.clone()))?;
    let told = spec.to_broker(since);
    holds(
        "the broker is told of a moment it can read",
        told.starts_with("@every ") || told.parse::<ScheduleSpec>().is_ok(),
    )?;
    let calendar = match Calendar::new(when, zone, since) {
        Ok(Some(calendar)) => calendar,
        Ok(None) => return read("once"),
        Err(error) => return refused(error),
    };
    same("whether it recurs", &spec.is_recurring(), &true)?;
    let _ = calendar.first(since);
    let Some(next) = calendar.after(since) else { return read("never") };
    holds("what comes after is later", next > since)?;
    if let Some(after) = next.0.checked_add(1) {
        same("the moment before the next", &calendar.before(UnixMillis(after)), &Some(next))?;
    }
    let later: Vec<_> = calendar.from(next).take(3).collect();
    holds("the moments from one on begin with it", later.first() == Some(&next))?;
    holds("moments go up", later.is_sorted_by(|one, other| one < other))?;
    if let Some(last) = later.last() {
        let back: Vec<_> = calendar.back_from(*last).take(later.len() - 1).collect();
        same("the way back", &back.into_iter().rev().collect::<Vec<_>>(), &later[..later.len() - 1].to_vec())?;
    }
    read("again and again")
}

fn moment(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let Some(moment) = parse_rfc3339(&text) else { return refused("no moment") };
    same("a moment written", &parse_rfc3339(&format_rfc3339(moment)), &Some(moment))?;
    read("moment")
}
