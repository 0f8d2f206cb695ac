//! Checks what a run is given against the inputs its workflow declares.

use std::collections::BTreeMap;

use nova_types::codes;
use serde_json::{Map, Value};

use crate::Failure;
use crate::check::nearest;
use crate::definition::{Param, ParamType};

impl ParamType {
    /// Whether a value is of the type.
    #[must_use]
    pub fn fits(self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::String => value.is_string(),
            Self::Int => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Map => value.is_object(),
        }
    }

    /// The word for it in a file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::String => "string",
            Self::Int => "int",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Map => "map",
        }
    }
}

/// The type of a value, in the same words.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "int",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}

/// Checks and completes an input.
pub(crate) fn take(params: Option<&BTreeMap<String, Param>>, given: Value) -> Result<Value, Failure> {
    let Some(params) = params else { return Ok(given) };
    let bad = |message: String| Failure { code: codes::BAD_INPUT.into(), message };
    let mut given = match given {
        Value::Null => Map::new(),
        Value::Object(fields) => fields,
        other => return Err(bad(format!("the input is {}; a map with {} is wanted", kind_of(&other), listed(params)))),
    };
    let mut wrong: Vec<String> =
        given.keys().filter(|name| !params.contains_key(*name)).map(|name| unknown(name, params)).collect();
    for (name, param) in params {
        match (given.get(name), &param.default) {
            (Some(value), _) if !param.kind.fits(value) => {
                wrong.push(format!("input `{name}` is {}; {} is wanted", kind_of(value), param.kind.as_str()));
            }
            (Some(_), _) => {}
            (None, Some(default)) => {
                given.insert(name.clone(), default.clone());
            }
            (None, None) => wrong.push(format!("input `{name}` is missing")),
        }
    }
    if wrong.is_empty() { Ok(Value::Object(given)) } else { Err(bad(wrong.join("; "))) }
}

fn unknown(name: &str, params: &BTreeMap<String, Param>) -> String {
    let meant = nearest(name, params.keys().map(String::as_str));
    format!("there is no input `{name}`{meant}")
}

fn listed(params: &BTreeMap<String, Param>) -> String {
    params.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
