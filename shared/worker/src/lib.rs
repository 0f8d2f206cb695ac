//! Write a skill, get a worker: leases, slots, priorities, limits, verdicts, presence.
//!
//! ```
//! use nova_worker::{Context, Skill, Verdict};
//!
//! /// Shouts what it is told.
//! struct Shout;
//!
//! impl Skill for Shout {
//!     type Input = String;
//!     type Output = String;
//!     fn name(&self) -> &str {
//!         "shout"
//!     }
//!     async fn run(&self, input: String, _cx: Context) -> Result<String, Verdict> {
//!         match input.as_str() {
//!             "" => Err(Verdict::reject("nothing_to_shout", "the input is empty")),
//!             text => Ok(text.to_uppercase()),
//!         }
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let result = nova_worker::test::run(&Shout, serde_json::json!("hello")).await;
//! assert_eq!(result.unwrap(), serde_json::json!("HELLO"));
//! # });
//! ```
//! A binary around it is `nova_worker::main(|_setup| async { Ok(nova_worker::Worker::new().skill(Shout)) })`.

mod admit;
mod attempt;
mod batch;
mod blocking;
mod bundle;
mod cancels;
mod case;
mod config;
mod context;
mod drift;
mod end;
mod events;
mod execute;
mod horizon;
mod judge;
mod keyed;
mod lease;
mod letter;
mod middleware;
mod payload;
mod presence;
mod process;
mod pull;
mod rarely;
mod rate;
mod record;
mod retry;
mod rota;
mod skill;
mod slots;
mod station;
pub mod test;
mod threads;
mod told;
mod verdict;
mod worker;

pub use batch::{Batch, BatchItem, BatchSkill};
pub use blocking::{Blocking, BlockingSkill};
pub use config::WorkerConfig;
pub use context::{CheckpointError, Context};
pub use middleware::{Middleware, Next};
pub use nova_runtime::use_mimalloc;
pub use nova_types::{Code, Skill as SkillName, TaskId, WorkerId};
pub use nova_wire::{ContentType, DecodeError, EncodeError, Payload};
pub use payload::{FromPayload, IntoPayload, Raw};
pub use process::{Setup, main};
pub use skill::Skill;
pub use verdict::Verdict;
pub use worker::{Worker, WorkerError, WorkerOptions};
