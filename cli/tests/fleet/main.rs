//! `nova dev`, `nova review` and `nova demo` as a user meets them: real processes, real repositories.

#![expect(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod demo;
mod dev;
mod dev_refused;
mod repo;
mod review;
mod review_odd;
mod runs;
mod shipped;
mod support;
