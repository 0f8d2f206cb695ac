//! Failure, cancel, deadline, undo and pause.

use serde_json::{Value, json};

use crate::play::{Play, check};

fn undone(after: &[&str]) -> Value {
    json!({"after": after, "task": {"skill": "x"}, "undo": {"skill": "u", "input": "${result}"}})
}

#[test]
fn a_failed_step_stops_the_run_and_names_itself() {
    let play = check(
        json!({"a": {"task": {"skill": "x"}}, "b": {"task": {"skill": "x"}}, "c": {"after": ["a"], "task": {"skill": "x"}}}),
        &[
            ("start", "start a; start b; running"),
            ("a!http_500", "fail a http_500; cancel b.0; undoing"),
            ("a!http_500", ""),
            ("b~", "fail b cancelled; end failed"),
        ],
    );
    let (end, result) = play.end();
    assert_eq!((end.step.expect("a step").as_str(), end.attempts, result), ("a", 3, Value::Null));
    assert_eq!(end.failure.expect("a failure").code.as_str(), "http_500");
}

#[test]
fn a_failure_that_may_be_leaves_null_behind() {
    let play = check(
        json!({
            "a": {"task": {"skill": "x"}, "on_failure": "continue"},
            "b": {"task": {"skill": "x", "input": ["${steps.a.result}", "${steps.a.status}", "${steps.a.error.code}"]}},
        }),
        &[("start", "start a; running"), ("a!bad", "fail a bad; start b"), ("b=1", "done b; end completed")],
    );
    assert_eq!(play.input_of("b", nova_workflow::Role::Work, 0), json!([null, "failed", "bad"]));
}

#[test]
fn finished_steps_are_undone_the_last_first() {
    let play = check(
        json!({"a": undone(&[]), "b": undone(&[]), "c": undone(&["a", "b"]), "d": {"after": ["c"], "task": {"skill": "x"}}}),
        &[
            ("start", "start a; start b; running"),
            ("b=\"B\"", "done b"),
            ("a=\"A\"", "done a; start c"),
            ("c=\"C\"", "done c; start d"),
            ("d!bad", "fail d bad; start undo c; undoing"),
            ("undo a=1", ""),
            ("undo c=1", "start undo a"),
            ("undo a!stuck", "start undo b"),
            ("undo a=1, undo b=1", "end failed"),
        ],
    );
    assert_eq!(play.input_of("b", nova_workflow::Role::Undo, 0), json!("B"));
    let end = play.end().0;
    assert_eq!(end.not_undone, [crate::play::id("a")]);
}

#[test]
fn undo_waits_until_nothing_runs_and_undoes_what_finished_late() {
    check(
        json!({"a": undone(&[]), "b": undone(&[]), "c": {"task": {"skill": "x"}}}),
        &[
            ("start", "start a; start b; start c; running"),
            ("a=1", "done a"),
            ("c!bad", "fail c bad; cancel b.0; undoing"),
            ("b=1", "done b; start undo b"),
            ("undo b=1", "start undo a"),
            ("undo a=1", "end failed"),
        ],
    );
}

#[test]
fn an_undo_whose_input_cannot_be_made_is_told() {
    let play = check(
        json!({
            "a": {"task": {"skill": "x"}, "undo": {"skill": "u", "input": "${result.no}"}},
            "b": {"after": ["a"], "task": {"skill": "x"}},
        }),
        &[("start", "start a; running"), ("a={}", "done a; start b"), ("b!bad", "fail b bad; end failed")],
    );
    assert_eq!(play.end().0.not_undone, [crate::play::id("a")]);
}

#[test]
fn what_a_map_did_before_it_failed_is_undone() {
    let play = check(
        json!({
            "m": {"map": {"over": "[1, 2, 3, 4]", "do": {"skill": "x"}}, "undo": {"skill": "u", "input": "${result}"}},
            "n": {"map": {"over": "[1, 2]", "do": {"skill": "x"}}, "undo": {"skill": "u"}},
        }),
        &[
            ("start", "start m 0..4; start n 0..2; running"),
            ("m.1=2", ""),
            ("m.0!bad", "fail m bad; cancel m.2; cancel m.3; cancel n.0; cancel n.1; undoing"),
            // One ended too late to be cancelled; of the other map nothing was done.
            ("m.3=4, n.0~", ""),
            ("m.2~, n.1~", "fail n cancelled; start undo m"),
            ("undo m=1", "end failed"),
        ],
    );
    assert_eq!(play.input_of("m", nova_workflow::Role::Undo, 0), json!([null, 2, null, 4]));
    let view = play.run.view(&play.plan);
    assert_eq!(
        (view.steps[&crate::play::id("m")].undone, view.steps[&crate::play::id("n")].undone),
        (Some(true), None)
    );
}

#[test]
fn what_a_loop_did_before_it_failed_is_undone() {
    let repeat = json!({"loop": {"do": {"skill": "x"}, "until": "false", "max": 3}, "undo": {"skill": "u", "input": "${result}"}});
    let play = check(
        json!({"l": repeat}),
        &[
            ("start", "start l; running"),
            ("l=1", "start l 1..2"),
            ("l.1!bad", "fail l bad; start undo l; undoing"),
            ("undo l=1", "end failed"),
        ],
    );
    assert_eq!(play.input_of("l", nova_workflow::Role::Undo, 0), json!(1));
    check(json!({"l": repeat}), &[("start", "start l; running"), ("l!bad", "fail l bad; end failed")]);
}

