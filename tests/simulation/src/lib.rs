//! Simulation: a model of the protocol looked at whole, and the product itself in worlds made of a seed.
//!
//! [`model`] is the protocol in a few hundred lines, gone through state by state. [`world`] is workers, coordinators and a
//! client of this repository, as they are, over the memory broker on virtual time: a [`scenario`] says what is asked of them
//! and what goes wrong, each process reaches the broker through a [`wire`] that loses, delays and kills, and at the end
//! [`judge`] reads the streams and says which promise was broken. A scenario follows from its seed, and so does all that
//! happens in it.

pub mod books;
pub mod judge;
pub mod model;
pub mod process;
pub mod scenario;
pub mod skill;
pub mod wire;
pub mod world;
