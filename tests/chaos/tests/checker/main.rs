//! The checker on hand-made histories: what is right passes, and each thing that must not be is found by its name.

use nova_chaos::check::{Copy, Lane, Letter, Record, Seen, judge};
use nova_chaos::history::{Fact, What};
use nova_chaos::order::{End, Order};
use nova_types::{Code, Outcome, OutcomeKind, RunId, Skill, StepId, TaskId, UnixMillis, Usage, WorkerId};
use nova_workflow::{Decision, Role, Transition};

mod bounds;

fn skill() -> Skill {
    Skill::new("chaos").expect("a name")
}

fn task(name: &str) -> TaskId {
    format!("s0.{name}").parse().expect("an id")
}

fn order(n: u64) -> Order {
    Order { n, ..Order::default() }
}

/// A run in the making.
#[derive(Default)]
struct Story {
    seen: Seen,
    now: u64,
}

impl Story {
    fn new() -> Self {
        Self { seen: Seen { history: Vec::new(), copies: vec![Copy::default()] }, now: 0 }
    }

    fn fact(mut self, by: &str, what: What) -> Self {
        self.now += 10;
        self.seen.history.push(Fact { at: self.now, by: by.to_owned(), what });
        self
    }

    fn asked(self, name: &str, order: Option<Order>) -> Self {
        self.fact("s0", What::Asked { skill: skill(), task: task(name), order, key: None })
    }

    fn acked(self, name: &str) -> Self {
        self.fact("s0", What::Acked { skill: skill(), task: task(name) })
    }

    fn submitted(self, name: &str, order: Order) -> Self {
        self.asked(name, Some(order)).acked(name)
    }

    fn started(self, by: &str, name: &str, attempt: u32) -> Self {
        self.fact(by, What::Started { skill: skill(), task: task(name), attempt, tag: String::new() })
    }

    fn ended(self, by: &str, name: &str, attempt: u32) -> Self {
        self.fact(by, What::Ended { skill: skill(), task: task(name), attempt, tag: String::new() })
    }

    fn truth(&mut self) -> &mut Copy {
        &mut self.seen.copies[0]
    }

    fn outcome(mut self, by: &str, name: &str, attempt: u32, kind: OutcomeKind, n: Option<u64>) -> Self {
        let code = (kind == OutcomeKind::Dead).then(|| Code::new("told_to"));
        let outcome = Outcome {
            kind,
            task: task(name),
            skill: skill(),
            attempt,
            worker: Some(WorkerId::new(by).expect("a name")),
            nonce: None,
            submitted: None,
            started: None,
            finished: UnixMillis(1),
            code,
            usage: Usage::default(),
            items: None,
        };
        let sequence = self.truth().outcomes.len() as u64 + 1;
        self.truth().outcomes.push(Record { sequence, at: UnixMillis(1), outcome, n, is_large: false });
        self
    }

    fn done(self, name: &str, n: u64) -> Self {
        let story = self.submitted(name, order(n)).started("w0", name, 1).ended("w0", name, 1);
        story.outcome("w0", name, 1, OutcomeKind::Completed, Some(n))
    }

    fn letter(self, name: &str, n: Option<u64>) -> Self {
        self.letter_of(name, n, None)
    }

    fn letter_of(mut self, name: &str, n: Option<u64>, redrive_of: Option<&str>) -> Self {
        let redrive_of = redrive_of.map(task);
        self.truth().letters.push(Letter { skill: skill(), task: task(name), n, redrive_of, is_large: false });
        self
    }

    fn transition(mut self, n: u64, from: u32, to: u32) -> Self {
        let step = StepId::new("each").expect("a name");
        let decisions = vec![Decision::Start { step, role: Role::default(), from, to }];
        let run = RunId::new("s0-r1").expect("a name");
        let transition = Transition { v: 1, n, at: UnixMillis(1), events: Vec::new(), decisions, emitted: 0 };
        self.truth().transitions.push((run, transition));
        self
    }

