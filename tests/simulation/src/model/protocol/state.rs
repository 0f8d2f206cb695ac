//! The state of the model: the task on the broker, the workers, and the faults that are left.

/// How many workers there are.
pub const WORKERS: usize = 2;
/// How many copies of the task there can be: the first, one sent again, and one out of the schedules.
pub const COPIES: usize = 3;

/// How often each fault may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Receipts and calls that are lost.
    pub losses: u8,
    /// Workers that die.
    pub crashes: u8,
    /// Leases that run out while their holder goes on.
    pub leases: u8,
    /// Times that the broker is killed.
    pub restarts: u8,
    /// Copies that are sent again.
    pub copies: u8,
    /// Cancels.
    pub cancels: u8,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// What the streams say of the task.
    pub(super) task: Task,
    /// The copies of it in its queue.
    pub(super) copies: [Option<Copy>; COPIES],
    /// The workers.
    pub(super) workers: [Worker; WORKERS],
    /// The faults that are left.
    pub(super) faults: Faults,
    /// What was done that must not be, noted when it is done.
    pub(super) wrong: Option<&'static str>,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Why {
    /// With a result.
    Completed,
    /// Without one.
    Dead,
    /// By request.
    Cancelled,
}

/// What the streams say of the task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Task {
    /// Its outcome.
    pub outcome: Option<Why>,
    /// Whether its dead letter stands.
    pub has_letter: bool,
    /// How many attempts its record says have failed; it is written once for each, so that its compare-and-set goes by this.
    pub failed: u8,
    /// Whether it waits in the schedules.
    pub is_scheduled: bool,
    /// Whether it ever did.
    pub was_scheduled: bool,
    /// Whether somebody asked for its end.
    pub is_cancelled: bool,
}

/// Where a copy of the task in its queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// It can be delivered.
    Waiting,
    /// It is put off.
    Paused,
    /// A lease on it runs.
    Leased,
    /// It is acked.
    Acked,
    /// The broker gave it up: nobody is told, nobody gets it.
    Orphaned,
}

/// A copy of the task in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Copy {
    /// Where it stands.
    pub place: Place,
    /// How often the broker says to have delivered it.
    pub deliveries: u8,
    /// Whether it was stored before the broker was last killed, so that it may have run.
    pub is_covered: bool,
    /// Whether Nova published it again.
    pub is_due: bool,
}

/// What a worker is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Step {
    /// Read outcome and record.
    Look,
    /// Decide whether to start.
    Admit,
    /// Wait for its skill.
    Run,
    /// Note that its attempt failed: for the last time, or to be tried again.
    Note {
        pause: Option<super::Pause>,
    },
    /// Read the record again after a call without a receipt or a conflict.
    NoteAgain {
        pause: Option<super::Pause>,
    },
    /// Write the outcome.
    Record {
        why: Why,
    },
    /// Read what stands after a write without a receipt, or a refused one.
    ReadBack {
        why: Why,
        is_refused: bool,
    },
    /// Write the letter.
    Letter,
    /// Put the task into the schedules.
    Schedule,
    /// Put it off.
    PutOff,
    /// Ack it.
    Ack,
    /// Of mutants: write the letter, the outcome, the record or the schedule behind the ack or the putting off.
    LetterLate,
    RecordLate {
        why: Why,
    },
    /// See above.
    NoteLate,
    /// See above.
    ScheduleLate,
}

/// A worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Worker {
    /// What it works on; nothing while it waits.
    pub work: Option<Work>,
}

/// What a worker has in hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Work {
    pub copy: u8,
    pub step: Step,
    /// The attempt, once it is known.
    pub attempt: u8,
    /// How many attempts have failed, as this worker knows the record.
    pub failed: u8,
    /// Whether the outcome, and the last note of the record, are this execution's own.
    pub has_ended: bool,
    pub has_noted: bool,
    /// Whether it had to look before it starts, for an outcome stood when it was delivered.
    pub must_not_start: bool,
    /// Whether it has failed, and that is noted nowhere.
    pub has_failed: bool,
}

impl World {
    pub(super) fn new(faults: Faults) -> Self {
        let first = Copy { place: Place::Waiting, deliveries: 0, is_covered: false, is_due: false };
        Self {
            task: Task::default(),
            copies: [Some(first), None, None],
            workers: [Worker::default(); WORKERS],
            faults,
            wrong: None,
        }
    }

    /// The same state for all that are alike: it is no matter which worker is which.
    pub(super) fn canonical(mut self) -> Self {
        self.workers.sort_unstable();
        self
    }

    /// A place for another copy, if there is one.
    pub(super) fn room(&self) -> Option<usize> {
        self.copies.iter().position(Option::is_none)
    }
}
