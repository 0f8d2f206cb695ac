//! Claim, run, record, ack: the protocol of ARCHITECTURE.md's "life of a task", one task long, with what can go wrong.
//!
//! Two workers, a submitter that may send the task twice, somebody who may cancel it, and a broker that loses receipts and
//! publishes, takes stale acks, lets leases run out, and forgets acks and delivery counts when it is killed. How often each
//! fault may happen is bounded ([`Faults`]), or there would be no end of states. What it leaves out: time, other than that
//! leases end and pauses pass, and everything that is one task's no matter of.

mod act;
mod properties;
mod state;

pub use state::{Faults, World};

use super::explore::Model;

/// A rule of the protocol that a mutant leaves out; `None` in the protocol as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Outcomes are written whatever stands there.
    NoFence,
    /// A done attempt acks before its outcome is written.
    AckBeforeOutcome,
    /// An attempt that lost the compare-and-set of its failure acks.
    AckWhenOvertaken,
    /// The dead letter is written after the ack.
    LetterAfterAck,
    /// A redelivered task whose outcome is `dead` is acked without a look at its letter.
    NoLetterOnRedelivery,
    /// A redelivered task starts without a look at its outcome.
    NoLookOnRedelivery,
    /// After a broker was killed, what it delivers "for the first time" starts without a look.
    NoLookAfterRestart,
    /// A publish without a receipt counts as stored.
    UnknownIsStored,
    /// A publish without a receipt counts as refused by another's.
    UnknownIsAnothers,
    /// The record of attempts is written whatever stands there.
    RecordWithoutFence,
    /// An attempt writes its failure though its number has failed before.
    FailsTwice,
    /// The broker's count of deliveries is taken for the number of the attempt.
    DeliveriesAreAttempts,
    /// A failed attempt puts the task off before its failure is noted.
    PutOffBeforeRecord,
    /// A long pause acks before the task stands in the schedules.
    AckBeforeSchedule,
    /// A task that came out of the schedules starts as if it had never run.
    NoLookWhenDue,
    /// The broker gives a message up after some deliveries.
    GivenUpByBroker,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::NoFence,
        Self::AckBeforeOutcome,
        Self::AckWhenOvertaken,
        Self::LetterAfterAck,
        Self::NoLetterOnRedelivery,
        Self::NoLookOnRedelivery,
        Self::NoLookAfterRestart,
        Self::UnknownIsStored,
        Self::UnknownIsAnothers,
        Self::RecordWithoutFence,
        Self::FailsTwice,
        Self::DeliveriesAreAttempts,
        Self::PutOffBeforeRecord,
        Self::AckBeforeSchedule,
        Self::NoLookWhenDue,
        Self::GivenUpByBroker,
    ];
}

/// The protocol, or a mutant of it.
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// The rule that is left out.
    pub mutant: Option<Mutant>,
    /// How many attempts may fail.
    pub max_attempts: u8,
    /// How often each fault may happen.
    pub faults: Faults,
}

/// Something that happens; workers and copies go by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A worker is given a copy of the task.
    Take(usize, usize),
    /// A worker makes its next call to the broker, or its skill returns.
    Go(usize),
    /// Its skill fails, and is to be tried again after a pause.
    Fail(usize, Pause),
    /// Its call reaches the broker, and the receipt is lost.
    LoseReceipt(usize),
    /// Its call is lost on the way.
    LoseCall(usize),
    /// It dies.
    Crash(usize),
    /// The lease of a copy runs out; whoever holds it does not know.
    LeaseEnds(usize),
    /// The pause of a copy that was put off is over.
    PauseEnds(usize),
    /// A broker that gives up gives up a copy.
    GiveUp(usize),
    /// The broker is killed: it forgets acks, leases and how often it delivered.
    BrokerDies,
    /// The submitter, unsure, sends the task again, after the broker has forgotten its id.
    SendAgain,
    /// Somebody cancels the task.
    Cancel,
    /// The schedule of a task that waits for long fires.
    Due,
}

/// How long a failed task waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pause {
    /// As a delayed redelivery.
    Short,
    /// In the schedules.
    Long,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn initial(&self) -> World {
        World::new(self.faults)
    }

    fn actions(&self, state: &World) -> Vec<Action> {
        act::possible(self, state)
    }

    fn is_fault(&self, action: Action) -> bool {
        use Action as A;
        matches!(
            action,
            A::LoseReceipt(_) | A::LoseCall(_) | A::Crash(_) | A::GiveUp(_) | A::BrokerDies | A::SendAgain | A::Cancel
        )
    }

    fn after(&self, state: &World, action: Action) -> World {
        let mut next = state.clone();
        act::act(self, &mut next, action);
        next.canonical()
    }

    fn broken(&self, state: &World) -> Option<&'static str> {
        properties::broken(self, state)
    }

    fn is_done(&self, state: &World) -> bool {
        properties::is_done(state)
    }
}
