//! What makes a review a demonstration: one worker is killed in the middle, and what follows is told.

mod drama;
mod scratch;

pub(crate) use drama::Drama;
pub(crate) use scratch::Scratch;