    /// Exactly these invariants are violated.
    #[track_caller]
    fn violates(self, expected: &[&str]) {
        let verdict = judge(&self.seen);
        let found: Vec<&str> = verdict.violations.iter().map(|violation| violation.invariant).collect();
        assert_eq!(found, expected, "{:#?}", verdict.violations);
    }
}

#[test]
fn a_history_in_which_all_is_right_passes() {
    let dead = Order { n: 2, end: End::Reject, ..Order::default() };
    let story = Story::new().done("t1", 1).submitted("t2", dead).started("w1", "t2", 1).ended("w1", "t2", 1);
    let story = story.outcome("w1", "t2", 1, OutcomeKind::Dead, None).letter("t2", Some(2));
    let story = story.transition(1, 0, 5).transition(2, 5, 9);
    let counts = judge(&story.seen).counts;
    assert_eq!((counts.acked, counts.outcomes, counts.dead, counts.letters), (2, 2, 1, 1));
    story.violates(&[]);
}

#[test]
fn an_acknowledged_task_without_an_outcome_is_lost() {
    Story::new().submitted("t1", order(1)).violates(&["I1 nothing lost"]);
}

#[test]
fn a_task_whose_submit_is_unknown_may_have_run_or_not() {
    let unsure = |story: Story| story.fact("s0", What::Unsure { skill: skill(), task: task("t1"), why: "x".into() });
    unsure(Story::new().asked("t1", Some(order(1)))).violates(&[]);
    let ran = unsure(Story::new().asked("t1", Some(order(1)))).started("w0", "t1", 1).ended("w0", "t1", 1);
    let ran = ran.outcome("w0", "t1", 1, OutcomeKind::Completed, Some(1));
    assert_eq!(judge(&ran.seen).counts.recovered, 1);
    ran.violates(&[]);
}

#[test]
fn what_nobody_asked_for_is_found() {
    Story::new().started("w0", "ghost", 1).violates(&["I2 nothing unasked"]);
    let refused = What::Refused { skill: skill(), task: task("t1"), why: "full".into() };
    let story = Story::new().asked("t1", Some(order(1))).fact("s0", refused).started("w0", "t1", 1);
    story.violates(&["I2 nothing unasked"]);
}

#[test]
fn a_result_without_a_run_is_found() {
    let story = Story::new().submitted("t1", order(1));
    story.outcome("w0", "t1", 1, OutcomeKind::Completed, Some(1)).violates(&["I3 completed only by running"]);
    let other = Story::new().submitted("t1", order(1)).started("w1", "t1", 1).ended("w1", "t1", 1);
    other.outcome("w0", "t1", 1, OutcomeKind::Completed, Some(1)).violates(&["I3 completed only by running"]);
}

#[test]
fn a_second_outcome_is_found() {
    let story = Story::new().done("t1", 1).started("w1", "t1", 1).ended("w1", "t1", 1);
    story.outcome("w1", "t1", 1, OutcomeKind::Completed, Some(1)).violates(&["I4 one outcome"]);
}

#[test]
fn a_wrong_result_and_a_wrong_end_are_found() {
    let ran = |n| Story::new().submitted("t1", order(n)).started("w0", "t1", 1).ended("w0", "t1", 1);
    ran(1).outcome("w0", "t1", 1, OutcomeKind::Completed, Some(2)).violates(&["I4 the outcome is the right one"]);
    let dead = ran(1).outcome("w0", "t1", 1, OutcomeKind::Dead, None).letter("t1", Some(1));
    dead.violates(&["I4 the outcome is the right one"]);
    ran(1).outcome("w0", "t1", 1, OutcomeKind::Cancelled, None).violates(&["I4 the outcome is the right one"]);
    let cancelled = ran(1).fact("s0", What::Cancelled { skill: skill(), task: task("t1") });
    cancelled.outcome("w0", "t1", 1, OutcomeKind::Cancelled, None).violates(&[]);
}

/// A submitter cancels this task at this moment, and is told that it was accepted.
fn cancelled(mut story: Story, name: &str, at: u64) -> Story {
    story.now = at - 20;
    let (sent, told) =
        (|task| What::Cancelled { skill: skill(), task }, |task| What::CancelAccepted { skill: skill(), task });
    story.fact("s0", sent(task(name))).fact("s0", told(task(name)))
}

