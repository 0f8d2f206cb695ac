//! The review of a git repository by the fleet: a run of the workflow `review` is started, followed and shown.
//!
//! What is done is written in `deploy/workflows/review.yaml`; nothing here reads a file of the repository.

pub(crate) mod course;
pub(crate) mod definition;
pub(crate) mod live;
pub(crate) mod local;
pub(crate) mod render;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod verify;
