//! Worlds of many seeds hold, a process may die at any of its calls, and what would break the protocol is seen.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_simulation::scenario::{
    Act, Blow, PROCESSES, Part, Sabotage, Scenario, Strike, Task, WORKERS, Weather, plain,
};
use nova_simulation::world::{Report, play};

/// The seeds of `make test`; `make simulation` goes on.
const SEEDS: std::ops::Range<u64> = 0..60;

#[track_caller]
fn holds(scenario: &Scenario) -> Report {
    let report = play(scenario);
    assert!(report.broken.is_empty(), "{:#?}\nin {scenario:#?}", report.broken);
    report
}

#[test]
fn worlds_hold_and_come_to_the_same_twice() {
    let mut faults = BTreeMap::<&str, u64>::new();
    for seed in SEEDS {
        let scenario = Scenario::of_seed(seed);
        let report = play(&scenario);
        let told = "to see it again: make simulation SEEDS=1 SEED=";
        assert!(report.broken.is_empty(), "seed {seed} breaks {:#?}; {told}{seed}", report.broken);
        assert_eq!(report, play(&scenario), "seed {seed}");
        for (fault, count) in report.faults {
            *faults.entry(fault).or_default() += count;
        }
    }
    // What never happened was not survived.
    for fault in [
        "brokers killed",
        "calls lost",
        "connections cut",
        "processes frozen",
        "processes killed",
        "receipts lost",
        "settles lost",
        "tasks sent again",
    ] {
        assert!(faults.contains_key(fault), "no {fault} among {faults:?}");
    }
}

#[test]
fn what_was_once_broken_holds() {
    let once_broken = [
        (Scenario::plain_of_seed(101_993), "a letter lacked the last attempt, whose note had no receipt"),
        (Scenario::of_seed(206), "a broker forgot what was out, and its key went on without it"),
        (Scenario::of_seed(274), "the same"),
    ];
    for (scenario, what) in once_broken {
        let report = play(&scenario);
        assert!(report.broken.is_empty(), "seed {}, {what}: {:#?}", scenario.seed, report.broken);
    }
}

#[test]
fn every_part_is_in_some_world() {
    let worlds: Vec<_> = SEEDS.map(Scenario::of_seed).collect();
    let is_there =
        |is_it: fn(&Part) -> bool| worlds.iter().flat_map(|world| &world.tasks).any(|task| is_it(&task.part));
    assert!(is_there(|part| matches!(part, Part::Plain)));
    assert!(is_there(|part| matches!(part, Part::Keyed(_))));
    assert!(is_there(|part| matches!(part, Part::Bundle(_))));
    assert!(is_there(|part| matches!(part, Part::Once(_))));
    assert!(is_there(|part| matches!(part, Part::Limited)));
    assert!(worlds.iter().any(|world| world.is_packed && !world.runs.is_empty()));
    assert!(worlds.iter().any(|world| !world.recurring.is_empty()));
}

/// One task at work alone, so that the first worker gets it or the second does: either may be killed.
fn one_task(acts: &[Act]) -> Scenario {
    Scenario { tasks: vec![plain("t0", acts)], ..Scenario::calm(5) }
}

fn one_run() -> Scenario {
    Scenario { runs: vec![Duration::ZERO], ..Scenario::calm(5) }
}

/// Kills each process of a kind at each of its calls, before it and behind it.
fn at_every_call(scenario: &Scenario, processes: std::ops::Range<usize>, step: usize) {
    let calls = holds(scenario).calls;
    for process in processes {
        // Those of the last moment are made while all is quiet already.
        for call in (1..=calls[process]).step_by(step) {
            for is_behind in [false, true] {
                let strike = Some(Strike { process, call, is_behind });
                holds(&Scenario { strike, ..scenario.clone() });
            }
        }
    }
}

#[test]
fn a_worker_may_die_at_any_call_of_a_task() {
    for acts in [&[Act::Done][..], &[Act::Fail, Act::Done], &[Act::Reject], &[Act::FailForLong, Act::Done]] {
        at_every_call(&one_task(acts), 0..WORKERS, 1);
    }
}

#[test]
fn a_coordinator_may_die_at_any_call_of_a_run() {
    at_every_call(&one_run(), WORKERS..PROCESSES, 3);
}

/// Whether worlds that suit a sabotage see it.
#[track_caller]
fn is_seen(sabotage: Sabotage, invariant: &str, scenarios: impl Iterator<Item = Scenario>) {
    for scenario in scenarios {
        let report = play(&Scenario { sabotage: Some(sabotage), ..scenario });
        if report.broken.iter().any(|broken| broken.starts_with(invariant)) {
            return;
        }
    }
    panic!("{sabotage:?} is not seen");
}

/// A worker that stands still while its task is done by another, and goes on then.
fn zombies() -> impl Iterator<Item = Scenario> {
    let slow = |name: &str| Task { at: Duration::from_secs(1), ..plain(name, &[Act::Slow(3_000)]) };
    (0..WORKERS).map(move |worker| Scenario {
        tasks: ["t0", "t1", "t2", "t3"].map(slow).to_vec(),
        blows: vec![(Duration::from_secs(2), Blow::Freeze(worker, Duration::from_secs(20)))],
        ..Scenario::calm(5)
    })
}

#[test]
fn an_outcome_without_a_fence_is_seen() {
    is_seen(Sabotage::NoFence, "I4", zombies());
}

#[test]
fn an_ack_before_the_outcome_is_seen() {
    is_seen(Sabotage::AckAtDelivery, "I8", [one_task(&[Act::Slow(500)])].into_iter());
}

#[test]
fn lost_letters_are_seen() {
    is_seen(Sabotage::LettersLost, "I5, I6", [one_task(&[Act::Reject])].into_iter());
}

#[test]
fn lost_records_of_attempts_are_seen() {
    is_seen(Sabotage::AttemptsLost, "I", [one_task(&[Act::Fail])].into_iter());
}

#[test]
fn a_history_without_a_fence_is_seen() {
    let weather = Weather { latency_ms: 40, lost_receipts: 60, ..Weather::default() };
    let worlds = (1..12).map(|seed| Scenario { runs: vec![Duration::ZERO; 3], weather, ..Scenario::calm(seed) });
    is_seen(Sabotage::HistoryWithoutFence, "I13", worlds);
}
