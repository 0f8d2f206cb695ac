//! The coordinator's I/O shell: workflow runs, calls, later, due tasks, cancels, sweeps, trims.
//!
//! Each part is its own file: `Options`, a `Service` that runs until told to stop, and its `Error` where it can fail. Any
//! number of coordinators may run at once: what they write is decided by compare-and-set or a dedupe key; only sweeping,
//! trimming and the canary are left to one of them, the leader. What is decided is decided in `nova-engine`.

mod blobs;
pub mod call;
mod canary;
pub mod cancel;
mod config;
mod consume;
mod coordinator;
pub mod due;
mod later;
pub mod leader;
mod parts;
mod poison;
mod process;
mod queues;
mod record;
mod refusal;
mod rehome;
mod run;
mod service;
pub mod sweep;
pub mod trim;
mod vanish;
pub mod watch;

pub use config::CoordinatorConfig;
pub use coordinator::{Coordinator, CoordinatorError};
pub use parts::Parts;
pub use process::main;
