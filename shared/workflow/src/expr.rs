//! Expressions: what they may read, how they are compiled once, and how they are evaluated.
//!
//! The language is CEL. An expression is a pure function of what it reads: there is no clock and no chance in it, maps are
//! walked in the order of their keys, and what it may cost is bounded, so that the same run decides the same again.

mod compile;
mod effort;
mod eval;
mod functions;
mod library;
mod scan;
mod value;

use std::fmt;

use nova_types::StepId;

use crate::{BlobName, Failure};

pub(crate) use compile::{Compiled, Fault, Read, children, compile};
pub(crate) use eval::{eval, failure};
pub(crate) use functions::FUNCTIONS;
pub(crate) use scan::code;
pub use value::Bound;

/// What an expression can read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// `input`: the run's input.
    Input,
    /// `steps.<id>`: what became of a step, its result included.
    Step(StepId),
    /// `steps.<id>` where only its `status`, `error`, `count` or `failed` is read: its result, which may be large, is not.
    Told(StepId),
    /// `run`: the run's `id` and `workflow`.
    Run,
    /// `item`: an item of a map.
    Item,
    /// `index`: the number of an item, voter or round, from 0.
    Index,
    /// `last`: the result of the round before.
    Last,
    /// `result`: the result of a round, voter or step.
    Result,
    /// `ballots`: what was voted.
    Ballots,
    /// `tally`: the weight behind each ballot.
    Tally,
}

impl Root {
    /// The step that it tells of.
    pub(crate) fn step(&self) -> Option<&StepId> {
        if let Self::Step(step) | Self::Told(step) = self { Some(step) } else { None }
    }

    /// The word that stands for it in a compiled expression.
    fn word(&self) -> String {
        match self {
            // No author can write this, and beside it the whole step may be read.
            Self::Told(_) => format!("{self}!"),
            _ => self.to_string(),
        }
    }

    /// The roots that are plain words.
    pub(crate) const WORDS: [Self; 8] =
        [Self::Input, Self::Run, Self::Item, Self::Index, Self::Last, Self::Result, Self::Ballots, Self::Tally];

    /// The root that a plain word stands for.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|root| root.to_string() == word)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Step(step) | Self::Told(step) => return write!(f, "steps.{step}"),
            Self::Run => "run",
            Self::Item => "item",
            Self::Index => "index",
            Self::Last => "last",
            Self::Result => "result",
            Self::Ballots => "ballots",
            Self::Tally => "tally",
        })
    }
}

/// Where an expression's values come from; it is asked only for what the expression names.
pub trait Lookup {
    /// The value of a root.
    ///
    /// # Errors
    /// [`EvalError::Wants`] when objects must be read first, [`EvalError::Failed`] when there is no such value here.
    fn get(&self, root: &Root) -> Result<Bound, EvalError>;
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum EvalError {
    /// These objects must be read first; then it can be asked again.
    Wants(Vec<BlobName>),
    /// It fails, and will fail again.
    Failed(Failure),
}

impl EvalError {
    /// The code of an expression that fails.
    pub const CODE: &'static str = "bad_expression";

    /// A failure of the code [`Self::CODE`].
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(Failure { code: Self::CODE.into(), message: message.into() })
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wants(blobs) => write!(f, "{} objects must be read first", blobs.len()),
            Self::Failed(failure) => f.write_str(&failure.message),
        }
    }
}

impl std::error::Error for EvalError {}
