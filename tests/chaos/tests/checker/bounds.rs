//! How soon work goes on: each bound kept, broken, and broken where something else was in the way.

use std::time::Duration;

use nova_chaos::bounds::{Bound, Sample, exceeded, measure, summary};
use nova_chaos::history::{Fact, What};
use nova_chaos::order::Order;

use super::{skill, task};

const MS: u64 = 1_000_000;

/// A history told by moments, in milliseconds.
#[derive(Default, Clone)]
struct Story(Vec<Fact>);

impl Story {
    fn fact(mut self, at: u64, by: &str, what: What) -> Self {
        self.0.push(Fact { at: at * MS, by: by.to_owned(), what });
        self.0.sort_by_key(|fact| fact.at);
        self
    }

    fn acked(self, at: u64, name: &str) -> Self {
        let asked = What::Asked { skill: skill(), task: task(name), order: Some(Order::default()), key: None };
        self.fact(at, "s0", asked).fact(at, "s0", What::Acked { skill: skill(), task: task(name) })
    }

    fn started(self, at: u64, by: &str, name: &str, tag: &str) -> Self {
        self.fact(at, by, What::Started { skill: skill(), task: task(name), attempt: 1, tag: tag.to_owned() })
    }

    fn ended(self, at: u64, by: &str, name: &str, tag: &str) -> Self {
        self.fact(at, by, What::Ended { skill: skill(), task: task(name), attempt: 1, tag: tag.to_owned() })
    }

    fn fault(self, from: u64, to: u64, fault: &str, target: &str) -> Self {
        let (fault, target) = (fault.to_owned(), target.to_owned());
        let begins = What::Fault { fault: fault.clone(), target: target.clone() };
        self.fact(from, "nemesis", begins).fact(to, "nemesis", What::Mended { fault, target })
    }

    fn gone(self, at: u64, who: &str) -> Self {
        self.fact(at, "nemesis", What::Gone { who: who.to_owned() })
    }

    /// These are late, and so many were told without being judged.
    #[track_caller]
    fn finds_late(self, expected: &[Bound], told: usize) {
        let samples = measure(&self.0);
        let late: Vec<Bound> = samples.iter().filter(|sample| finds_late(sample)).map(|sample| sample.bound).collect();
        assert_eq!(late, expected, "{samples:#?}");
        let not_judged: usize = Bound::ALL.into_iter().map(|bound| summary(&samples, bound).told).sum();
        assert_eq!(not_judged, told, "{samples:#?}");
    }
}

fn finds_late(sample: &Sample) -> bool {
    !exceeded(std::slice::from_ref(sample), Duration::ZERO).is_empty()
}

/// A worker dies at 1 s with one task in hand, which starts again at this moment.
fn death(again: u64) -> Story {
    let story = Story::default().acked(100, "t1").started(900, "w0", "t1", "");
    story.fault(1_000, 9_000, "worker-kill", "w0").gone(1_000, "w0").started(again, "w1", "t1", "")
}

#[test]
fn what_a_dead_worker_held_starts_again_in_time() {
    death(3_900).finds_late(&[], 0);
    death(4_100).finds_late(&[Bound::WorkerGone], 0);
    let samples = measure(&death(4_100).0);
    assert_eq!(exceeded(&samples, Duration::ZERO)[0].of, "w0's chaos s0.t1");
    assert!(exceeded(&samples, Duration::from_secs(1)).is_empty());
}

#[test]
fn a_fault_on_those_who_take_over_makes_it_no_ones() {
    death(4_100).fault(2_000, 2_500, "silence", "w1").finds_late(&[], 1);
    death(4_100).fault(2_000, 2_500, "broker-pause", "server0").finds_late(&[], 1);
    death(4_100).fault(2_000, 2_500, "silence", "s1").finds_late(&[Bound::WorkerGone], 0);
    death(4_100).fault(2_000, 2_500, "coordinator-kill", "c0").finds_late(&[Bound::WorkerGone], 0);
    // What comes when it is late already excuses nothing.
    death(19_100).fault(4_500, 5_000, "silence", "w1").finds_late(&[Bound::WorkerGone], 0);
}

#[test]
fn only_what_the_worker_still_held_is_its_death() {
    // The next attempt, and one that had gone to another before, are not due by its lease.
    let next = What::Started { skill: skill(), task: task("t1"), attempt: 2, tag: String::new() };
    let retried = Story::default().acked(100, "t1").started(900, "w0", "t1", "").gone(1_000, "w0");
    assert!(measure(&retried.fact(9_000, "w1", next).0).is_empty());
    let moved = Story::default().acked(100, "t1").started(900, "w0", "t1", "").started(950, "w1", "t1", "");
    assert!(measure(&moved.gone(1_000, "w0").started(9_000, "w2", "t1", "").0).is_empty());
}

#[test]
fn runs_of_a_dead_coordinator_go_on_in_time() {
    let run = |next: u64| {
        let story = Story::default().started(800, "w0", "a", "run1/a").ended(900, "w0", "a", "run1/a");
        let story = story.fault(1_000, 9_000, "coordinator-pause", "c0").gone(1_000, "c0");
        story.started(next, "w0", "b", "run1/b")
    };
    run(5_900).finds_late(&[], 0);
    run(6_100).finds_late(&[Bound::CoordinatorGone], 0);
    run(6_100).fault(2_000, 3_000, "coordinator-kill", "c1").finds_late(&[], 1);
    run(6_100).fault(2_000, 3_000, "silence", "s0").finds_late(&[Bound::CoordinatorGone], 0);
}

#[test]
fn work_goes_on_once_a_server_is_ready_again() {
    let restart = |acked: u64, started: u64| {
        let story = Story::default().acked(500, "t1").started(600, "w0", "t1", "");
        story.fault(1_000, 2_000, "broker-kill", "server0").acked(acked, "t2").started(started, "w0", "t2", "")
    };
    restart(6_900, 6_950).finds_late(&[], 0);
    restart(6_900, 7_100).finds_late(&[Bound::RestartToStart], 0);
    restart(7_100, 7_200).finds_late(&[Bound::RestartToStart, Bound::RestartToSubmit], 0);
    // The server dies again, the only worker is cut off: not this restart's.
    restart(7_100, 7_200).fault(3_000, 9_000, "broker-stop", "server0").finds_late(&[], 2);
    restart(6_900, 7_100).fault(3_000, 9_000, "silence", "w0").finds_late(&[], 1);
}

#[test]
fn others_lead_soon_after_a_leader_is_killed() {
    let killed = |acked: u64, started: u64| {
        let story = Story::default().acked(900, "t1").started(900, "w0", "t1", "");
        let story = story.fault(1_000, 8_000, "leader-kill", "server1");
        story.acked(acked, "t2").started(started, "w0", "t2", "").acked(20_000, "t3").started(20_000, "w0", "t3", "")
    };
    killed(10_500, 10_500).finds_late(&[], 0);
    killed(11_100, 10_500).finds_late(&[Bound::LeaderToSubmit], 0);
    killed(10_500, 11_100).finds_late(&[Bound::LeaderToStart], 0);
    killed(11_100, 11_100).fault(100, 200, "broker-cut", "server0").finds_late(&[], 2);
}
