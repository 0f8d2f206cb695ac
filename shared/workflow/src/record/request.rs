//! What others ask of runs: that they start, and orders to them.

use nova_types::{RunId, StepId, WorkflowName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The input of a task of the skill `nova-run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// The workflow.
    pub workflow: WorkflowName,
    /// The version to run, by the hash of its definition. Default: the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its input. Default null.
    #[serde(default)]
    pub input: Value,
    /// Which run it is a restart of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
}

/// What a restart takes over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The earlier run, ended or not.
    pub run: RunId,
    /// The steps that are done again, with all that depend on them. Default: what did not complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<StepId>,
    /// Whether the earlier run's input is taken instead of this one's. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_input: bool,
}

/// The body of an order, `nova.order.<verb>.<scope>.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The signal's name; verb `signal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// What comes with the signal.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub data: Value,
    /// The approval step; verbs `approve` and `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// The hash of what is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// A word with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}
