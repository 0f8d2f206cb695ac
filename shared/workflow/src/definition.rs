//! A workflow as its author writes it: steps, what they depend on, and what happens when they fail.
//!
//! Plain data: what it means to be sound is [`check`](crate::check)'s business, and what happens is the engine's.

mod kinds;

use std::collections::BTreeMap;

use nova_types::{Backoff, DurationText, Priority, Skill, StepId, WorkflowName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use kinds::{
    Approval, Case, Choice, Failures, Join, Loop, Map, Need, Rest, Rule, Tolerate, Undecided, Vote, Voter, Wait,
};

/// A workflow: a template of which runs are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Its name, 1 to 48 characters of a-z 0-9 -.
    #[schemars(with = "String", regex(pattern = "^[a-z0-9-]{1,48}$"))]
    pub workflow: WorkflowName,
    /// What it does, one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What a run takes, by name. Without it a run takes any input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<BTreeMap<String, Param>>,
    /// Its steps by id.
    #[schemars(with = "BTreeMap<String, Step>")]
    pub steps: BTreeMap<StepId, Step>,
    /// What a run results in. Default: the results of the steps nothing depends on, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Template>,
    /// The most tasks of one run under way at once. Default 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// The most runs of this workflow under way at once; more wait. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<u32>,
    /// How long a run may take. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<DurationText>,
    /// A word over `input` to find runs by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Expr>,
    /// Whether finished steps are undone when a run fails or is cancelled. Default `undo`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: RunFailure,
}

/// What becomes of finished steps when a run fails or is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunFailure {
    /// Those with an `undo` are undone, the last finished first.
    #[default]
    Undo,
    /// They stay as they are.
    Leave,
}

/// One input of a workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: ParamType,
    /// What it is when a run does not give it; without a default it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
}

/// The type of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    /// Anything.
    #[default]
    Any,
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Number,
    /// True or false.
    Bool,
    /// A list.
    List,
    /// A map with text keys.
    Map,
}

/// One step: exactly one of `task`, `map`, `join`, `vote`, `choice`, `loop`, `wait` and `run`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it does, one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Steps it waits for, beside those its expressions name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub after: Vec<StepId>,
    /// It is skipped unless this is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expr>,
    /// What its failure means for the run. Default `fail`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_failure: StepFailure,
    /// What reverses it; may name its own result as `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Work>,
    /// One task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Work>,
    /// One task for each item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<Map>,
    /// Waits for all, any or some of other steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Join>,
    /// Asks several and counts their ballots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vote: Option<Vote>,
    /// Picks which steps come next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<Choice>,
    /// One task again and again.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Loop>,
    /// Waits for time, a signal or an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// A run of another workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Work>,
}

/// What a step's failure means for its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StepFailure {
    /// The run fails; but when only joins depend on the step, they decide.
    #[default]
    Fail,
    /// The run goes on, and the step's result is null.
    Continue,
}

/// What is done: a task of a skill, or a run of a workflow.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// The skill; this or `workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub skill: Option<Skill>,
    /// The workflow; this or `skill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub workflow: Option<WorkflowName>,
    /// Its input. Default null.
    #[serde(default, skip_serializing_if = "Template::is_null")]
    pub input: Template,
    /// `high`, `normal` or `low`. Default `normal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub priority: Option<Priority>,
    /// The longest one attempt may run. Default: the skill's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<DurationText>,
    /// How many attempts may fail. Default: the skill's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// The pause between attempts, `1s..5m`. Default: the skill's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub backoff: Option<Backoff>,
    /// The key of a keyed skill, text with `${}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Template>,
}

/// An expression in CEL (the Common Expression Language, cel.dev).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Expr(pub String);

/// Any value in which texts may hold expressions: `${...}` alone stands for the value, inside a text for its text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Template(pub Value);

impl Template {
    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

/// The kind of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'a> {
    /// One task.
    Task(&'a Work),
    /// One task for each item.
    Map(&'a Map),
    /// Waits for other steps.
    Join(&'a Join),
    /// Counts ballots.
    Vote(&'a Vote),
    /// Picks what comes next.
    Choice(&'a Choice),
    /// One task again and again.
    Loop(&'a Loop),
    /// Waits for time or a person.
    Wait(&'a Wait),
    /// A child run.
    Run(&'a Work),
}

impl Kind<'_> {
    /// The word for it in a file.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Task(_) => "task",
            Self::Map(_) => "map",
            Self::Join(_) => "join",
            Self::Vote(_) => "vote",
            Self::Choice(_) => "choice",
            Self::Loop(_) => "loop",
            Self::Wait(_) => "wait",
            Self::Run(_) => "run",
        }
    }
}

impl Step {
    /// All kinds it states; a sound step has exactly one.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind<'_>> {
        [
            self.task.as_ref().map(Kind::Task),
            self.map.as_ref().map(Kind::Map),
            self.join.as_ref().map(Kind::Join),
            self.vote.as_ref().map(Kind::Vote),
            self.choice.as_ref().map(Kind::Choice),
            self.repeat.as_ref().map(Kind::Loop),
            self.wait.as_ref().map(Kind::Wait),
            self.run.as_ref().map(Kind::Run),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
