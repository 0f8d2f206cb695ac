//! The paths that every task takes.

mod engine;
mod round_trip;
mod wire;

/// One path.
pub struct Path {
    /// Its name among the figures.
    pub name: &'static str,
    /// What one repetition is.
    pub about: &'static str,
    /// Takes it so many times.
    pub repeat: fn(u64),
    /// How many times are enough for a steady count.
    pub times: u64,
}

/// All of them.
pub const ALL: [Path; 5] = [
    Path { name: "subjects", about: "the subjects of one task, written and read", repeat: wire::subjects, times: 500 },
    Path { name: "task", about: "a task read from its message, with its policy", repeat: wire::task, times: 500 },
    Path { name: "outcome", about: "an outcome's header written and read", repeat: wire::outcome, times: 500 },
    Path { name: "step", about: "a run of three steps decided, records written", repeat: engine::chain, times: 100 },
    Path { name: "round-trip", about: "a no-op task from submit to its waiter", repeat: round_trip::tasks, times: 500 },
];
