//! What a worker promises, tried against the broker in memory.

mod bed;
mod ends;
mod faults;
mod hostile;
mod races;
mod skills;
mod stops;
