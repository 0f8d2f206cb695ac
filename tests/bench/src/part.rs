//! The part this program plays as a child of itself: Nova's worker.

use std::process::{Command, ExitCode};
use std::time::Duration;

use nova_worker::Worker;

use crate::bed;
use crate::skill::{Held, Noop};

/// Which part; read by the child.
const PART: &str = "NOVA_BENCH_PART";
/// Which skill it serves.
const SKILL: &str = "NOVA_BENCH_SKILL";
/// How long each of its tasks takes at least.
const HOLD_MS: &str = "NOVA_BENCH_HOLD_MS";

/// A part.
pub enum Part {
    /// Nova's worker, exactly as a user's would be.
    Worker,
}

/// A worker to start.
pub struct Asked<'a> {
    /// The server.
    pub url: &'a str,
    /// Its name.
    pub id: &'a str,
    /// Its skill, or several with commas between.
    pub skill: &'a str,
    /// How many tasks it has under way.
    pub slots: usize,
    /// How long each takes at least.
    pub hold: Duration,
}

/// The part this process is to play, when it is such a child.
pub fn asked() -> Option<Part> {
    match std::env::var(PART).ok()?.as_str() {
        "worker" => Some(Part::Worker),
        _ => None,
    }
}

fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

impl Part {
    /// How to start this part as a child.
    ///
    /// # Errors
    /// When this program does not know where it is.
    pub fn command(&self, asked: &Asked<'_>) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(SKILL, asked.skill).env(HOLD_MS, asked.hold.as_millis().to_string());
        match self {
            Self::Worker => command
                .env(PART, "worker")
                .env("NOVA__NATS__URL", asked.url)
                .env("NOVA__WORKER__ID", asked.id)
                .env("NOVA__WORKER__SLOTS", asked.slots.to_string()),
        };
        Ok(command)
    }

    /// Plays it until the process is ended.
    pub fn run(self) -> ExitCode {
        match self {
            Self::Worker => nova_worker::main(|_setup| async {
                let least = Duration::from_millis(setting(HOLD_MS).parse().unwrap_or(0));
                let all = setting(SKILL);
                Ok(all.split(',').map(str::to_owned).fold(Worker::new(), |worker, name| {
                    if [bed::HELD, bed::BRIEF].contains(&&*name) {
                        worker.skill(Held { name, least })
                    } else {
                        worker.skill(Noop(name))
                    }
                }))
            }),
        }
    }
}
