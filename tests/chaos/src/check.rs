//! The verdict over a run: history and records in, violations and figures out. No I/O.
//!
//! Each check is named as its invariant is. What was never seen cannot have been survived: [`counts`] says what was.

use std::collections::BTreeMap;

use nova_types::{Outcome, RunId, Skill, TaskId, UnixMillis};
use nova_workflow::Transition;
use serde::Serialize;

use crate::history::Fact;

mod cancel;
mod copies;
pub mod counts;
mod keyed;
mod life;
mod once;
mod redrive;
mod register;
mod run;
mod task;

pub use counts::Counts;
pub use life::{Life, Lives, Task};
pub use run::CHAIN;

/// An outcome as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its sequence.
    pub sequence: u64,
    /// When it was stored, by the broker's clock.
    pub at: UnixMillis,
    /// What its header says.
    pub outcome: Outcome,
    /// The number in its result, when it has one of ours.
    pub n: Option<u64>,
    /// Whether the result is in the object store, and not looked at here.
    pub is_large: bool,
}

/// A dead letter as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Of which skill.
    pub skill: Skill,
    /// Which task.
    pub task: TaskId,
    /// The number in its body, when the body is an order.
    pub n: Option<u64>,
    /// Of a redriven task: the one whose letter it was.
    pub redrive_of: Option<TaskId>,
    /// Whether the body is in the object store, and not looked at here.
    pub is_large: bool,
}

/// One priority or partition of a queue at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Its stream and name.
    pub name: String,
    /// Messages not delivered yet.
    pub pending: u64,
    /// Messages out.
    pub ack_pending: u64,
}

/// Everything a server holds when all is over.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Copy {
    /// Which server.
    pub server: String,
    /// All outcomes.
    pub outcomes: Vec<Record>,
    /// All dead letters.
    pub letters: Vec<Letter>,
    /// Who was told that another was first.
    pub fenced: Vec<TaskId>,
    /// The histories of all runs, in the order they are stored.
    pub transitions: Vec<(RunId, Transition)>,
    /// All queues.
    pub lanes: Vec<Lane>,
}

/// All that a verdict is made from.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What the actors wrote.
    pub history: Vec<Fact>,
    /// What each server holds; the first is the one that is judged, the others must hold the same.
    pub copies: Vec<Copy>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// Of what: a task, a run, a queue.
    pub of: String,
    /// What was found.
    pub what: String,
}

impl Violation {
    fn new(invariant: &'static str, of: impl ToString, what: impl Into<String>) -> Self {
        Self { invariant, of: of.to_string(), what: what.into() }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// All that is wrong.
    pub violations: Vec<Violation>,
    /// What happened.
    pub counts: Counts,
}

/// Judges a run.
#[must_use]
pub fn judge(seen: &Seen) -> Verdict {
    let nothing = Copy::default();
    let truth = seen.copies.first().unwrap_or(&nothing);
    let lives = Lives::of(&seen.history, truth);
    let mut violations: Vec<Violation> = lives.tasks.iter().flat_map(|(task, life)| task::check(task, life)).collect();
    violations.extend(lives.tasks.iter().flat_map(|(task, life)| register::check(task, life)));
    violations.extend(keyed::check(&lives));
    violations.extend(cancel::check(&seen.history, &lives));
    violations.extend(once::check(&seen.history, &lives));
    violations.extend(redrive::check(&lives));
    violations.extend(run::check(&lives, truth));
    violations.extend(copies::check(&seen.copies));
    violations.extend(truth.lanes.iter().filter(|lane| lane.pending + lane.ack_pending > 0).map(|lane| {
        let what = format!("{} waiting and {} out when all was over", lane.pending, lane.ack_pending);
        Violation::new("I24 everything ends", &lane.name, what)
    }));
    let counts = Counts::of(&seen.history, &lives, truth);
    Verdict { violations, counts }
}

impl Verdict {
    /// How many violations there are of each invariant.
    #[must_use]
    pub fn by_invariant(&self) -> BTreeMap<&'static str, usize> {
        let mut all = BTreeMap::new();
        for violation in &self.violations {
            *all.entry(violation.invariant).or_insert(0) += 1;
        }
        all
    }
}
