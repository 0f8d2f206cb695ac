//! A worker's steps, in the order of the protocol: look, admit, run, note or record, letter, ack.

use super::super::properties::{NOTED_BEFORE, NUMBERS_GROW, ONE_OUTCOME, STARTS_ONCE};
use super::super::state::{Place, Step, Why, Work, World};
use super::super::{Mutant, Pause, Protocol};

/// What a call came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// It was carried out, and that is known.
    Done,
    /// It was not, for something else stands there, and that is known.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// The worker makes its next step, and all goes well.
pub(super) fn go(protocol: &Protocol, world: &mut World, worker: usize) {
    let Some(mut work) = world.workers[worker].work else { return };
    let next = match work.step {
        Step::Look => look(protocol, world, &mut work),
        Step::Admit => admit(protocol, world, &mut work),
        Step::Run if protocol.mutant == Some(Mutant::AckBeforeOutcome) => Some(Step::Ack),
        Step::Run => Some(Step::Record { why: Why::Completed }),
        Step::Note { pause } => {
            if work.failed >= work.attempt && protocol.mutant != Some(Mutant::FailsTwice) {
                overtaken(protocol)
            } else {
                let answer = note(protocol, world, &mut work);
                noted(&mut work, pause, answer)
            }
        }
        Step::NoteAgain { pause } => note_again(world, &mut work, pause),
        Step::Record { why } => {
            let answer = record(protocol, world, &mut work, why);
            recorded(protocol, why, answer)
        }
        Step::ReadBack { why, is_refused } => read_back(protocol, world, work, why, is_refused),
        Step::Letter => {
            world.task.has_letter = true;
            Some(Step::Ack)
        }
        Step::Schedule if protocol.mutant == Some(Mutant::AckBeforeSchedule) => Some(Step::Ack),
        Step::Schedule => {
            schedule(world);
            Some(Step::Ack)
        }
        Step::PutOff => put_off(protocol, world, work),
        Step::Ack => ack(protocol, world, work),
        Step::LetterLate => {
            world.task.has_letter = true;
            None
        }
        Step::RecordLate { why } => {
            record(protocol, world, &mut work, why);
            None
        }
        Step::NoteLate => {
            note(protocol, world, &mut work);
            None
        }
        Step::ScheduleLate => {
            schedule(world);
            None
        }
    };
    world.workers[worker].work = next.map(|step| Work { step, ..work });
}

/// Its skill fails.
pub(super) fn fail(protocol: &Protocol, world: &mut World, worker: usize, pause: Pause) {
    let Some(work) = &mut world.workers[worker].work else { return };
    work.has_failed = true;
    let pause = (work.attempt < protocol.max_attempts).then_some(pause);
    work.step = match pause {
        Some(Pause::Short) if protocol.mutant == Some(Mutant::PutOffBeforeRecord) => Step::PutOff,
        pause => Step::Note { pause },
    };
}

/// Its publish is carried out, and it does not learn that.
pub(super) fn lose_receipt(protocol: &Protocol, world: &mut World, worker: usize) {
    let Some(mut work) = world.workers[worker].work else { return };
    match work.step {
        Step::Note { .. } => _ = note(protocol, world, &mut work),
        Step::Record { why } => _ = record(protocol, world, &mut work, why),
        Step::Letter => world.task.has_letter = true,
        Step::Schedule => schedule(world),
        _ => {}
    }
    unsure(protocol, &mut work);
    world.workers[worker].work = Some(work);
}

/// Its call never arrives.
pub(super) fn lose_call(protocol: &Protocol, world: &mut World, worker: usize) {
    let Some(mut work) = world.workers[worker].work else { return };
    if matches!(work.step, Step::Ack | Step::PutOff) {
        // Nobody waits for an answer to these: the lease will end.
        world.workers[worker].work = None;
        return;
    }
    unsure(protocol, &mut work);
    world.workers[worker].work = Some(work);
}

/// What is done after a publish without a receipt.
fn unsure(protocol: &Protocol, work: &mut Work) {
    work.step = match work.step {
        Step::Note { pause } => Step::NoteAgain { pause },
        Step::Record { why } => recorded(protocol, why, Answer::Unknown).expect("there is always a next step"),
        Step::Letter => Step::PutOff,
        other => other,
    };
}

fn look(protocol: &Protocol, world: &World, work: &mut Work) -> Option<Step> {
    work.failed = world.task.failed;
    Some(if world.task.outcome.is_some() { conclude(protocol, world) } else { Step::Admit })
}

/// What is left to do of a task whose outcome stands.
fn conclude(protocol: &Protocol, world: &World) -> Step {
    let is_dead = world.task.outcome == Some(Why::Dead);
    let lacks_letter = is_dead && !world.task.has_letter && protocol.mutant != Some(Mutant::NoLetterOnRedelivery);
    if lacks_letter { Step::Letter } else { Step::Ack }
}

