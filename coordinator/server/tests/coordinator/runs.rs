//! Workflow runs, worked by coordinators.

mod bundles;
mod crashes;
mod moves;
mod room;
mod starts;
pub mod support;
mod troubles;
mod waits;
