//! Workflows as data: definitions, their expressions, and what is recorded of a run.
//!
//! Nothing here does I/O. The engine (`nova-engine`) decides over these words, the coordinators carry out.

mod build;
mod canonical;
mod check;
mod datum;
pub mod definition;
mod expr;
mod graph;
mod input;
mod plan;
mod record;
mod schema;
mod sites;
mod source;
mod template;

pub use build::InvalidName;
pub use canonical::{canonical, hash, hash_of};
pub use check::Known;
pub use datum::{BlobName, Datum};
pub use definition::{Expr, Kind, Step, Template, Work, Workflow};
pub use expr::{Bound, EvalError, Lookup, Root};
pub use plan::{Plan, Problem};
pub use record::{
    Approved, Decision, End, Event, Failure, Items, Kept, Order, Parent, Part, RECORD_VERSION, Restart, Role, RunEnd,
    Segment, StartRequest, Started, Timer, Transition,
};
pub use schema::schema;
pub use source::{Located, MAX_BYTES, Positions, check_text, parse};
