//! The words of the domain: ids, priorities, durations, policies, outcomes and error codes.
//!
//! Nothing here does I/O, reads a clock or is async: a value that exists has passed its checks.

mod catch_up;
mod code;
mod duration;
mod fnv;
mod id;
mod moment_id;
mod outcome;
mod policy;
mod priority;
mod rate;
mod run;
mod skill;
mod state;
mod time;
mod word;

pub use catch_up::{CatchUp, ParseCatchUpError};
pub use code::{Code, codes};
pub use duration::{DurationText, ParseDurationError};
pub use fnv::Fnv1a;
pub use id::{Generation, InvalidId, Name, Scope, TaskId, WorkerId};
pub use outcome::{ItemCount, Outcome, OutcomeKind, Usage};
pub use policy::{Backoff, ParseBackoffError, Policy};
pub use priority::{ParsePriorityError, Priority};
pub use rate::{ParseRateError, Rate};
pub use run::{InvalidRunWord, RUN_SKILL, RunId, RunStatus, StepId, WorkflowName, partition_scope, run_skill};
pub use skill::{InvalidSkill, Skill};
pub use state::{IllegalTransition, TaskEvent, TaskState};
pub use time::UnixMillis;
