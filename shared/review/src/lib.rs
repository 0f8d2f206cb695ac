//! What a review of a repository is made of: the files git knows, the findings in them, the report.
//!
//! Shared by those who take part in the workflow `review`: the workers `list-files` and `report`, and the command that
//! starts it and shows its report. Everything but [`git`] is plain data.

pub mod git;
pub mod language;

mod finding;
mod report;
mod skip;

pub use finding::{Answer, Finding, Metrics, Rule, Severity};
pub use report::{Counts, Failed, Found, Report, Skipped};
pub use skip::Skip;
