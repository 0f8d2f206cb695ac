//! Events and decisions of a run in words, for histories and logs.

use nova_types::OutcomeKind;
use nova_wire::{format_rfc3339, limits};
use nova_workflow::{Datum, Decision, End, Event, Failure, Part, Role, Timer, Transition};

/// The longest text of a value in a line, in bytes.
const VALUE_BYTES: usize = 60;

/// What happened in a transition, then what was decided; empty for one that only marks what was carried out.
pub(crate) fn lines(transition: &Transition) -> Vec<String> {
    let events = transition.events.iter().flat_map(event);
    let all = events.chain(transition.decisions.iter().map(|one| format!("-> {}", decision(one))));
    all.map(|line| line.replace(char::is_control, " ")).collect()
}

/// A value in short.
pub(crate) fn datum(datum: &Datum) -> String {
    match datum {
        Datum::Inline(value) => short(&value.to_string()),
        Datum::Blob(blob) => format!("{} in the object store", crate::out::rounded(blob.size)),
    }
}

/// A text cut to what fits a line.
pub(crate) fn short(text: &str) -> String {
    let cut = limits::clip(text, VALUE_BYTES);
    if cut.len() < text.len() { format!("{cut}…") } else { text.to_owned() }
}

/// A hash cut to what tells two apart.
pub(crate) fn digest(hash: &str) -> &str {
    limits::clip(hash, 12)
}

/// A failure in one line.
pub(crate) fn failure(failure: &Failure) -> String {
    if failure.message.is_empty() { failure.code.to_string() } else { format!("{}: {}", failure.code, failure.message) }
}

/// One task of a step by its place.
pub(crate) fn part(part: &Part) -> String {
    let role = if part.role == Role::Work { String::new() } else { format!(" {}", part.role.as_str()) };
    format!("{}{role}[{}]", part.step, part.index)
}

fn event(event: &Event) -> Vec<String> {
    let by = |by: &Option<String>| by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    vec![match event {
        Event::Started(started) => {
            let queued = if started.queued { ", in line" } else { "" };
            let restart = started.restart_of.as_ref().map(|run| format!(", restart of {run}")).unwrap_or_default();
            let kept =
                if started.kept.is_empty() { String::new() } else { format!(", {} steps kept", started.kept.len()) };
            format!("started {} with {}{queued}{restart}{kept}", started.workflow, datum(&started.input))
        }
        Event::Admitted => "admitted: there is room among the runs of its workflow".to_owned(),
        Event::Ended(ends) => return ends.iter().map(end).collect(),
        Event::Items(items) => {
            let failed =
                if items.failed.is_empty() { String::new() } else { format!(", {} failed", items.failed.len()) };
            format!("{}: {} items completed{failed}", items.step, items.done.items.len())
        }
        Event::Fired(timer) => format!("time came: {}", moment(timer)),
        Event::Signalled { name, data, by: from, .. } => format!("signal {name}{} with {}", by(from), datum(data)),
        Event::Approved(answer) => {
            let word = if answer.yes { "approved" } else { "rejected" };
            let note = answer.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            format!("{} {word}{}{note} ({})", answer.step, by(&answer.by), digest(&answer.hash))
        }
        Event::Cancelled { why } if why.is_empty() => "cancel asked for".to_owned(),
        Event::Cancelled { why } => format!("cancel asked for: {why}"),
        Event::Paused { .. } => "paused".to_owned(),
        Event::Resumed { .. } => "resumed".to_owned(),
    }]
}

fn end(end: &End) -> String {
    let place = part(&end.part);
    match (end.kind, &end.error) {
        (OutcomeKind::Completed, _) => format!("{place} completed: {}", datum(&end.result)),
        (kind, None) => format!("{place} {kind}"),
        (kind, Some(error)) => format!("{place} {kind} after attempt {}: {}", end.attempt, failure(error)),
    }
}

/// A decision in words.
pub(crate) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Start { step, role, from, to } => {
            let role = if *role == Role::Work { String::new() } else { format!(" {}", role.as_str()) };
            if to - from == 1 {
                format!("start {step}{role}[{from}]")
            } else {
                format!("start {step}{role}[{from}..{to}]")
            }
        }
        Decision::Items { step, items } => format!("start {} items of {step} again", items.len()),
        Decision::Wait { step, hash: None } => format!("{step} waits"),
        Decision::Wait { step, hash: Some(hash) } => format!("{step} waits for approval of {}", digest(hash)),
        Decision::Set { timer, at } => format!("set {} for {}", moment(timer), format_rfc3339(*at)),
        Decision::Unset { timer } => format!("withdraw {}", moment(timer)),
        Decision::Cancel { part: which } => format!("cancel {}", part(which)),
        Decision::Complete { step } => format!("{step} completed"),
        Decision::Fail { step, failure: why } => format!("{step} failed: {}", failure(why)),
        Decision::Skip { step } => format!("{step} skipped"),
        Decision::Ignore { why } => format!("ignored: {why}"),
        Decision::Status(status) => format!("run is {status}"),
        Decision::End(end) => {
            let step = end.step.as_ref().map(|step| format!(" at {step}")).unwrap_or_default();
            let why = end.failure.as_ref().map(|why| format!(": {}", failure(why))).unwrap_or_default();
            format!("run ended {}{step}{why}", end.status)
        }
    }
}

fn moment(timer: &Timer) -> String {
    match timer {
        Timer::Deadline => "the deadline".to_owned(),
        Timer::Wait(step) => format!("the end of wait {step}"),
        Timer::Round(step, round) => format!("round {round} of {step}"),
    }
}
