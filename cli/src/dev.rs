//! A whole fleet as one process tree: what `nova dev` and `nova demo` start, watch and stop.
//!
//! [`Fleet`](fleet::Fleet) owns a nats-server, a coordinator and workers. Each is a [`Unit`](unit::Unit): a process of its
//! own, started again when it dies. None of them outlives this process, however it ends.

pub(crate) mod announce;
pub(crate) mod fleet;
pub(crate) mod log;
pub(crate) mod nats;
pub(crate) mod ready;
pub(crate) mod signals;
mod spawn;
pub(crate) mod store;
pub(crate) mod unit;
pub(crate) mod workers;
