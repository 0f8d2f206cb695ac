//! The review of a git repository by the fleet: one `code-review` task per source file, all outcomes, one report.
//!
//! Reading is ours, judging the workers': a task carries a file's bytes, never a path to open.

pub(crate) mod finding;
pub(crate) mod git;
pub(crate) mod language;
pub(crate) mod live;
pub(crate) mod reader;
pub(crate) mod render;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod sarif;
pub(crate) mod show;
pub(crate) mod tree;
pub(crate) mod verify;
