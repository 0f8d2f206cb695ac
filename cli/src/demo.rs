//! What makes a review a demonstration: a worker and a coordinator are killed in the middle, and what follows is told.

mod drama;
mod proof;
mod scratch;

pub(crate) use drama::Drama;
pub(crate) use proof::replayed;
pub(crate) use scratch::Scratch;
