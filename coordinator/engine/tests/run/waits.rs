//! Waits: time, signals, approvals and patience.

use serde_json::json;

use crate::play::{BEGINNING, check};

#[test]
fn a_wait_for_time_ends_when_its_timer_fires() {
    check(
        json!({"w": {"wait": {"for": "5m"}}, "a": {"after": ["w"], "task": {"skill": "x"}}}),
        &[
            ("start", "wait w; set w +300000; running"),
            ("fire a, fire deadline", ""),
            ("fire w", "done w; start a"),
            ("fire w, a=1", "done a; end completed"),
        ],
    );
}

#[test]
fn a_wait_until_a_moment_reads_text_and_numbers() {
    let until = |expr: &str| json!({"w": {"wait": {"until": expr}}});
    let later = format!("{}", BEGINNING + 5000);
    check(until(&later), &[("start", "wait w; set w +5000; running"), ("fire w", "done w; end completed")]);
    check(
        until("'1970-01-01T01:16:50+01:00'"),
        &[("start", "wait w; set w +10000; running"), ("fire w", "done w; end completed")],
    );
    check(until("'1970-01-01T00:00:00Z'"), &[("start", "done w; end completed")]);
    check(until("'soon'"), &[("start", "fail w bad_expression; end failed")]);
}

#[test]
fn a_signal_ends_the_wait_for_it_and_brings_the_result() {
    let play = check(
        json!({"w": {"wait": {"signal": "go"}}}),
        &[("start", "wait w; running"), ("signal no=1", "ignore"), ("signal go={\"n\":7}", "done w; end completed")],
    );
    assert_eq!(play.end().1, json!({"w": {"n": 7}}));
}

#[test]
fn signals_that_come_early_are_kept_in_order() {
    let play = check(
        json!({
            "a": {"task": {"skill": "x"}},
            "v": {"after": ["a"], "wait": {"signal": "go"}},
            "w": {"after": ["v"], "wait": {"signal": "go"}},
        }),
        &[
            ("queue, signal go=1", "queued"),
            ("admit", "start a; running"),
            ("signal go=2", ""),
            ("a=1", "done a; done v; done w; end completed"),
        ],
    );
    assert_eq!(play.end().1, json!({"w": 2}));
}

#[test]
fn signals_are_kept_up_to_a_bound() {
    let mut play =
        crate::play::Play::of(json!({"a": {"task": {"skill": "x"}}, "w": {"after": ["a"], "wait": {"signal": "go"}}}));
    play.line("start");
    for _ in 0..1000 {
        assert_eq!(play.line("signal go=1"), "");
    }
    assert_eq!(play.line("signal go=1"), "ignore");
}

#[test]
fn patience_ends_with_a_failure() {
    check(
        json!({"w": {"wait": {"signal": "go", "timeout": "1s"}}}),
        &[
            ("start", "wait w; set w +1000; running"),
            ("fire w", "fail w timeout; end failed"),
            ("signal go=1", "ignore"),
        ],
    );
    check(
        json!({"w": {"wait": {"signal": "go", "timeout": "1s"}, "on_failure": "continue"}, "a": {"after": ["w"], "task": {"skill": "x"}}}),
        &[
            ("start", "wait w; set w +1000; running"),
            ("signal go=1", "done w; unset w; start a"),
            ("fire w, a=1", "done a; end completed"),
        ],
    );
}

#[test]
fn an_approval_is_of_exactly_what_was_looked_at() {
    let steps = json!({"a": {"task": {"skill": "x"}}, "w": {"wait": {"approval": {"of": {"n": "${steps.a.result}"}, "ask": "Pay?"}}}});
    let play = check(
        steps.clone(),
        &[
            ("start", "start a; running"),
            ("approve w 0000", "ignore"),
            ("a=5", "done a; wait w"),
            ("approve w 0000", "ignore"),
            ("approve a 0000", "ignore"),
            ("approve w", "done w; end completed"),
            ("reject w", "ignore"),
        ],
    );
    let result = play.end().1["w"].clone();
    let hash = nova_workflow::hash_of(&json!({"n": 5}));
    assert_eq!(result, json!({"approved": true, "by": "ann", "note": "seen", "at": BEGINNING, "hash": hash}));
    check(
        steps,
        &[("start", "start a; running"), ("a=5", "done a; wait w"), ("reject w", "fail w rejected; end failed")],
    );
}

#[test]
fn what_is_to_be_approved_can_be_shown() {
    use nova_engine::run::{WaitsFor, asked};
    let mut play = crate::play::Play::of(json!({"w": {"wait": {"approval": {"of": {"n": 1}, "ask": "Pay?"}}}}));
    play.line("start");
    let step = crate::play::id("w");
    let found =
        asked(&play.run, &play.plan, &step, &play.data, &mut play.memo).expect("it is at hand").expect("it asks");
    assert_eq!((found.ask.as_str(), &found.of), ("Pay?", &json!({"n": 1})));
    let view = play.run.view(&play.plan);
    let waits = WaitsFor::Approval { ask: "Pay?".into(), hash: found.hash, until: None };
    assert_eq!(view.steps[&step].waits_for, Some(waits));
}

#[test]
fn an_order_counts_once_however_often_it_comes() {
    use nova_workflow::{Datum, Event};
    let mut play = crate::play::Play::of(
        json!({"v": {"wait": {"signal": "go"}}, "w": {"after": ["v"], "wait": {"signal": "go"}}}),
    );
    play.line("start");
    let signal = |order| Event::Signalled { order, name: "go".into(), data: Datum::NULL, by: None };
    let mut tell = |events| crate::play::short(&play.tell(events).expect("it moves").decisions.clone());
    assert_eq!(tell(vec![signal(7), signal(7)]), "done v; wait w");
    assert_eq!(tell(vec![signal(7), Event::Paused { order: 9 }, Event::Resumed { order: 8 }]), "");
    assert_eq!(tell(vec![Event::Paused { order: 9 }, Event::Paused { order: 9 }]), "");
    assert_eq!(tell(vec![signal(6)]), "done w; end completed");
}