fn admit(protocol: &Protocol, world: &mut World, work: &mut Work) -> Option<Step> {
    work.attempt = work.failed;
    if world.task.is_cancelled {
        return Some(Step::Record { why: Why::Cancelled });
    }
    if work.failed >= protocol.max_attempts {
        return Some(Step::Record { why: Why::Dead });
    }
    work.attempt = work.failed + 1;
    if protocol.mutant == Some(Mutant::DeliveriesAreAttempts) {
        work.attempt = world.copies[usize::from(work.copy)].map_or(1, |copy| copy.deliveries);
    }
    if work.must_not_start {
        world.wrong = Some(STARTS_ONCE);
    }
    Some(Step::Run)
}

/// Writes the record of attempts behind the one this worker knows.
fn note(protocol: &Protocol, world: &mut World, work: &mut Work) -> Answer {
    if world.task.failed != work.failed && protocol.mutant != Some(Mutant::RecordWithoutFence) {
        return Answer::Refused;
    }
    if work.attempt != world.task.failed + 1 {
        world.wrong = Some(NUMBERS_GROW);
    }
    // What this worker knows of the others' attempts, and its own.
    world.task.failed = work.failed.max(work.attempt);
    for other in world.workers.iter_mut().filter_map(|worker| worker.work.as_mut()) {
        other.has_noted = false;
    }
    work.has_noted = true;
    Answer::Done
}

fn noted(work: &mut Work, pause: Option<Pause>, answer: Answer) -> Option<Step> {
    if answer != Answer::Done {
        return Some(Step::NoteAgain { pause });
    }
    work.failed = work.failed.max(work.attempt);
    work.has_failed = false;
    Some(match pause {
        None => Step::Record { why: Why::Dead },
        Some(Pause::Short) => Step::PutOff,
        Some(Pause::Long) => Step::Schedule,
    })
}

/// Reads what stands in the way of the record, or whether it is its own.
fn note_again(world: &World, work: &mut Work, pause: Option<Pause>) -> Option<Step> {
    work.failed = world.task.failed;
    if work.has_noted {
        return noted(work, pause, Answer::Done);
    }
    Some(Step::Note { pause })
}

/// Another has noted the failure of the same attempt: whoever holds the task goes on with it.
fn overtaken(protocol: &Protocol) -> Option<Step> {
    (protocol.mutant == Some(Mutant::AckWhenOvertaken)).then_some(Step::Ack)
}

fn record(protocol: &Protocol, world: &mut World, work: &mut Work, why: Why) -> Answer {
    if world.task.outcome.is_some() {
        if protocol.mutant != Some(Mutant::NoFence) {
            return Answer::Refused;
        }
        world.wrong = Some(ONE_OUTCOME);
    }
    world.task.outcome = Some(why);
    work.has_ended = true;
    Answer::Done
}

fn recorded(protocol: &Protocol, why: Why, answer: Answer) -> Option<Step> {
    match (answer, protocol.mutant) {
        (Answer::Done, _) | (Answer::Unknown, Some(Mutant::UnknownIsStored)) => Some(behind(protocol, why)),
        (Answer::Unknown, Some(Mutant::UnknownIsAnothers)) => Some(Step::Ack),
        (answer, _) => Some(Step::ReadBack { why, is_refused: answer == Answer::Refused }),
    }
}

/// What follows the outcome.
fn behind(protocol: &Protocol, why: Why) -> Step {
    if why == Why::Dead && protocol.mutant != Some(Mutant::LetterAfterAck) { Step::Letter } else { Step::Ack }
}

fn read_back(protocol: &Protocol, world: &World, work: Work, why: Why, is_refused: bool) -> Option<Step> {
    Some(match world.task.outcome {
        Some(_) if work.has_ended => behind(protocol, why),
        Some(_) => conclude(protocol, world),
        None if is_refused => Step::PutOff,
        None => Step::Record { why },
    })
}

/// Within the window for duplicates, the broker takes the same schedule once, be it fired by then.
fn schedule(world: &mut World) {
    let is_new = !std::mem::replace(&mut world.task.was_scheduled, true);
    world.task.is_scheduled |= is_new;
}

fn put_off(protocol: &Protocol, world: &mut World, work: Work) -> Option<Step> {
    if work.has_failed {
        world.wrong = Some(NOTED_BEFORE);
    }
    let copy = world.copies[usize::from(work.copy)].as_mut().expect("it was delivered");
    // A stale word is taken, too.
    if matches!(copy.place, Place::Leased | Place::Waiting) {
        copy.place = Place::Paused;
    }
    (work.has_failed && protocol.mutant == Some(Mutant::PutOffBeforeRecord)).then_some(Step::NoteLate)
}

fn ack(protocol: &Protocol, world: &mut World, work: Work) -> Option<Step> {
    let copy = world.copies[usize::from(work.copy)].as_mut().expect("it was delivered");
    // Whoever holds the lease now is not asked.
    if copy.place != Place::Orphaned {
        copy.place = Place::Acked;
    }
    let is_dead = work.has_ended && world.task.outcome == Some(Why::Dead);
    match protocol.mutant {
        Some(Mutant::AckBeforeOutcome) if world.task.outcome.is_none() => {
            Some(Step::RecordLate { why: Why::Completed })
        }
        Some(Mutant::LetterAfterAck) if is_dead => Some(Step::LetterLate),
        Some(Mutant::AckBeforeSchedule) if world.task.outcome.is_none() => Some(Step::ScheduleLate),
        _ => None,
    }
}
