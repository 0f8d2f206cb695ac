//! The protocol holds in every state that it can come to, and each of its rules is needed.

use nova_simulation::model::explore::{Explored, explore};
use nova_simulation::model::protocol::{Faults, Mutant, Protocol};

/// More states than this are too many to look at in a test.
const MOST: usize = 100_000;

const NONE: Faults = Faults { losses: 0, crashes: 0, leases: 0, restarts: 0, copies: 0, cancels: 0 };

fn look(mutant: Option<Mutant>, faults: Faults) -> Explored<Protocol> {
    explore(&Protocol { mutant, max_attempts: 2, faults }, MOST)
}

#[track_caller]
fn check(faults: Faults) {
    let explored = look(None, faults);
    assert!(explored.counterexample.is_none(), "{:?}", explored.counterexample);
    assert!(explored.ends > 0, "something ends");
}

#[test]
fn the_protocol_holds_without_faults() {
    check(NONE);
}

#[test]
fn the_protocol_holds_when_calls_are_lost() {
    check(Faults { losses: 2, leases: 1, ..NONE });
}

#[test]
fn the_protocol_holds_when_workers_die() {
    check(Faults { crashes: 2, leases: 1, ..NONE });
}

#[test]
fn the_protocol_holds_when_the_task_is_there_twice() {
    check(Faults { leases: 1, copies: 1, ..NONE });
}

#[test]
fn the_protocol_holds_when_the_broker_forgets() {
    check(Faults { restarts: 1, leases: 1, crashes: 1, ..NONE });
}

#[test]
fn the_protocol_holds_when_the_task_is_cancelled() {
    check(Faults { cancels: 1, losses: 1, leases: 1, ..NONE });
}

#[test]
fn every_rule_is_needed() {
    // Little of each is enough, and the shortest way is found first.
    let faults = Faults { losses: 1, crashes: 1, leases: 1, restarts: 1, ..NONE };
    for mutant in Mutant::ALL {
        // What the broker gives up is no state that must not be, but one from which there is no way on: all must be seen.
        let few = Faults { crashes: 1, leases: 1, ..NONE };
        let faults = if mutant == Mutant::GivenUpByBroker { few } else { faults };
        let found = look(Some(mutant), faults).counterexample;
        assert!(found.is_some(), "{mutant:?} is not caught");
    }
}
