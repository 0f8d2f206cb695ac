//! What must hold in every state, and when all is done.

use super::Protocol;
use super::state::{Place, Why, World};

/// No more than one outcome is ever recorded.
pub const ONE_OUTCOME: &str = "a task has at most one outcome (I4)";
/// See its text; the same of all below.
pub const ACKED_IS_ENDED: &str = "what is acked has its outcome, or waits in the schedules (I1, I8)";
pub const DEAD_HAS_LETTER: &str = "what is done with and dead has its letter, and only that (I6)";
pub const LETTER_IS_DEAD: &str = "a letter is written of a task that is dead (I5)";
pub const NUMBERS_GROW: &str = "the numbers of failed attempts grow by one (I11)";
pub const NO_MORE_ATTEMPTS: &str = "no more attempts fail than may (I11)";
pub const STARTS_ONCE: &str = "a redelivered task whose outcome stood does not start (I12)";
pub const NOTED_BEFORE: &str = "a failure is noted before the task is put off (I8)";

/// The first property that a state breaks.
pub(super) fn broken(protocol: &Protocol, world: &World) -> Option<&'static str> {
    let task = &world.task;
    if world.wrong.is_some() {
        return world.wrong;
    }
    let copies = || world.copies.iter().flatten();
    let is_settled = copies().all(|copy| copy.place == Place::Acked) && !task.is_scheduled;
    let is_dead = task.outcome == Some(Why::Dead);
    let checks = [
        (ACKED_IS_ENDED, !is_settled || task.outcome.is_some()),
        (LETTER_IS_DEAD, !task.has_letter || is_dead),
        (DEAD_HAS_LETTER, !is_settled || is_dead == task.has_letter),
        (NO_MORE_ATTEMPTS, task.failed <= protocol.max_attempts),
    ];
    checks.into_iter().find(|(_, holds)| !holds).map(|(property, _)| property)
}

/// Whether everything is acked, and nobody does anything.
pub(super) fn is_done(world: &World) -> bool {
    let is_idle = world.workers.iter().all(|worker| worker.work.is_none());
    let copies = || world.copies.iter().flatten();
    is_idle
        && copies().all(|copy| copy.place == Place::Acked)
        && !world.task.is_scheduled
        && world.task.outcome.is_some()
}