#[test]
fn a_start_long_after_a_cancel_is_found() {
    const SECOND: u64 = 1_000_000_000;
    let restarted = |at: u64, faults: &[(&str, &str)]| {
        let story = Story::new().submitted("t1", order(1)).started("w0", "t1", 1);
        let mut story = cancelled(story, "t1", 10 * SECOND);
        for (fault, target) in faults {
            let (fault, target) = ((*fault).to_owned(), (*target).to_owned());
            story = story.fact("nemesis", What::Fault { fault, target });
        }
        story.now = at;
        let story = story.started("w1", "t1", 1).ended("w1", "t1", 1);
        story.outcome("w1", "t1", 1, OutcomeKind::Completed, Some(1))
    };
    restarted(11 * SECOND, &[]).violates(&[]);
    restarted(13 * SECOND, &[]).violates(&["I18 cancels are honoured"]);
    restarted(13 * SECOND, &[("silence", "w0"), ("silence", "s0")]).violates(&["I18 cancels are honoured"]);
    // Who is cut off cannot have heard.
    restarted(13 * SECOND, &[("silence", "w1")]).violates(&[]);
    restarted(13 * SECOND, &[("broker-pause", "server0")]).violates(&[]);
}

#[test]
fn a_running_task_that_nobody_stops_is_found() {
    const SECOND: u64 = 1_000_000_000;
    let ran_until = |end: u64, kind| {
        let story = Story::new().submitted("t1", order(1)).started("w0", "t1", 1);
        let mut story = cancelled(story, "t1", SECOND);
        story.now = end;
        story.ended("w0", "t1", 1).outcome("w0", "t1", 1, kind, Some(1))
    };
    ran_until(2 * SECOND, OutcomeKind::Completed).violates(&[]);
    ran_until(5 * SECOND, OutcomeKind::Completed).violates(&["I18 cancels are honoured"]);
    ran_until(5 * SECOND, OutcomeKind::Cancelled).violates(&[]);
}

#[test]
fn a_cancel_without_an_end_is_found() {
    let unsure = What::Unsure { skill: skill(), task: task("t1"), why: "x".into() };
    let story = Story::new().asked("t1", Some(order(1))).fact("s0", unsure);
    cancelled(story, "t1", 1_000).violates(&["I18 cancels are honoured"]);
}

#[test]
fn done_and_dead_at_once_is_found() {
    Story::new().done("t1", 1).letter("t1", Some(1)).violates(&["I5 never both done and dead"]);
}

#[test]
fn a_dead_task_has_one_letter_with_its_own_bytes() {
    let dead = || {
        let order = Order { n: 7, end: End::Fail, ..Order::default() };
        let story = Story::new().submitted("t1", order).started("w0", "t1", 3).ended("w0", "t1", 3);
        story.outcome("w0", "t1", 3, OutcomeKind::Dead, None)
    };
    dead().letter("t1", Some(7)).violates(&[]);
    dead().violates(&["I6 the dead have letters"]);
    dead().letter("t1", Some(7)).letter("t1", Some(7)).violates(&["I6 the dead have letters"]);
    dead().letter("t1", Some(8)).violates(&["I6 the dead have letters"]);
}

