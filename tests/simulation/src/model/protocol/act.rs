//! What can happen in a state of the model, and what it then comes to.

mod work;

use super::state::{COPIES, Copy, Place, Step, WORKERS, Work, World};
use super::{Action, Mutant, Pause, Protocol};

/// The most deliveries that are counted: more of them make no difference.
const MOST_DELIVERIES: u8 = 2;

/// All that can happen.
pub(super) fn possible(protocol: &Protocol, world: &World) -> Vec<Action> {
    let mut all = Vec::new();
    for worker in 0..WORKERS {
        match world.workers[worker].work {
            None => {
                let waiting = |copy: &usize| world.copies[*copy].is_some_and(|copy| copy.place == Place::Waiting);
                all.extend((0..COPIES).filter(waiting).map(|copy| Action::Take(worker, copy)));
            }
            Some(work) => of_worker(world, worker, work, &mut all),
        }
    }
    for (copy, at) in world.copies.iter().enumerate() {
        let Some(at) = at else { continue };
        let is_held = world.workers.iter().filter_map(|worker| worker.work).any(|work| usize::from(work.copy) == copy);
        match at.place {
            // Of one that nobody holds it ends some time; with a holder that goes on that is a fault.
            Place::Leased if !is_held || world.faults.leases > 0 => all.push(Action::LeaseEnds(copy)),
            Place::Paused => all.push(Action::PauseEnds(copy)),
            Place::Waiting if at.deliveries > 1 && protocol.mutant == Some(Mutant::GivenUpByBroker) => {
                all.push(Action::GiveUp(copy));
            }
            _ => {}
        }
    }
    let faults = &world.faults;
    all.extend((faults.restarts > 0).then_some(Action::BrokerDies));
    all.extend((faults.copies > 0 && world.room().is_some()).then_some(Action::SendAgain));
    all.extend((faults.cancels > 0).then_some(Action::Cancel));
    all.extend((world.task.is_scheduled && world.room().is_some()).then_some(Action::Due));
    all
}

fn of_worker(world: &World, worker: usize, work: Work, all: &mut Vec<Action>) {
    let step = work.step;
    all.push(Action::Go(worker));
    if step == Step::Run {
        all.push(Action::Fail(worker, Pause::Short));
        // Once is enough, and there is room for one copy out of the schedules.
        if !world.task.was_scheduled {
            all.push(Action::Fail(worker, Pause::Long));
        }
    }
    let is_publish = match step {
        // One that sees it was overtaken makes no call.
        Step::Note { .. } => work.failed < work.attempt,
        step => matches!(step, Step::Record { .. } | Step::Letter | Step::Schedule),
    };
    if world.faults.losses > 0 {
        all.extend(is_publish.then_some(Action::LoseReceipt(worker)));
        all.extend((is_publish || matches!(step, Step::Ack | Step::PutOff)).then_some(Action::LoseCall(worker)));
    }
    all.extend((world.faults.crashes > 0).then_some(Action::Crash(worker)));
}

/// Lets it happen.
pub(super) fn act(protocol: &Protocol, world: &mut World, action: Action) {
    match action {
        Action::Take(worker, copy) => take(protocol, world, worker, copy),
        Action::Go(worker) => work::go(protocol, world, worker),
        Action::Fail(worker, pause) => work::fail(protocol, world, worker, pause),
        Action::LoseReceipt(worker) => {
            world.faults.losses -= 1;
            work::lose_receipt(protocol, world, worker);
        }
        Action::LoseCall(worker) => {
            world.faults.losses -= 1;
            work::lose_call(protocol, world, worker);
        }
        Action::Crash(worker) => {
            world.faults.crashes -= 1;
            world.workers[worker].work = None;
        }
        Action::LeaseEnds(copy) => {
            let is_held =
                world.workers.iter().filter_map(|worker| worker.work).any(|work| usize::from(work.copy) == copy);
            world.faults.leases -= u8::from(is_held);
            at(world, copy).place = Place::Waiting;
        }
        Action::PauseEnds(copy) => at(world, copy).place = Place::Waiting,
        Action::GiveUp(copy) => at(world, copy).place = Place::Orphaned,
        Action::BrokerDies => {
            world.faults.restarts -= 1;
            for copy in world.copies.iter_mut().flatten().filter(|copy| copy.place != Place::Orphaned) {
                *copy = Copy { place: Place::Waiting, deliveries: 0, is_covered: true, ..*copy };
            }
        }
        Action::SendAgain => {
            world.faults.copies -= 1;
            store(world, false);
        }
        Action::Cancel => {
            world.faults.cancels -= 1;
            world.task.is_cancelled = true;
        }
        Action::Due => {
            world.task.is_scheduled = false;
            store(world, true);
        }
    }
}

fn at(world: &mut World, copy: usize) -> &mut Copy {
    world.copies[copy].as_mut().expect("it was seen when it was decided")
}

fn store(world: &mut World, is_due: bool) {
    let room = world.room().expect("it was seen when it was decided");
    world.copies[room] = Some(Copy { place: Place::Waiting, deliveries: 0, is_covered: false, is_due });
}

fn take(protocol: &Protocol, world: &mut World, worker: usize, copy: usize) {
    let stood = world.task.outcome.is_some();
    let copied = at(world, copy);
    copied.place = Place::Leased;
    copied.deliveries = (copied.deliveries + 1).min(MOST_DELIVERIES);
    let looks = [
        (copied.deliveries > 1, Mutant::NoLookOnRedelivery),
        (copied.is_covered, Mutant::NoLookAfterRestart),
        (copied.is_due, Mutant::NoLookWhenDue),
    ];
    let had_to_look = looks.iter().any(|(needed, _)| *needed);
    let does_look = looks.iter().any(|(needed, but)| *needed && protocol.mutant != Some(*but));
    world.workers[worker].work = Some(Work {
        copy: u8::try_from(copy).expect("there are few"),
        step: if does_look { Step::Look } else { Step::Admit },
        attempt: 0,
        failed: 0,
        has_ended: false,
        has_noted: false,
        must_not_start: had_to_look && stood,
        has_failed: false,
    });
}
