//! Workflow runs, worked by coordinators.

mod crashes;
mod moves;
mod room;
mod starts;
pub mod support;
mod troubles;
mod waits;
