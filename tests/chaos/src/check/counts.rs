//! What happened in a run: the figures of its report, and the proof that its faults were really met.

use std::collections::BTreeMap;

use nova_types::{OutcomeKind, codes, run_skill};
use serde::{Deserialize, Serialize};

use super::{Copy, Life, Lives};
use crate::history::{Fact, What};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Tasks asked for, runs among them.
    pub asked: u64,
    /// Tasks acknowledged.
    pub acked: u64,
    /// Tasks whose submit nobody knows the end of, and whose outcome is there all the same.
    pub recovered: u64,
    /// Submits that ended unknown.
    pub unsure: u64,
    /// Outcomes stored, those of steps among them.
    pub outcomes: u64,
    /// Those that are completed.
    pub completed: u64,
    /// Those that are dead.
    pub dead: u64,
    /// Those that are cancelled.
    pub cancelled: u64,
    /// Runs that ended.
    pub runs: u64,
    /// Attempts started.
    pub started: u64,
    /// Attempts started again because nobody knew what became of them.
    pub restarted: u64,
    /// Times two workers had one task at once.
    pub overlaps: u64,
    /// Outcomes refused because another was first.
    pub fenced: u64,
    /// Dead letters.
    pub letters: u64,
    /// Looks at outcomes.
    pub reads: u64,
    /// Cancels accepted.
    pub cancels: u64,
    /// Tasks that were cancelled while they ran.
    pub stopped: u64,
    /// Submits under a key that were answered with a task of another submit.
    pub joined: u64,
    /// Redrives answered with a task.
    pub redriven: u64,
    /// Bombs that ended dead at first sight.
    pub defused: u64,
    /// Submits refused for their size.
    pub oversize: u64,
    /// Faults injected.
    pub faults: u64,
}

impl Counts {
    /// Counts them.
    #[must_use]
    pub fn of(history: &[Fact], lives: &Lives, truth: &Copy) -> Self {
        let lives_where =
            |is_so: &dyn Fn(&Life) -> bool| lives.tasks.values().filter(|life| is_so(life)).count() as u64;
        let facts = |is_so: &dyn Fn(&What) -> bool| history.iter().filter(|fact| is_so(&fact.what)).count() as u64;
        let ended = |kind| truth.outcomes.iter().filter(|record| record.outcome.kind == kind).count() as u64;
        Self {
            asked: lives_where(&|life| life.asked.is_some()),
            acked: lives_where(&|life| life.acked.is_some()),
            recovered: lives_where(&|life| life.acked.is_none() && life.is_unsure && !life.outcomes.is_empty()),
            unsure: facts(&|what| matches!(what, What::Unsure { .. })),
            outcomes: truth.outcomes.len() as u64,
            completed: ended(OutcomeKind::Completed),
            dead: ended(OutcomeKind::Dead),
            cancelled: ended(OutcomeKind::Cancelled),
            runs: truth.outcomes.iter().filter(|record| record.outcome.skill == run_skill()).count() as u64,
            started: facts(&|what| matches!(what, What::Started { .. })),
            restarted: lives.tasks.values().map(restarts).sum(),
            overlaps: lives.tasks.values().map(overlaps).sum(),
            fenced: truth.fenced.len() as u64,
            letters: truth.letters.len() as u64,
            reads: facts(&|what| matches!(what, What::Read { .. })),
            cancels: facts(&|what| matches!(what, What::CancelAccepted { .. })),
            stopped: lives_where(&|life| {
                let is_cancelled = |record: &super::Record| record.outcome.kind == OutcomeKind::Cancelled;
                !life.starts.is_empty() && life.outcomes.iter().any(is_cancelled)
            }),
            joined: joined(history),
            redriven: facts(&|what| matches!(what, What::Redriven { .. })),
            defused: lives_where(&|life| life.doomed.is_some() && !life.outcomes.is_empty()),
            oversize: facts(&|what| matches!(what, What::Refused { why, .. } if why == codes::TOO_LARGE)),
            faults: facts(&|what| matches!(what, What::Fault { .. })),
        }
    }

    /// Adds the figures of another run.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            asked: self.asked + other.asked,
            acked: self.acked + other.acked,
            recovered: self.recovered + other.recovered,
            unsure: self.unsure + other.unsure,
            outcomes: self.outcomes + other.outcomes,
            completed: self.completed + other.completed,
            dead: self.dead + other.dead,
            cancelled: self.cancelled + other.cancelled,
            runs: self.runs + other.runs,
            started: self.started + other.started,
            restarted: self.restarted + other.restarted,
            overlaps: self.overlaps + other.overlaps,
            fenced: self.fenced + other.fenced,
            letters: self.letters + other.letters,
            reads: self.reads + other.reads,
            cancels: self.cancels + other.cancels,
            stopped: self.stopped + other.stopped,
            joined: self.joined + other.joined,
            redriven: self.redriven + other.redriven,
            defused: self.defused + other.defused,
            oversize: self.oversize + other.oversize,
            faults: self.faults + other.faults,
        }
    }
}

/// Starts of an attempt number that had been started before: its end was lost, or its worker.
fn restarts(life: &Life) -> u64 {
    let again = |(at, start): (usize, &super::life::Try)| {
        life.starts[..at].iter().any(|before| before.attempt == start.attempt && !is_snoozed(life))
    };
    life.starts.iter().enumerate().filter(|each| again(*each)).count() as u64
}

/// A snooze uses up no attempt: its second start is meant.
fn is_snoozed(life: &Life) -> bool {
    life.order.as_ref().is_some_and(|order| order.end == crate::order::End::Snooze)
}

/// Starts at a moment at which another worker had not ended.
fn overlaps(life: &Life) -> u64 {
    let is_open = |before: &super::life::Try, at: u64| {
        let end =
            life.ends.iter().find(|end| end.by == before.by && end.attempt == before.attempt && end.at >= before.at);
        end.is_some_and(|end| end.at > at)
    };
    let overlapping = |(at, start): (usize, &super::life::Try)| {
        life.starts[..at].iter().any(|before| before.by != start.by && is_open(before, start.at))
    };
    life.starts.iter().enumerate().filter(|each| overlapping(*each)).count() as u64
}

/// Answers that name another task than was proposed.
fn joined(history: &[Fact]) -> u64 {
    let mut proposed = BTreeMap::new();
    let mut joined = 0;
    for fact in history {
        match &fact.what {
            What::OnceAsked { task, .. } => {
                proposed.insert(&fact.by, task);
            }
            What::OnceTold { task, .. } if proposed.get(&fact.by) != Some(&task) => joined += 1,
            _ => {}
        }
    }
    joined
}