#[test]
fn what_is_no_task_dies_at_first_sight() {
    let doomed = || {
        let doomed = What::Doomed { skill: skill(), task: task("t1"), code: "told_to".to_owned() };
        Story::new().asked("t1", None).fact("s0", doomed)
    };
    let dead = |story: Story, attempt| story.acked("t1").outcome("w0", "t1", attempt, OutcomeKind::Dead, None);
    assert_eq!(judge(&dead(doomed(), 1).letter("t1", None).seen).counts.defused, 1);
    dead(doomed(), 1).letter("t1", None).violates(&[]);
    dead(doomed(), 1).violates(&["I6 the dead have letters"]);
    dead(doomed(), 2).letter("t1", None).violates(&["I4 the outcome is the right one"]);
    let kill = || What::Fault { fault: "worker-kill".to_owned(), target: "w0".to_owned() };
    let healed = || What::Healed { faults: vec!["worker-kill".to_owned()] };
    dead(doomed().fact("nemesis", kill()), 2).letter("t1", None).violates(&[]);
    let before = Story::new().fact("nemesis", kill()).fact("nemesis", healed()).asked("t1", None);
    let doom = What::Doomed { skill: skill(), task: task("t1"), code: "told_to".to_owned() };
    dead(before.fact("s0", doom), 2).letter("t1", None).violates(&["I4 the outcome is the right one"]);
    dead(doomed().started("w0", "t1", 1), 1).letter("t1", None).violates(&["I2 nothing unasked"]);
    doomed().acked("t1").violates(&["I1 nothing lost"]);
    let refused = What::Refused { skill: skill(), task: task("t1"), why: "too_large".to_owned() };
    assert_eq!(judge(&doomed().fact("s0", refused).seen).counts.oversize, 1);
}

#[test]
fn an_attempt_too_many_is_found() {
    Story::new().done("t1", 1).started("w0", "t1", 4).violates(&["I11 attempts within their limit"]);
}

#[test]
fn a_step_decided_twice_and_a_gap_are_found() {
    Story::new().transition(1, 0, 5).transition(2, 4, 9).violates(&["I13 steps decided once"]);
    Story::new().transition(1, 0, 5).transition(3, 5, 9).violates(&["I13 steps decided once"]);
    Story::new().transition(1, 0, 5).transition(1, 5, 9).violates(&["I13 steps decided once"]);
}

#[test]
fn reads_that_no_order_explains_are_found() {
    let look = |story: Story, asked: u64, found: Option<&str>| {
        let found = found.map(str::to_owned);
        story.fact("s1", What::Read { skill: skill(), task: task("t1"), asked, found })
    };
    let seen = look(look(Story::new().done("t1", 1), 1, None), 2, Some("w0"));
    look(seen, 3, Some("w0")).violates(&[]);
    look(Story::new().done("t1", 1), 1, Some("w9")).violates(&["I4 outcomes are read as they are"]);
    // Asked at 60, when the answer of the first look had come at 50.
    let blind = look(look(Story::new().done("t1", 1), 1, Some("w0")), 60, None);
    blind.violates(&["I4 outcomes are read as they are"]);
    // Two looks at the same time may see either.
    look(look(Story::new().done("t1", 1), 1, Some("w0")), 40, None).violates(&[]);
}

#[test]
fn a_task_that_overtakes_its_key_is_found() {
    let keyed = |story: Story, name: &str, n: u64| {
        let asked = What::Asked { skill: skill(), task: task(name), order: Some(order(n)), key: Some("k".into()) };
        story.fact("s0", asked).acked(name)
    };
    let two = keyed(keyed(Story::new(), "k1", 1), "k2", 2);
    let right = two.started("w0", "k1", 1).ended("w0", "k1", 1).started("w0", "k2", 1).ended("w0", "k2", 1);
    let recorded = |story: Story| {
        let story = story.outcome("w0", "k1", 1, OutcomeKind::Completed, Some(1));
        story.outcome("w0", "k2", 1, OutcomeKind::Completed, Some(2))
    };
    recorded(right).violates(&[]);
    let two = keyed(keyed(Story::new(), "k1", 1), "k2", 2);
    let wrong = two.started("w0", "k1", 1).started("w0", "k2", 1).ended("w0", "k1", 1).ended("w0", "k2", 1);
    recorded(wrong).violates(&["keys run in order"]);
}

