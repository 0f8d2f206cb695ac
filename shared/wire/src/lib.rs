//! What crosses the broker: asset names, subjects, headers, records, the codec and its limits.
//!
//! The one place where subjects are built or parsed and headers are named. docs/protocol.md is the same contract in prose.

pub mod assets;
mod attempt;
mod blob;
mod bundle;
mod calendar;
mod call;
mod cron;
mod cron_state;
mod dead;
mod depth;
mod error_body;
mod event;
mod headers;
mod key;
mod key_record;
pub mod limits;
mod outcome;
mod payload;
mod presence;
mod schedule;
mod skill_policy;
mod structured;
pub mod subject;
mod task;
mod time;
mod transition;

pub use attempt::{AttemptRecord, Claim, FailedAttempt};
pub use blob::{BlobMeta, BlobRef, InvalidBlobRef};
pub use bundle::{
    BundleState, InvalidBundle, InvalidState, ItemEnd, Positions, Settled, is_bundle_size, join_bundle, read_ends,
    split, split_bundle, write_ends,
};
pub use calendar::Calendar;
pub use call::CALL_PENDING_STATUS;
pub use cron_state::{CronState, LeftOut};
pub use dead::{DeadLetter, InvalidDeadLetter};
pub use depth::{TooDeep, check_json, check_msgpack};
pub use error_body::ErrorBody;
pub use event::{EventKind, TaskEventRecord};
pub use headers::{Headers, name};
pub use key::{InvalidTaskKey, KEY_BYTES, TaskKey};
pub use key_record::{Ended, InvalidKey, KeyRecord, Sent, SubmitKey, Unsent};
pub use outcome::{InvalidOutcome, parse_outcome, write_outcome};
pub use payload::{ContentType, DecodeError, EncodeError, Payload};
pub use presence::{WorkerRow, WorkerSkill};
pub use schedule::{InvalidSchedule, ScheduleSpec};
pub use skill_policy::{EventLevel, InvalidNote, Keyed, SkillPolicy};
pub use structured::{Item, StructuredError, Value};
pub use task::{BadTask, Task, TaskOptions};
pub use time::{format_rfc3339, parse_rfc3339};
pub use transition::{InvalidRunSummary, RunSummary};
