//! Shows a plan: as text for people, as rows for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::apply::over_history;
use super::{Act, FieldChange, Plan, Step};

/// One thing that differs, flat enough for a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `stream` or `consumer`.
    pub asset: &'static str,
    /// The stream.
    pub stream: String,
    /// The consumer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<String>,
    /// `create`, `start` (a consumer missing over history), `change`, `recreate`, `refuse` or `foreign`.
    pub action: &'static str,
    /// The field that differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// What mending it loses, or why it is not mended: `--yes` or a person is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harm: Option<String>,
}

impl Row {
    /// Whether something is wrong; what is merely foreign is in nobody's way.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        self.action != "foreign"
    }
}

impl Step {
    /// One row per field, or one for the whole.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let row = |action, harm| Row {
            asset: self.asset.kind(),
            stream: self.asset.stream.clone(),
            consumer: self.asset.consumer.clone(),
            action,
            field: None,
            from: None,
            to: None,
            harm,
        };
        let each = |action, fields: &[FieldChange], whole: Option<&String>| {
            let one = |change: &FieldChange| Row {
                field: Some(change.field.clone()),
                from: Some(change.from.clone()),
                to: Some(change.to.clone()),
                ..row(action, whole.cloned().or_else(|| change.harm.words().map(str::to_owned)))
            };
            fields.iter().map(one).collect()
        };
        match &self.act {
            Act::Create(_) => vec![row("create", None)],
            Act::CreateOverHistory { first, last, .. } => vec![row("start", Some(over_history(*first, *last)))],
            Act::Change { fields, .. } => each("change", fields, None),
            Act::Recreate { fields, cost, .. } => each("recreate", fields, Some(cost)),
            Act::Refuse { fields, why } => each("refuse", fields, Some(why)),
            Act::Foreign { why, .. } => {
                vec![row("foreign", Some(format!("{why}; --prune --yes {}", self.harm().unwrap_or_default())))]
            }
        }
    }

    /// What stands before its lines: `+` create, `~` change, `!` loses something, `x` refused, `?` foreign.
    const fn mark(&self, is_harmful: bool) -> char {
        match self.act {
            Act::Create(_) => '+',
            Act::Change { .. } if !is_harmful => '~',
            Act::Change { .. } | Act::Recreate { .. } => '!',
            Act::CreateOverHistory { .. } | Act::Refuse { .. } => 'x',
            Act::Foreign { .. } => '?',
        }
    }
}

impl Plan {
    /// All rows, in the order in which they are mended.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.steps.iter().flat_map(Step::rows).collect()
    }

    /// The plan as text: `+` create, `~` change, `!` loses something and needs --yes, `x` refused, `?` foreign.
    ///
    /// Empty when there is nothing to say.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for step in &self.steps {
            let harm = step.harm();
            let mut line = |text: String| writeln!(out, "{text}").expect("writing to a String cannot fail");
            line(format!("{} {}", step.mark(harm.is_some()), step.asset));
            match &step.act {
                Act::Create(_) => {}
                Act::CreateOverHistory { first, last, .. } => line(format!("    {}", over_history(*first, *last))),
                Act::Change { fields, .. } => fields.iter().for_each(|field| line(shown(field, true))),
                Act::Recreate { fields, cost, .. } => {
                    fields.iter().for_each(|field| line(shown(field, false)));
                    line(format!("    needs --yes: {cost}"));
                }
                Act::Refuse { fields, why } => {
                    fields.iter().for_each(|field| line(shown(field, false)));
                    line(format!("    refused: {why}"));
                }
                Act::Foreign { why, .. } => {
                    line(format!("    {why}; --prune --yes {}", harm.unwrap_or_default()));
                }
            }
        }
        out
    }
}

fn shown(change: &FieldChange, with_harm: bool) -> String {
    let harm =
        change.harm.words().filter(|_| with_harm).map_or_else(String::new, |words| format!("   needs --yes: {words}"));
    format!("    {}: {} -> {}{harm}", change.field, change.from, change.to)
}
