//! What a worker promises, tried against the broker in memory.

mod batch;
mod bed;
mod bundle;
mod ends;
mod faults;
mod hostile;
mod keyed;
mod races;
mod rate;
mod rate_server;
mod skills;
mod stops;
