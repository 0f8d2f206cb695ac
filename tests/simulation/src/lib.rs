//! Simulation: a model of the protocol looked at whole, and the product itself in worlds made of a seed.

pub mod model;
