//! From plain values to a definition, every wrong field told.

use nova_types::StepId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use crate::check::nearest;
use crate::plan::Problem;
use crate::template::escape;
use crate::{Step, Workflow};

/// Decodes a definition.
///
/// Its steps are tried one by one when it does not decode as a whole, for a decoder stops at its first mistake.
pub(super) fn workflow(value: &Value) -> Result<Workflow, Vec<Problem>> {
    let first = match decode::<Workflow>(value, "") {
        Ok(workflow) => return Ok(workflow),
        Err(first) => first,
    };
    let mut problems = Vec::new();
    let mut rest = value.clone();
    if let Some(Value::Object(steps)) = rest.get_mut("steps") {
        for (id, step) in std::mem::replace(steps, Map::new()) {
            let path = format!("/steps/{}", escape(&id));
            if let Err(error) = StepId::new(id.as_str()) {
                problems.push(Problem { path: path.clone(), message: error.to_string(), at: None });
            }
            problems.extend(decode::<Step>(&step, &path).err());
        }
    }
    problems.extend(decode::<Workflow>(&rest, "").err());
    if problems.is_empty() {
        problems.push(first);
    }
    Err(problems)
}

fn decode<T: DeserializeOwned>(value: &Value, base: &str) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut path = base.to_owned();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => path.push_str(&format!("/{index}")),
                Segment::Map { key } => path.push_str(&format!("/{}", escape(key))),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        explain(path, &error.inner().to_string())
    })
}

/// Says what a decoder's message means for the author of the file.
fn explain(mut path: String, said: &str) -> Problem {
    let quoted = || said.split('`').skip(1).step_by(2).collect::<Vec<_>>();
    let message = if said.starts_with("unknown field") {
        let words = quoted();
        let (name, allowed) = words.split_first().map_or(("", &[][..]), |(name, allowed)| (*name, allowed));
        if !path.ends_with(&format!("/{}", escape(name))) {
            path.push_str(&format!("/{}", escape(name)));
        }
        let meant = nearest(name, allowed.iter().copied());
        if meant.is_empty() {
            format!(
                "there is no field `{name}` here; there is {}",
                allowed.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
            )
        } else {
            format!("there is no field `{name}` here{meant}")
        }
    } else if said.starts_with("missing field") {
        format!("`{}` is missing here", quoted().first().unwrap_or(&""))
    } else if said.starts_with("unknown variant") {
        let words = quoted();
        let allowed = words.iter().skip(1).map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ");
        format!("`{}` is none of {allowed}", words.first().unwrap_or(&""))
    } else if let Some(rest) = said.strip_prefix("invalid type: ") {
        match rest.split_once(", expected ") {
            Some((found, wanted)) => format!("it is {}; {} is wanted", plainly(found), plainly(wanted)),
            None => said.to_owned(),
        }
    } else {
        said.to_owned()
    };
    let message =
        if message.chars().count() > 400 { message.chars().take(400).chain(['…']).collect() } else { message };
    Problem { path, message, at: None }
}

/// A decoder's word for a type, in the words of definitions.
fn plainly(said: &str) -> String {
    let plain = match said {
        "sequence" | "a sequence" => "a list",
        "map" => "a map",
        "unit value" | "null" => "null",
        "a boolean" => "true or false",
        "a string" | "string" => "a text",
        "u8" | "u16" | "u32" | "u64" => "a whole number from 0",
        word if word.starts_with("struct ") => "a map",
        word => {
            let words = [
                ("integer ", "the number "),
                ("floating point ", "the number "),
                ("string ", "the text "),
                ("boolean ", "the value "),
            ];
            let said = words.into_iter().find_map(|(theirs, ours)| Some((ours, word.strip_prefix(theirs)?)));
            return said.map_or_else(|| word.to_owned(), |(ours, rest)| format!("{ours}{rest}"));
        }
    };
    plain.to_owned()
}
