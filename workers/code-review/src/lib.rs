//! The `code-review` skill: one source file in, findings out. Rules are data (`rules/`), the walk is ours.

mod complexity;
mod config;
mod duplicates;
mod finding;
mod grammar;
mod language;
mod layer;
mod review;
mod rule;
mod rules;
mod scope;
mod skill;
mod skip;
mod suppress;
mod survey;
mod syntax;

pub use config::Config;
pub use finding::{Finding, Severity};
pub use language::Language;
pub use layer::RuleError;
pub use review::{Cancelled, Metrics, Review, review, review_as};
pub use rule::RuleInfo;
pub use rules::RuleSet;
pub use skill::{Answer, CodeReview, Input};
pub use skip::Skip;
