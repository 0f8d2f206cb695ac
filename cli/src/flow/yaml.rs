//! A definition as YAML, as its author could have written it.

use nova_workflow::{Plan, parse};
use serde_json::{Map, Value};

/// In which order a definition's own words are written; others follow by name.
const WORDS: &[&str] =
    &["workflow", "about", "input", "key", "deadline", "parallel", "runs", "on_failure", "steps", "result"];
/// The same of the words of a step; so are the keys of inputs, where they happen to be the same.
const STEP_WORDS: &[&str] = &[
    "about", "type", "after", "when", "over", "of", "ask", "signal", "approval", "cases", "then", "skill", "workflow",
    "do", "times", "by", "input",
];

/// The definition as YAML; reading it gives the same definition.
pub(crate) fn write(plan: &Plan) -> String {
    let Ok(Value::Object(mut map)) = serde_json::to_value(plan.workflow()) else { return String::new() };
    let mut out = String::new();
    for word in WORDS {
        match map.remove(*word) {
            Some(Value::Object(steps)) if *word == "steps" => {
                out.push_str("steps:\n");
                let in_order = plan.order().iter().filter_map(|id| Some((id.as_str(), steps.get(id.as_str())?)));
                in_order.for_each(|(id, step)| field(&mut out, id, step, 1));
            }
            Some(value) => field(&mut out, word, &value, 0),
            None => {}
        }
    }
    map.iter().for_each(|(word, value)| field(&mut out, word, value, 0));
    debug_assert!(parse(&out).is_ok_and(|(read, _)| read == *plan.workflow()), "what is written can be read");
    out
}

fn field(out: &mut String, key: &str, value: &Value, depth: usize) {
    out.push_str(&"  ".repeat(depth));
    out.push_str(&text(key));
    out.push(':');
    below(out, value, depth);
}

/// What stands behind a colon or a dash.
fn below(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if is_short(map) => push_line(out, &flow(value)),
        Value::Object(map) => {
            out.push('\n');
            in_order(map).for_each(|(key, value)| field(out, key, value, depth + 1));
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            out.push('\n');
            for item in items {
                out.push_str(&"  ".repeat(depth + 1));
                out.push('-');
                below(out, item, depth + 1);
            }
        }
        other => push_line(out, &flow(other)),
    }
}

fn in_order(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    let rank = |key: &str| STEP_WORDS.iter().position(|word| *word == key).unwrap_or(STEP_WORDS.len());
    let mut fields: Vec<_> = map.iter().collect();
    fields.sort_by_key(|(key, _)| rank(key));
    fields.into_iter()
}

fn push_line(out: &mut String, text: &str) {
    out.push(' ');
    out.push_str(text);
    out.push('\n');
}

/// A small map of plain values stays on one line.
fn is_short(map: &Map<String, Value>) -> bool {
    let plain = map.values().all(|value| !value.is_object() && !value.is_array());
    plain && map.iter().map(|(key, value)| key.len() + flow(value).len() + 4).sum::<usize>() <= 60
}

fn flow(value: &Value) -> String {
    match value {
        Value::String(word) => text(word),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let fields: Vec<String> =
                in_order(map).map(|(key, value)| format!("{}: {}", text(key), flow(value))).collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
        other => other.to_string(),
    }
}

/// A text, bare where it can be nothing else, else in double quotes as JSON writes it.
fn text(word: &str) -> String {
    let first = word.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    let rest = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./ ()'!".contains(&b)) && !word.ends_with(' ');
    let is_word = ["true", "false", "null", "yes", "no", "on", "off"].contains(&word.to_ascii_lowercase().as_str());
    // A duration cannot be taken for a number.
    let is_time = word.parse::<nova_types::DurationText>().is_ok() && word.ends_with(char::is_alphabetic);
    if is_time || first && rest && !is_word && word.len() <= 100 {
        word.to_owned()
    } else {
        Value::from(word).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_definition() {
        let json = r#"{"workflow":"w","about":"It's: \"odd\", yes","input":{"n":{"type":"int","default":3},"on":{}},
            "steps":{
              "b":{"map":{"over":"input.n == 1 ? [1] : []","do":{"skill":"echo","input":{"a":[1,{"b":[[]]}],"t":"true\nx: ${item}"}}}},
              "a":{"after":["b"],"task":{"skill":"echo","input":["${steps.b.result}","", "null", {}, []]}}},
            "result":{"x":"${steps.a.result}"}}"#;
        let plan = Plan::new(serde_json::from_str(json).expect("well formed")).expect("sound");
        let written = write(&plan);
        let (read, _) = parse(&written).unwrap_or_else(|found| panic!("{found:?} in\n{written}"));
        assert_eq!(&read, plan.workflow(), "{written}");
        assert!(written.find("  b:") < written.find("  a:"), "steps stand in their order:\n{written}");
    }
}
