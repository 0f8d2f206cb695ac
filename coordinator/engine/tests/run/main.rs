//! Runs of workflows through the pure engine: each kind of step by script, then random graphs and random worlds.

mod bundles;
mod caps;
mod ends;
mod joins;
mod large;
mod play;
mod random;
mod restarts;
mod steps;
mod votes;
mod waits;
mod world;
