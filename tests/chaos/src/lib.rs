//! Breaks a real fleet in every way this machine can, and judges what became of every task.
//!
//! [`plan`] says which faults come when, from a seed; [`nemesis`] does them to the [`field`]; [`load`] submits all along; all
//! write down what they did and were told ([`history`]). When everything is healed and at rest, [`check`] judges history and
//! records. [`upgrade`] changes the release of a fleet at work instead, and is judged alike. The same program is worker and
//! judge: `nova-chaos --help`.

pub mod bounds;
pub mod check;
pub mod evidence;
pub mod field;
pub mod history;
pub mod load;
pub mod nemesis;
pub mod order;
pub mod plan;
pub mod power;
pub mod recovery;
pub mod report;
pub mod run;
pub mod sabotage;
pub mod tail;
pub mod truth;
pub mod upgrade;
pub mod worker;
