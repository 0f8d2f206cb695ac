//! Ids and the small words of headers, flags and settings.

use nova_types::{
    Backoff, CatchUp, Code, DurationText, InvalidRunWord, Name, Priority, Rate, RunId, Scope, Skill, StepId, TaskId,
    UnixMillis, WorkerId, WorkflowName,
};

use super::{Bounds, Held, Target, as_text, holds, read, refused, same};

pub const IDS: Target = Target {
    name: "ids",
    about: "ids and names: written as they were read, and every id leads to a run and a moment with names that fit",
    run: ids,
    words: &[
        "_",
        ".",
        "-r1",
        "_seq.",
        "r0.",
        "run_0123456789abcdef",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ],
    longest: 256,
    tries: 6000,
    bounds: Bounds::USUAL,
};

pub const WORDS: Target = Target {
    name: "words",
    about: "durations, backoffs, rates, priorities and codes: written and read again they are the same",
    run: words,
    words: &["ms", "s", "m", "h", "d", "..", "/", " burst ", "1s..5m", "100/s", "high", "skip", "18446744073709551615"],
    longest: 128,
    tries: 8000,
    bounds: Bounds::USUAL,
};

fn ids(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let words = [
        Scope::new(&text).map(String::from).ok(),
        Name::new(&text).map(String::from).ok(),
        WorkerId::new(&text).map(String::from).ok(),
        Skill::new(&text).map(String::from).ok(),
        RunId::new(&text).map(String::from).ok(),
        StepId::new(&text).map(String::from).ok(),
        WorkflowName::new(&text).map(String::from).ok(),
    ];
    for word in words.iter().flatten() {
        same("a word and its text", word, &text)?;
        holds("a word is one token of a subject", !word.contains(['.', ' ', '*', '>']) && word.is_ascii())?;
    }
    let id: TaskId = match text.parse() {
        Ok(id) => id,
        Err(error) => return refused(error),
    };
    same("an id and what it is written as", &id.to_string().parse(), &Ok(id.clone()))?;
    if let Ok(given) = TaskId::from_client(&text) {
        holds("clients name no scope of Nova's", given.scope().is_for_clients())?;
    }
    let run = RunId::of(&id);
    let named: Result<RunId, InvalidRunWord> = RunId::new(run.as_str());
    same("the run of an id and its text", &named, &Ok(run.clone()))?;
    same("the run of a part's name", &RunId::of_part(&run.name_of(&text)), &Some(run))?;
    for moment in [i64::MIN, -1, 0, 1_795_370_000_123, i64::MAX] {
        let at = id.of_moment(UnixMillis(moment));
        same("the id of a moment and its text", &at.to_string().parse(), &Ok(at.clone()))?;
        holds("a moment has an id of its own", at != id)?;
    }
    read("id")
}

fn words(bytes: &[u8]) -> Held {
    let text = as_text(bytes);
    let mut read_as = Vec::new();
    let duration: Result<DurationText, _> = text.parse();
    if let Ok(duration) = duration {
        same("a duration written", &duration.to_string().parse(), &Ok(duration))?;
        read_as.push("duration");
    }
    if let Ok(backoff) = text.parse::<Backoff>() {
        same("a backoff written", &backoff.to_string().parse(), &Ok(backoff))?;
        for attempt in [0, 1, 31, 32, 33, u32::MAX] {
            holds("jitter only shortens a pause", backoff.jittered(attempt, 1.0) <= backoff.after(attempt))?;
        }
        read_as.push("backoff");
    }
    if let Ok(rate) = text.parse::<Rate>() {
        same("a rate written", &rate.to_string().parse(), &Ok(rate))?;
        read_as.push("rate");
    }
    if let Ok(priority) = text.parse::<Priority>() {
        same("a priority written", priority.as_str(), &text)?;
        read_as.push("priority");
    }
    if let Ok(policy) = text.parse::<CatchUp>() {
        same("a policy written", policy.as_str(), &text)?;
        read_as.push("catch-up");
    }
    let code = Code::new(&text);
    same("a code of a code", &Code::new(code.as_str()), &code)?;
    holds("a code is short", (1..=48).contains(&code.as_str().len()))?;
    match duration {
        Err(error) if read_as.is_empty() => refused(error),
        _ => read(read_as.join(" ")),
    }
}
