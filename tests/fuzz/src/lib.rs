//! Fuzzing of everything that parses bytes from the broker, the network or a file.
//!
//! [`targets::ALL`] is the one table: each target reads bytes as Nova would and says what must hold of what it made of them.
//! Of all of them holds that nothing panics, that a refusal says why, and that memory and work stay in proportion to the
//! input ([`trial`]). What is read is written again and must be read as the same.
//!
//! Inputs are those of `corpus/<target>/`, and what [`mutate`] makes of them: without coverage, but what an input came to
//! ([`hunt`]) decides whether it is worth going on from. Everything follows from a seed.

pub mod corpus;
pub mod hunt;
pub mod mutate;
pub mod targets;
pub mod trial;
