//! In which order a fleet is upgraded: what an operator does, one step after the other. No I/O.

use crate::field::Role;

/// Of which release a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The last one that was released.
    Released,
    /// This tree's.
    Present,
}

impl Side {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Present => "present",
        }
    }
}

/// What is done in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The assets are made as the present release wants them, for the skills there are.
    Provision,
    /// A member ends by SIGTERM, and one of this side takes its place.
    Replace(Role, usize, Side),
    /// What only the present release knows begins, once every coordinator is of it: a keyed skill, and runs.
    Begin,
}

/// How many workers there are.
pub const WORKERS: usize = 3;
/// How many coordinators.
pub const COORDINATORS: usize = 2;

use Side::{Present, Released};
use Step::{Begin, Provision, Replace};

/// As docs/operations.md says; a coordinator goes back before what is new begins, a worker after it.
const DOCUMENTED: [Step; 11] = [
    Provision,
    Replace(Role::Coordinator, 0, Present),
    Replace(Role::Coordinator, 0, Released),
    Replace(Role::Coordinator, 0, Present),
    Replace(Role::Coordinator, 1, Present),
    Replace(Role::Worker, 0, Present),
    Replace(Role::Worker, 1, Present),
    Begin,
    Replace(Role::Worker, 1, Released),
    Replace(Role::Worker, 1, Present),
    Replace(Role::Worker, 2, Present),
];

/// Workers first: whoever does not read the page does this.
const WORKERS_FIRST: [Step; 8] = [
    Replace(Role::Worker, 0, Present),
    Replace(Role::Worker, 1, Present),
    Replace(Role::Worker, 1, Released),
    Provision,
    Replace(Role::Worker, 1, Present),
    Replace(Role::Coordinator, 0, Present),
    Replace(Role::Coordinator, 1, Present),
    Begin,
];

/// The steps of a seed: odd ones go the documented way.
#[must_use]
pub fn route(seed: u64) -> &'static [Step] {
    if seed.is_multiple_of(2) { &WORKERS_FIRST } else { &DOCUMENTED }
}
