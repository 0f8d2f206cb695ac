//! A workflow or a run as Mermaid text.

use std::fmt::Write as _;

use nova_engine::run::{StepStatus, View};
use nova_types::StepId;
use nova_workflow::{Kind, Plan};

use super::words;

/// The flowchart; of a run with the colours of where its steps stand.
pub(crate) fn flowchart(plan: &Plan, view: Option<&View>) -> String {
    let mut out = String::from("flowchart TD\n");
    for id in plan.order() {
        let label = format!("{id}<br/>{}", escape(&words::what(plan, id)));
        let (open, close) = match plan.kind(id) {
            Kind::Task(_) | Kind::Loop(_) => ("[", "]"),
            Kind::Map(_) | Kind::Run(_) => ("[[", "]]"),
            Kind::Join(_) => ("{{", "}}"),
            Kind::Vote(_) => ("[/", "/]"),
            Kind::Choice(_) => ("{", "}"),
            Kind::Wait(_) => ("([", "])"),
        };
        push(&mut out, format_args!("  {}{open}\"{label}\"{close}\n", node(id)));
    }
    for id in plan.order() {
        for need in plan.needs(id) {
            let label = picked(plan, need, id).map(|when| format!("|\"{}\"|", escape(&when))).unwrap_or_default();
            push(&mut out, format_args!("  {} -->{label} {}\n", node(need), node(id)));
        }
    }
    let Some(view) = view else { return out };
    for (status, style) in [
        (StepStatus::Running, "fill:#cfe8ff,stroke:#1f6feb,color:#000"),
        (StepStatus::Completed, "fill:#d3f5d8,stroke:#2da44e,color:#000"),
        (StepStatus::Failed, "fill:#ffd7d5,stroke:#cf222e,color:#000"),
        (StepStatus::Skipped, "fill:#eeeeee,stroke:#999999,color:#666"),
    ] {
        let of: Vec<String> =
            view.steps.iter().filter(|(_, step)| step.status == status).map(|(id, _)| node(id)).collect();
        if !of.is_empty() {
            let class = status.as_str();
            push(&mut out, format_args!("  classDef {class} {style}\n  class {} {class}\n", of.join(",")));
        }
    }
    out
}

/// `end` and `class` are words of Mermaid's own: a prefix keeps every step clear of them.
fn node(id: &StepId) -> String {
    format!("s_{id}")
}

/// When a choice picks a step.
fn picked(plan: &Plan, choice: &StepId, id: &StepId) -> Option<String> {
    let Kind::Choice(of) = plan.kind(choice) else { return None };
    let case = of.cases.iter().find(|case| case.then.contains(id)).map(|case| case.when.0.clone());
    case.or_else(|| of.otherwise.contains(id).then(|| "otherwise".to_owned()))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn push(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_says_on_its_edges_when_it_picks() {
        let text = r#"{"workflow":"w","steps":{
            "end":{"choice":{"cases":[{"when":"input.a == \"x\"","then":["b"]}],"otherwise":["c"]}},
            "b":{"task":{"skill":"echo"}},"c":{"wait":{"for":"5s"}}}}"#;
        let plan = Plan::new(serde_json::from_str(text).expect("well formed")).expect("sound");
        let drawn = flowchart(&plan, None);
        for line in [
            "  s_end{\"end<br/>choice of 2\"}",
            "  s_c([\"c<br/>wait 5s\"])",
            "  s_end -->|\"input.a == #quot;x#quot;\"| s_b",
            "  s_end -->|\"otherwise\"| s_c",
        ] {
            assert!(drawn.lines().any(|one| one == line), "{line} in\n{drawn}");
        }
    }
}