#[test]
fn a_map_is_undone_once_with_its_list() {
    let play = check(
        json!({
            "m": {"map": {"over": "[1, 2]", "do": {"skill": "x"}}, "undo": {"skill": "u", "input": "${result}"}},
            "b": {"after": ["m"], "task": {"skill": "x"}},
        }),
        &[
            ("start", "start m 0..2; running"),
            ("m.1=2, m.0=1", "done m; start b"),
            ("b!bad", "fail b bad; start undo m; undoing"),
            ("undo m=1", "end failed"),
        ],
    );
    assert_eq!(play.input_of("m", nova_workflow::Role::Undo, 0), json!([1, 2]));
}

#[test]
fn a_workflow_may_leave_things_as_they_are() {
    check(
        json!({"steps": {"a": undone(&[]), "b": {"after": ["a"], "task": {"skill": "x"}}}, "on_failure": "leave"}),
        &[("start", "start a; running"), ("a=1", "done a; start b"), ("b!bad", "fail b bad; end failed")],
    );
}

#[test]
fn a_cancel_undoes_and_ends_cancelled() {
    check(
        json!({"a": undone(&[]), "w": {"after": ["a"], "wait": {"for": "1h"}}, "b": {"after": ["a"], "task": {"skill": "x"}}}),
        &[
            ("cancel", ""),
            ("start", "start a; running"),
            ("a=1", "done a; start b; wait w; set w +3600000"),
            ("cancel enough, cancel", "cancel b.0; unset w; fail w cancelled; undoing"),
            ("cancel, fire w", ""),
            ("b~", "fail b cancelled; start undo a"),
            ("cancel", ""),
            ("undo a=1", "end cancelled"),
        ],
    );
}

#[test]
fn the_deadline_fails_the_run() {
    let play = check(
        json!({"steps": {"a": {"task": {"skill": "x"}}}, "deadline": "10s"}),
        &[
            ("start", "set deadline +10000; start a; running"),
            ("fire deadline", "cancel a.0; undoing"),
            ("fire deadline", ""),
            ("a~", "fail a cancelled; end failed"),
        ],
    );
    assert_eq!(play.end().0.failure.expect("a failure").code.as_str(), "expired");
    check(
        json!({"steps": {"a": {"task": {"skill": "x"}}}, "deadline": "10s"}),
        &[("start", "set deadline +10000; start a; running"), ("a=1", "done a; unset deadline; end completed")],
    );
}

#[test]
fn the_earlier_deadline_counts() {
    let mut play = Play::of(json!({"steps": {"a": {"task": {"skill": "x"}}}, "deadline": "10s"}));
    let mut started = play.started();
    started.deadline = Some(nova_types::UnixMillis(crate::play::BEGINNING + 3));
    let told = play.tell(vec![nova_workflow::Event::Started(Box::new(started))]).expect("it moves");
    assert_eq!(crate::play::short(&told.decisions), "set deadline +3; start a; running");
}

#[test]
fn a_paused_run_starts_nothing_and_forgets_nothing() {
    check(
        json!({
            "a": undone(&[]), "b": {"after": ["a"], "task": {"skill": "x"}}, "w": {"wait": {"for": "1s"}},
            "c": {"after": ["w"], "task": {"skill": "x"}},
        }),
        &[
            ("start", "start a; wait w; set w +1000; running"),
            ("pause", "paused"),
            ("a=1, fire w", "done a; done w"),
            ("resume", "start b; start c; running"),
            ("pause, b!bad", "fail b bad; cancel c.0; paused"),
            ("c~", "fail c cancelled"),
            ("resume", "start undo a; undoing"),
            ("undo a=1", "end failed"),
        ],
    );
}

#[test]
fn cancelling_a_paused_run_undoes_it() {
    check(
        json!({"a": undone(&[]), "w": {"after": ["a"], "wait": {"signal": "s"}}}),
        &[
            ("start", "start a; running"),
            ("a=1", "done a; wait w"),
            ("pause", "paused"),
            ("cancel", "fail w cancelled; start undo a; undoing"),
            ("undo a=1", "end cancelled"),
        ],
    );
}

#[test]
fn a_queued_run_does_nothing_until_there_is_room() {
    let steps = json!({"a": {"task": {"skill": "x"}}});
    check(
        steps.clone(),
        &[
            ("queue", "queued"),
            ("pause", "paused"),
            ("resume", "queued"),
            ("admit", "start a; running"),
            ("a=1", "done a; end completed"),
        ],
    );
    check(steps, &[("queue", "queued"), ("cancel", "end cancelled"), ("admit", "")]);
}

#[test]
fn a_run_of_another_definition_is_parked() {
    let mut play = Play::of(json!({"a": {"task": {"skill": "x"}}}));
    let mut started = play.started();
    started.definition = "other".into();
    let stuck = play.tell(vec![nova_workflow::Event::Started(Box::new(started))]).expect_err("it is parked");
    assert!(matches!(stuck, nova_engine::run::Stuck::Parked(_)), "{stuck}");
    assert_eq!(play.run.n(), 0);
}

#[test]
fn what_a_join_did_not_wait_for_is_undone_when_it_was_done() {
    let play = check(
        json!({
            "a": undone(&[]), "b": undone(&[]), "c": undone(&[]),
            "j": {"join": {"of": ["a", "b", "c"], "need": "any", "rest": "cancel"}},
            "d": {"after": ["j"], "task": {"skill": "x"}},
        }),
        &[
            ("start", "start a; start b; start c; running"),
            ("a=1", "done a; done j; skip b; cancel b.0; skip c; cancel c.0; start d"),
            ("b=\"late\"", ""),
            ("d!bad", "fail d bad; undoing"),
            ("c~", "start undo b"),
            ("undo b=1", "start undo a"),
            ("undo a=1", "end failed"),
        ],
    );
    assert_eq!(play.input_of("b", nova_workflow::Role::Undo, 0), json!("late"));
}
