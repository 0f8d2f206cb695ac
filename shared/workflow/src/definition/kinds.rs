//! What the kinds of steps say.

use nova_types::{DurationText, StepId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Expr, Template, Work, is_default};

/// One task for each item of a list, or for each bundle of items; its result is the list of their results, in the list's order.
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
    /// How many items one task takes, 1 to 1,000: many small items are faster in bundles. Each is retried and counted by
    /// itself all the same. Default: every item is a task of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<u32>,
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
