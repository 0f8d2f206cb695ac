//! A workflow as its author writes it: steps, what they depend on, and what happens when they fail.
//!
//! Plain data: what it means to be sound is [`check`](crate::check)'s business, and what happens is the engine's.

use std::collections::BTreeMap;

use nova_types::{Backoff, DurationText, Priority, Skill, StepId, WorkflowName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

/// One task for each item of a list; its result is the list of their results, in the list's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// The list. Each item is `item` in the work's input, its position `index`.
    pub over: Expr,
    /// What is done with each item.
    #[serde(rename = "do")]
    pub work: Work,
    /// The most of its tasks under way at once. Default: as many as the run may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// How many items may fail: a count, a share such as `10%`, or `all`. Default 0; the result of a failed item is null.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerate: Tolerate,
}

/// How many may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value", into = "Value")]
#[schemars(with = "Value")]
pub enum Tolerate {
    /// That many.
    Count(u32),
    /// That share of all, in percent, rounded down.
    Percent(u8),
    /// Any number.
    All,
}

/// Waits for other steps; its result is a map of theirs by id, null for those without one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The steps.
    #[schemars(with = "Vec<String>")]
    pub of: Vec<StepId>,
    /// How many of them must complete: `all`, `any` or a count. Default `all`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub need: Need,
    /// With `collect` a failed step counts as come, its result null; with `fail` it does not count. Default `fail`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: Failures,
    /// Whether steps still under way are cancelled once the join is done. Default `leave`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rest: Rest,
}

/// How many steps a join needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Value", into = "Value")]
#[schemars(with = "Value")]
pub enum Need {
    /// Every one.
    #[default]
    All,
    /// That many; `any` is one.
    Count(u32),
}

/// How a join counts failed steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Failures {
    /// Not at all; when too few are left, the join fails.
    #[default]
    Fail,
    /// As come.
    Collect,
}

/// What becomes of the steps a join did not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rest {
    /// They go on.
    #[default]
    Leave,
    /// They are cancelled, and count as skipped.
    Cancel,
}

/// Asks several voters; its result is `{decision, winner, tally, ballots, judged}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// One work done `times` times; this or `by`.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Work>,
    /// How many times. Default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Different voters; this or `do`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Voter>,
    /// The ballot in a voter's `result`. Default `result`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ballot: Option<Expr>,
    /// What a winner needs. Default `majority`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rule: Rule,
    /// How many ballots must be cast; voters that fail cast none. Default: more than half of the voters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// What happens without a winner: `fail`, `continue` (`decision` says `tie`, `disagreement` or `no_quorum`) or `judge`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub undecided: Undecided,
    /// Who decides then; sees `ballots` and `tally`, and its result (by `ballot`) wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<Work>,
}

/// One voter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Voter {
    /// What it does.
    #[serde(rename = "do")]
    pub work: Work,
    /// How much its ballot counts. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

/// What a winner needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// More than half of the weight cast.
    #[default]
    Majority,
    /// More than any other.
    Plurality,
    /// All of the weight cast.
    Unanimous,
}

/// What happens without a winner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Undecided {
    /// The step fails with the code `undecided`.
    #[default]
    Fail,
    /// The step completes without a winner.
    Continue,
    /// The judge decides.
    Judge,
}

/// Picks which steps come next: those of the first case that holds, else those of `otherwise`. The others are skipped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The cases, in order.
    pub cases: Vec<Case>,
    /// The steps when no case holds. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub otherwise: Vec<StepId>,
}

/// One case of a choice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// When it holds.
    pub when: Expr,
    /// The steps that come next.
    #[schemars(with = "Vec<String>")]
    pub then: Vec<StepId>,
}

/// One work again and again; its result is the last one's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loop {
    /// What is done; its input sees `index` (from 0) and `last`, the result before (null at first).
    #[serde(rename = "do")]
    pub work: Work,
    /// It is done when this is true of `result` (and `index`).
    pub until: Expr,
    /// The most times it is done; then the step fails with the code `exhausted`.
    pub max: u32,
    /// The pause between. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pause: Option<DurationText>,
}

/// Waits for exactly one of `for`, `until`, `signal` and `approval`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// A time, such as `5m`.
    #[serde(rename = "for", default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub duration: Option<DurationText>,
    /// Until a moment: text in RFC 3339, or Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Expr>,
    /// For a signal of this name; its data is the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub signal: Option<StepId>,
    /// For someone's approval; the result says whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// How long it waits for a signal or an approval. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub timeout: Option<DurationText>,
}

/// A human's yes or no to exactly one thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What is approved; the approval names its hash, so that nobody approves what has changed.
    pub of: Template,
    /// What the approver is asked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ask: String,
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

impl Choice {
    /// The steps it lists, each with its path below the choice; a step that several cases list comes several times.
    pub fn picks(&self) -> impl Iterator<Item = (&StepId, String)> {
        let cases = self.cases.iter().enumerate().flat_map(|(case, of)| {
            of.then.iter().enumerate().map(move |(index, step)| (step, format!("/cases/{case}/then/{index}")))
        });
        let rest = self.otherwise.iter().enumerate();
        cases.chain(rest.map(|(index, step)| (step, format!("/otherwise/{index}"))))
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

impl Default for Tolerate {
    fn default() -> Self {
        Self::Count(0)
    }
}

impl Tolerate {
    /// Whether `failed` of `all` may fail.
    #[must_use]
    pub fn allows(self, failed: u32, all: u32) -> bool {
        match self {
            Self::Count(most) => failed <= most,
            Self::Percent(share) => u64::from(failed) * 100 <= u64::from(all) * u64::from(share),
            Self::All => true,
        }
    }
}

impl TryFrom<Value> for Tolerate {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        let refused = || format!("{value} is not a count, a share such as \"10%\", or \"all\"");
        match &value {
            Value::Number(number) => {
                let count = number.as_u64().and_then(|count| u32::try_from(count).ok());
                count.map(Self::Count).ok_or_else(refused)
            }
            Value::String(text) if text == "all" => Ok(Self::All),
            Value::String(text) => {
                let share = text.strip_suffix('%').and_then(|share| share.parse().ok()).filter(|share| *share <= 100);
                share.map(Self::Percent).ok_or_else(refused)
            }
            _ => Err(refused()),
        }
    }
}

impl From<Tolerate> for Value {
    fn from(tolerate: Tolerate) -> Self {
        match tolerate {
            Tolerate::Count(count) => count.into(),
            Tolerate::Percent(share) => format!("{share}%").into(),
            Tolerate::All => "all".into(),
        }
    }
}

impl TryFrom<Value> for Need {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::String(text) if text == "all" => Some(Self::All),
            Value::String(text) if text == "any" => Some(Self::Count(1)),
            Value::Number(number) => number.as_u64().and_then(|count| u32::try_from(count).ok()).map(Self::Count),
            _ => None,
        }
        .ok_or_else(|| format!("{value} is not \"all\", \"any\" or a count"))
    }
}

impl From<Need> for Value {
    fn from(need: Need) -> Self {
        match need {
            Need::All => "all".into(),
            Need::Count(1) => "any".into(),
            Need::Count(count) => count.into(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
