//! Workflows as data: definitions, their expressions, and what is recorded of a run.
//!
//! Nothing here does I/O. The engine (`nova-engine`) decides over these words, the coordinators carry out.
//!
//! - [`definition`] is a workflow as its author writes it, plain data. [`parse`] reads it from YAML or JSON with the line and
//!   column of every mistake; in Rust it is built with calls, see [`Workflow::new`]; [`schema`] tells editors of it.
//! - [`Plan`] is a sound workflow: checked as a whole, its expressions compiled, its steps in order, with the hash that is
//!   its version. [`check_text`] goes from a text to a plan and tells everything wrong at once.
//! - Expressions are CEL: the standard operators, `size`, `int`, `uint`, `double`, `string`, `bool`, `dyn`, `type`, `has`,
//!   `contains`, `startsWith`, `endsWith`, the loops `map`, `filter`, `all`, `exists` and `exists_one`, and from CEL's
//!   extensions `join`, `split`, `replace`, `trim`, `lowerAscii`, `upperAscii` and `flatten`. They read `input`, `steps.<id>`,
//!   `run` and, where they have a meaning, `item`, `index`, `last`, `result`, `ballots` and `tally`. There is no clock and no
//!   chance in them, and what they may cost is bounded: 4 KiB of text, 24 brackets deep, loops 3 deep, a million rounds,
//!   64 MiB made.
//! - [`Transition`] and its parts are what is recorded of a run, [`StartRequest`] and [`Order`] what others ask of it.

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
    Approved, Decision, End, Event, Failure, Items, Kept, Lost, Order, Parent, Part, RECORD_VERSION, Restart, Role,
    RunEnd, Segment, StartRequest, Started, Timer, Transition,
};
pub use schema::schema;
pub use source::{Located, MAX_BYTES, Positions, check_text, parse};
