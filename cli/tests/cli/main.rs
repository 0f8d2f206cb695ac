//! The real `nova` binary against a real nats-server, provisioned by itself.

mod bed;
mod bench;
mod bundled;
mod check;
mod connect;
mod dead;
mod each;
mod help;
mod keyed;
mod keys;
mod provision;
mod queue;
mod schedule;
mod submit;
mod tasks;
mod workers;
mod workflow;
