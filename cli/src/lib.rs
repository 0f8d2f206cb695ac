//! The `nova` command: submit, watch and operate tasks on NATS.
//!
//! [`main`] parses, runs one command and turns its end into an exit code. A command lives in `cmd/<noun>/<verb>.rs`, gets a
//! [`Cx`](cx::Cx) with a connected client, and returns `Result<Exit, Failure>`. Data goes to stdout, talk to stderr.

mod catalogue;
mod clock;
mod cmd;
mod confirm;
mod connect;
mod cx;
mod demo;
mod dev;
mod devfile;
mod end;
mod exit;
mod failure;
mod filter;
mod flow;
mod help;
mod input;
mod moment;
mod out;
mod progress;
mod review;
mod root;
mod task_arg;

pub use root::main;
