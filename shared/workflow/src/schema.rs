//! The JSON Schema of workflow files, for editors.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::Workflow;

/// The JSON Schema (draft 2020-12) of a definition, as text.
///
/// It says what an editor can show while one types: the fields, their types, that a step is of exactly one kind. What needs
/// more than the shape, such as names of steps and expressions, is for [`check_text`](crate::check_text).
#[must_use]
pub fn schema() -> String {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Workflow>();
    let mut schema = schema.to_value();
    schema["title"] = json!("Nova workflow");
    schema["properties"]["steps"]["propertyNames"] = json!({"pattern": "^[a-z][a-z0-9_]{0,47}$"});
    schema["properties"]["steps"]["minProperties"] = json!(1);
    let parts = &mut schema["$defs"];
    let kinds = ["task", "map", "join", "vote", "choice", "loop", "wait", "run"];
    one_of(&mut parts["Step"], &kinds);
    one_of(&mut parts["Work"], &["skill", "workflow"]);
    one_of(&mut parts["Wait"], &["for", "until", "signal", "approval"]);
    one_of(&mut parts["Vote"], &["do", "by"]);
    require(&mut parts["Step"]["properties"]["task"], "skill");
    require(&mut parts["Step"]["properties"]["run"], "workflow");
    parts["Join"]["properties"]["need"] = say(
        &parts["Join"]["properties"]["need"],
        &json!({"oneOf": [{"enum": ["all", "any"]}, {"type": "integer", "minimum": 1}]}),
    );
    parts["Map"]["properties"]["tolerate"] = say(
        &parts["Map"]["properties"]["tolerate"],
        &json!({"oneOf": [{"const": "all"}, {"type": "string", "pattern": "^(100|[0-9]{1,2})%$"}, {"type": "integer", "minimum": 0}]}),
    );
    parts["Work"]["properties"]["priority"]["enum"] = json!(["high", "normal", "low"]);
    serde_json::to_string_pretty(&schema).expect("a schema is plain data")
}

/// Exactly one of some fields.
fn one_of(part: &mut Value, fields: &[&str]) {
    part["oneOf"] = fields.iter().map(|field| json!({"required": [field]})).collect();
}

fn require(property: &mut Value, field: &str) {
    *property = say(property, &json!({"$ref": "#/$defs/Work", "required": [field]}));
}

/// A property with another shape and the description it had.
fn say(property: &Value, shape: &Value) -> Value {
    let mut shape = shape.clone();
    shape["description"] = property["description"].clone();
    shape
}
