//! The `report` skill: one report of the reviews of many files, with SARIF and Markdown when they are asked for.

mod gather;
mod markdown;
mod sarif;
mod skill;

pub use gather::{Input, gather};
pub use skill::MakeReport;
