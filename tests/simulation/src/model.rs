//! A model of the protocol by which a task is claimed, run, recorded and acked, and a look at every state it can come to.
//!
//! [`protocol`] is what workers, submitters and the broker do, each step as small as a call to the broker, with every fault
//! that the broker or a crash can bring between two of them. [`explore`] goes through all states and says how a property is
//! broken, by the shortest way. That the properties have teeth is shown by mutants: the protocol with one of its rules left
//! out, each of which must be caught.

pub mod explore;
pub mod protocol;
