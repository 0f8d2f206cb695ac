//! The client against both adapters, with a worker and a coordinator small enough to read.

mod support;

mod bundle;
mod dead;
mod guard;
mod listing;
mod queue;
mod runs;
mod schedule;
mod show;
mod submit;
mod wait;
mod watch;
mod workflows;
