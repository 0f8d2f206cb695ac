//! The Rust client: submit, wait, watch, cancel, query.
//!
//! A [`Client`] is cheap to clone and works over any [`Broker`](nova_broker::Broker). It needs no coordinator but for
//! [`schedule`](Client::schedule) and for cancels of tasks that no worker has taken yet.
//!
//! ```no_run
//! use nova_client::{Client, Submit};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect("nats://127.0.0.1:4222").await?;
//! let task = Submit::json("echo".parse()?, &serde_json::json!({"hello": "world"}))?;
//! let outcome = client.submit_and_wait(task, std::time::Duration::from_secs(30)).await?;
//! println!("{}: {}", outcome.outcome.kind, outcome.body.to_json()?);
//! # Ok(()) }
//! ```
//!
//! What a call may do is the broker's to say: submitting, waiting and cancelling need a submitter's rights, reading
//! queues, pausing, purging and redriving an operator's.

mod client;
mod error;
mod names;
mod outcome;
mod scan;

mod backfill;
mod bulk;
mod bundle;
mod cancel;
mod dead;
mod find;
mod guard;
mod keys;
mod list;
mod place;
mod purge;
mod queue;
mod redrive;
mod run;
mod run_history;
mod run_list;
mod schedule;
mod schedule_list;
mod show;
mod submit;
mod submit_error;
mod wait;
mod watch;
mod why;
mod workers;
mod workflow;
mod workflow_check;
mod workflow_read;

pub use backfill::{BackfillError, Backfilled, Filled, Recurring};
pub use bulk::BulkProgress;
pub use bundle::{Bundling, ItemError, ItemOutcome, Packed, SubmittedItem};
pub use cancel::CancelAccepted;
pub use client::{Client, ClientOptions, ConnectError};
pub use dead::{DeadEntry, DeadFilter};
pub use error::QueryError;
pub use guard::{Guard, KeyStoreError, Standing};
pub use keys::{KeyView, KeysView};
pub use list::{TaskFilter, TaskRow};
pub use outcome::{InvalidRecord, TaskOutcome};
pub use place::{Ahead, Place};
pub use purge::Purged;
pub use queue::{LaneOf, LaneView, QueueView};
pub use redrive::{Redrive, RedriveError, Redriven};
pub use run::{Answer, OrderAccepted, StartRun, StartedRun};
pub use run_history::{Recorded, RunFeed};
pub use run_list::{RunFilter, RunList, RunRow, RunsSought};
pub use schedule::{ScheduleError, ScheduleOptions, ScheduleReceipt};
pub use schedule_list::{ScheduleEntry, ScheduleFilter};
pub use show::TaskView;
pub use submit::{Submit, SubmitId, Submitted};
pub use submit_error::{FullCause, SubmitError};
pub use wait::WaitError;
pub use watch::{Watch, Watched};
pub use why::{Facts, Reason, explain};
pub use workflow::{PutError, PutWorkflow};
pub use workflow_read::{VersionEntry, WorkflowEntry};
