//! A step in words: what it does, and where it stands.

use nova_engine::run::{StepStatus, StepView, View, WaitsFor};
use nova_types::{StepId, UnixMillis};
use nova_workflow::{Kind, Plan, Work};

use super::told;

/// How wide a bar of a map is.
const BAR: usize = 20;

/// What a step does, from its definition.
pub(crate) fn what(plan: &Plan, id: &StepId) -> String {
    let work = |work: &Work| match (&work.skill, &work.workflow) {
        (Some(skill), _) => skill.to_string(),
        (None, Some(workflow)) => format!("run {workflow}"),
        (None, None) => String::new(),
    };
    match plan.kind(id) {
        Kind::Task(of) | Kind::Run(of) => work(of),
        Kind::Map(map) => format!("map {} over {}", work(&map.work), told::short(&map.over.0)),
        Kind::Join(join) => {
            let need = serde_json::Value::from(join.need);
            format!("join {} of {}", need.as_str().map_or_else(|| need.to_string(), str::to_owned), join.of.len())
        }
        Kind::Vote(vote) => match &vote.work {
            Some(of) => format!("vote {} times {}", vote.times.unwrap_or(3), work(of)),
            None => format!("vote by {}", vote.by.len()),
        },
        Kind::Choice(choice) => format!("choice of {}", choice.cases.len() + usize::from(!choice.otherwise.is_empty())),
        Kind::Loop(repeat) => format!("loop {}, {} times at most", work(&repeat.work), repeat.max),
        Kind::Wait(wait) => match (&wait.duration, &wait.until, &wait.signal) {
            (Some(time), ..) => format!("wait {time}"),
            (_, Some(until), _) => format!("wait until {}", told::short(&until.0)),
            (_, _, Some(signal)) => format!("wait for signal {signal}"),
            _ => "wait for approval".to_owned(),
        },
    }
}

/// Where a step stands, in words.
pub(crate) fn standing(step: &StepView, now: UnixMillis) -> String {
    let mut words = vec![step.status.as_str().to_owned()];
    if step.total > 1 {
        words.push(bar(step));
    }
    words.extend(took(step, now));
    words.push(note(step));
    if step.kept {
        words.push("(kept)".to_owned());
    }
    match step.undone {
        Some(true) => words.push("(undone)".to_owned()),
        Some(false) => words.push("(undo failed)".to_owned()),
        None => {}
    }
    words.retain(|word| !word.is_empty());
    words.join("  ")
}

fn bar(step: &StepView) -> String {
    let (total, ended) = (step.total.max(1) as usize, (step.done + step.failed) as usize);
    let full = (ended * BAR / total).min(BAR);
    let failed = if step.failed > 0 { format!(", {} failed", step.failed) } else { String::new() };
    format!("{}{} {}/{}{failed}", "━".repeat(full), "─".repeat(BAR - full), step.done, step.total)
}

/// Where a step stands. Nothing is waited for in a run that has ended.
pub(crate) fn status(step: &StepView, view: &View) -> &'static str {
    match step.status {
        StepStatus::Waiting if view.ended.is_some() => "not begun",
        status => status.as_str(),
    }
}

/// How long a step took, or takes.
pub(crate) fn took(step: &StepView, now: UnixMillis) -> Option<String> {
    let from = step.started?;
    // What was kept or skipped took no time of this run.
    if step.kept || step.status == StepStatus::Skipped {
        return None;
    }
    Some(span(step.ended.unwrap_or(now).0.saturating_sub(from.0)))
}

/// A span of time for people.
pub(crate) fn span(millis: i64) -> String {
    let millis = millis.max(0);
    match millis {
        0..1_000 => format!("{millis}ms"),
        1_000..60_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        60_000..7_200_000 => format!("{}m{:02}s", millis / 60_000, millis / 1000 % 60),
        7_200_000..172_800_000 => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
        _ => format!("{}d{:02}h", millis / 86_400_000, millis / 3_600_000 % 24),
    }
}

/// Why a step failed or what it waits for.
pub(crate) fn note(step: &StepView) -> String {
    if let Some(failure) = &step.error {
        let attempts = if step.attempts > 1 { format!(" after {} attempts", step.attempts) } else { String::new() };
        return format!("{}{attempts}", told::failure(failure));
    }
    match &step.waits_for {
        None => String::new(),
        Some(WaitsFor::Steps(_)) if step.status == StepStatus::Waiting => String::new(),
        Some(waits) => format!("waits for {}", waiting(waits)),
    }
}

/// What is waited for, in words.
pub(crate) fn waiting(waits: &WaitsFor) -> String {
    let until = |until: &Option<UnixMillis>| {
        until.map(|at| format!(", until {}", nova_wire::format_rfc3339(at))).unwrap_or_default()
    };
    match waits {
        WaitsFor::Steps(steps) => steps.iter().map(StepId::as_str).collect::<Vec<_>>().join(", "),
        WaitsFor::Room => "room among the tasks of the run".to_owned(),
        WaitsFor::Time(at) => nova_wire::format_rfc3339(*at),
        WaitsFor::Signal { name, until: end } => format!("signal {name}{}", until(end)),
        WaitsFor::Approval { ask, until: end, .. } if ask.is_empty() => format!("approval{}", until(end)),
        WaitsFor::Approval { ask, until: end, .. } => format!("approval: {ask}{}", until(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_two_units() {
        for (millis, text) in
            [(5, "5ms"), (1234, "1.2s"), (61_000, "1m01s"), (7_260_000, "2h01m"), (180_000_000, "2d02h")]
        {
            assert_eq!(span(millis), text);
        }
    }
}
