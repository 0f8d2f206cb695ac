//! What a worker promises, tried against the broker in memory.

mod batch;
mod bed;
mod ends;
mod faults;
mod hostile;
mod races;
mod rate;
mod skills;
mod stops;
