//! `nova dead show`: one letter with its attempts and its original bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use nova_wire::{ContentType, FailedAttempt, Payload, name};
use serde::Serialize;
use serde_json::Value;

use super::ls::Line;
use crate::cx::Cx;
use crate::end::pretty;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Shape;
use crate::task_arg::TaskArg;

/// Show a dead letter: why, what was tried, and the original input
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    task: TaskArg,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    line: Line,
    failures: Vec<FailedAttempt>,
    headers: BTreeMap<String, Vec<String>>,
    stream: String,
    task_sequence: u64,
    /// The input, where it is JSON or MessagePack.
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    /// The bytes as they came, where they are neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    input_base64: Option<String>,
}

pub(super) async fn run(cx: Cx, args: Args) -> Result<Exit, Failure> {
    let entry = super::letter(&cx, &args.task.id, args.task.skill.as_ref()).await?;
    let letter = &entry.letter;
    let content_type =
        letter.headers.get(name::CONTENT_TYPE).and_then(ContentType::from_media_type).unwrap_or_default();
    let is_elsewhere = letter.headers.get(name::BLOB).is_some();
    let input = Payload { content_type, bytes: letter.body.clone() }.to_json().ok().filter(|_| !is_elsewhere);
    let input_base64 =
        (input.is_none() && !is_elsewhere).then(|| base64::engine::general_purpose::STANDARD.encode(&letter.body));
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in letter.headers.iter() {
        headers.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    let row = Row {
        line: Line::of(&entry),
        failures: letter.attempts_listed().failures,
        headers,
        stream: letter.stream.clone(),
        task_sequence: letter.sequence,
        input,
        input_base64,
    };
    let failures: Vec<String> = row
        .failures
        .iter()
        .map(|failure| {
            let when = cx.out.moment(failure.finished);
            format!("attempt {} by {}, {when}: {}: {}", failure.attempt, failure.worker, failure.code, failure.message)
        })
        .collect();
    let headers: Vec<String> = row
        .headers
        .iter()
        .flat_map(|(key, values)| values.iter().map(move |value| format!("{key}: {value}")))
        .collect();
    let shown = match (&row.input, &row.input_base64) {
        (Some(value), _) if cx.out.shape() == Shape::Table => pretty(value),
        (Some(value), _) => value.to_string(),
        (None, Some(bytes)) => format!("{bytes} (base64: it is no JSON)"),
        (None, None) => "in the object store, see the header Nova-Blob".to_owned(),
    };
    let fields = [
        ("task", row.line.task.to_string()),
        ("skill", row.line.skill.to_string()),
        ("code", row.line.code.to_string()),
        ("attempts", row.line.attempts.to_string()),
        ("given up", cx.out.moment(row.line.at)),
        ("failures", failures.join("\n")),
        ("headers", headers.join("\n")),
        ("input", shown),
    ];
    cx.out.record(&row, &fields)?;
    Ok(Exit::OK)
}
