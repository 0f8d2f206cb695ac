//! A run's steps as a tree of text: each under the last of what it needs.

use std::collections::{BTreeMap, BTreeSet};

use nova_engine::run::{StepStatus, View};
use nova_types::{StepId, UnixMillis};
use nova_workflow::Plan;

use super::words::{standing, what};

/// How text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ink {
    /// As it is.
    None,
    /// With the terminal's own colours.
    Ansi,
}

/// One step's line in its pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) step: StepId,
    pub(crate) status: Option<StepStatus>,
    /// Rails and the step's id.
    pub(crate) head: String,
    /// What is to be said of it.
    pub(crate) tail: String,
}

/// The lines of a workflow, with where its steps stand when it is a run's.
pub(crate) fn lines(plan: &Plan, view: Option<&View>, now: UnixMillis) -> Vec<Line> {
    let rank: BTreeMap<&StepId, usize> = plan.order().iter().enumerate().map(|(at, id)| (id, at)).collect();
    let parent = |id: &StepId| plan.needs(id).iter().max_by_key(|need| rank[need]);
    let mut children: BTreeMap<Option<&StepId>, Vec<&StepId>> = BTreeMap::new();
    for id in plan.order() {
        children.entry(parent(id)).or_default().push(id);
    }
    let mut lines = Vec::new();
    let mut stack: Vec<(&StepId, String, String)> = Vec::new();
    branch(&mut stack, children.get(&None), "");
    while let Some((id, rail, below)) = stack.pop() {
        let up = parent(id);
        let others = plan.needs(id).iter().filter(|need| Some(*need) != up);
        let others: Vec<&str> =
            others.filter(|need| !up.is_some_and(|up| is_above(plan, need, up))).map(StepId::as_str).collect();
        let step = view.and_then(|view| view.steps.get(id));
        let mut tail = match step {
            Some(step) => standing(step, now),
            None => what(plan, id),
        };
        if !others.is_empty() && step.is_none() {
            tail.push_str(&format!("  (and after {})", others.join(", ")));
        }
        lines.push(Line { step: id.clone(), status: step.map(|step| step.status), head: format!("{rail}{id}"), tail });
        branch(&mut stack, children.get(&Some(id)), &below);
    }
    lines
}

/// Puts steps that stand side by side onto the stack, the first on top. A chain stays in its column, branches are indented.
fn branch<'a>(stack: &mut Vec<(&'a StepId, String, String)>, of: Option<&Vec<&'a StepId>>, below: &str) {
    let of = of.map_or(&[][..], Vec::as_slice);
    for (at, child) in of.iter().enumerate().rev() {
        let (turn, on) = match (of.len(), at + 1 == of.len()) {
            (1, _) => ("", ""),
            (_, true) => ("└ ", "  "),
            (_, false) => ("├ ", "│ "),
        };
        stack.push((child, format!("{below}{turn}"), format!("{below}{on}")));
    }
}

/// Whether a step comes before another by way of what that one needs.
fn is_above(plan: &Plan, step: &StepId, of: &StepId) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![of];
    while let Some(id) = open.pop() {
        if plan.needs(id).contains(step) {
            return true;
        }
        open.extend(plan.needs(id).iter().filter(|need| seen.insert(*need)));
    }
    false
}

/// Lines as text, their tails in one column.
pub(crate) fn text(lines: &[Line], ink: Ink) -> Vec<String> {
    let wide = lines.iter().map(|line| line.head.chars().count()).max().unwrap_or(0).min(40);
    let one = |line: &Line| {
        let gap = " ".repeat(wide.saturating_sub(line.head.chars().count()) + 2);
        let (mark, colour) = mark(line.status);
        let (on, off) = match ink {
            Ink::Ansi if !colour.is_empty() => (format!("\u{1b}[{colour}m"), "\u{1b}[0m"),
            _ => (String::new(), ""),
        };
        let mark = if line.status.is_some() { format!("{on}{mark}{off} ") } else { String::new() };
        format!("{mark}{}{gap}{}", line.head, line.tail).trim_end().to_owned()
    };
    lines.iter().map(one).collect()
}

fn mark(status: Option<StepStatus>) -> (&'static str, &'static str) {
    match status {
        None | Some(StepStatus::Waiting) => ("·", "2"),
        Some(StepStatus::Running) => ("▶", "36"),
        Some(StepStatus::Completed) => ("✓", "32"),
        Some(StepStatus::Failed) => ("✗", "31"),
        Some(StepStatus::Skipped) => ("-", "2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Plan {
        Plan::new(serde_json::from_str(text).expect("well formed")).expect("sound")
    }

    #[test]
    fn a_chain_keeps_its_column_and_branches_are_indented() {
        let plan = plan(
            r#"{"workflow":"w","steps":{
            "a":{"task":{"skill":"echo"}},
            "b":{"after":["a"],"task":{"skill":"echo"}},
            "c":{"after":["a","b"],"task":{"skill":"echo"}},
            "d":{"after":["b"],"map":{"over":"input","do":{"skill":"http"}}},
            "e":{"join":{"of":["c","d"],"need":"any"}},
            "f":{"wait":{"for":"5s"}}}}"#,
        );
        let drawn = text(&lines(&plan, None, UnixMillis(0)), Ink::None);
        assert_eq!(
            drawn,
            [
                "├ a    echo",
                "│ b    echo",
                "│ ├ c  echo",
                "│ └ d  map http over input",
                "│   e  join any of 2  (and after c)",
                "└ f    wait 5s",
            ]
        );
    }
}
