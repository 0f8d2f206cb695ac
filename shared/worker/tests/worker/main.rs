//! What a worker promises, tried against the broker in memory.

mod bed;
mod ends;
mod faults;
mod skills;
mod stops;