#[test]
fn a_key_with_two_tasks_is_found() {
    let once = |story: Story, by: &str, name: &str, told: Option<&str>| {
        let asked = What::OnceAsked { skill: skill(), once: "k".into(), task: task(name) };
        let story = story.asked(name, Some(order(1))).fact(by, asked);
        match told {
            Some(told) => {
                story.fact(by, What::OnceTold { skill: skill(), once: "k".into(), task: task(told) }).acked(told)
            }
            None => story.fact(by, What::Unsure { skill: skill(), task: task(name), why: "x".into() }),
        }
    };
    let ran = |story: Story, name: &str| {
        let story = story.started("w0", name, 1).ended("w0", name, 1);
        story.outcome("w0", name, 1, OutcomeKind::Completed, Some(1))
    };
    let joined = ran(once(once(Story::new(), "s0", "o1", Some("o1")), "s1", "o2", Some("o1")), "o1");
    assert_eq!(judge(&joined.seen).counts.joined, 1);
    joined.violates(&[]);
    let two = once(once(Story::new(), "s0", "o1", Some("o1")), "s1", "o2", Some("o2"));
    ran(ran(two, "o1"), "o2").violates(&["I19 a key has one task", "I19 a key has one task"]);
    // Nobody was told of the second, and yet it is there.
    let unsure = once(once(Story::new(), "s0", "o1", Some("o1")), "s1", "o2", None);
    ran(ran(unsure, "o1"), "o2").violates(&["I19 a key has one task"]);
    let strange = once(Story::new().done("t1", 1), "s0", "o1", Some("t1"));
    strange.violates(&["I19 a key has one task"]);
}

#[test]
fn two_redrives_at_once_are_found() {
    let dead = |story: Story, name: &str| {
        let story = story.started("w0", name, 1).ended("w0", name, 1);
        story.outcome("w0", name, 1, OutcomeKind::Dead, None)
    };
    let rejected = Order { n: 7, end: End::Reject, ..Order::default() };
    let redriven = |story: Story, of: &str, name: &str| {
        let story = story.fact("s0", What::Redrive { skill: skill(), of: task(of), order: rejected.clone() });
        story.fact("s0", What::Redriven { skill: skill(), of: task(of), task: task(name) })
    };
    let first = || dead(Story::new().submitted("t1", rejected.clone()), "t1").letter("t1", Some(7));
    let one = || dead(redriven(first(), "t1", "t1-r1"), "t1-r1");
    let right = dead(redriven(one().letter_of("t1-r1", Some(7), Some("t1")), "t1", "t1-r2"), "t1-r2");
    right.letter_of("t1-r2", Some(7), Some("t1-r1")).violates(&[]);
    // It does not say of which task it is.
    one().letter("t1-r1", Some(7)).violates(&["I20 one redrive at a time"]);
    // It is lost.
    redriven(first(), "t1", "t1-r1").violates(&["I1 nothing lost"]);
    // The second begins while the first still runs.
    let two =
        redriven(redriven(first(), "t1", "t1-r1"), "t1", "t1-r2").started("w0", "t1-r1", 1).started("w1", "t1-r2", 1);
    let two = two.ended("w0", "t1-r1", 1).ended("w1", "t1-r2", 1).outcome("w0", "t1-r1", 1, OutcomeKind::Dead, None);
    let two = two.outcome("w1", "t1-r2", 1, OutcomeKind::Dead, None).letter_of("t1-r1", Some(7), Some("t1"));
    two.letter_of("t1-r2", Some(7), Some("t1")).violates(&["I20 one redrive at a time"]);
    // Of what is done there is none.
    let done = redriven(Story::new().done("t1", 7), "t1", "t1-r1");
    dead(done, "t1-r1").letter_of("t1-r1", Some(7), Some("t1")).violates(&["I20 one redrive at a time"]);
    // Nobody asked for it.
    dead(first(), "t1-r1").letter_of("t1-r1", Some(7), Some("t1")).violates(&["I2 nothing unasked"]);
}

#[test]
fn servers_that_differ_and_queues_that_are_not_empty_are_found() {
    let mut story = Story::new().done("t1", 1);
    let mut other = story.truth().clone();
    other.server = "server1".to_owned();
    story.seen.copies.push(other.clone());
    other.outcomes.clear();
    story.seen.copies.push(other);
    story.truth().lanes.push(Lane { name: "q normal".into(), pending: 0, ack_pending: 1 });
    story.violates(&["replicas hold the same", "I24 everything ends"]);
}
