//! Coordinators against a real nats-server and against the memory adapter.

mod calls;
mod cancels;
mod due;
mod leaders;
mod poison;
mod process;
mod runs;
mod support;
mod trims;
mod vanishes;
mod watches;
