//! Pure decisions of the coordinator: facts in, effects out.
//!
//! Nothing here knows a broker or a clock: `nova-coordinator` reads the facts, asks, and does what it is told.

pub mod due;
pub mod lane;
pub mod law;
pub mod leader;
pub mod poison;
pub mod recur;
pub mod rehome;
pub mod run;
pub mod trim;
pub mod vanish;
