//! Joins: all, any and some, failures, skips and the rest.

use serde_json::{Value, json};

use crate::play::check;

fn three(join: Value) -> Value {
    let task = json!({"task": {"skill": "x"}});
    json!({"a": task, "b": task, "c": task, "j": {"join": join}})
}

const START: (&str, &str) = ("start", "start a; start b; start c; running");

#[test]
fn all_waits_for_the_last() {
    let play = check(
        three(json!({"of": ["a", "b", "c"]})),
        &[START, ("c=3", "done c"), ("a=1", "done a"), ("b=2", "done b; done j; end completed")],
    );
    assert_eq!(play.end().1, json!({"j": {"a": 1, "b": 2, "c": 3}}));
}

#[test]
fn any_takes_the_first_and_leaves_the_rest() {
    let play = check(
        three(json!({"of": ["a", "b", "c"], "need": "any"})),
        &[START, ("b=2", "done b; done j"), ("a!e", "fail a e"), ("c=3", "done c; end completed")],
    );
    assert_eq!(play.end().1, json!({"j": {"a": null, "b": 2, "c": null}}));
}

#[test]
fn the_rest_is_cancelled_where_the_join_says_so() {
    let play = check(
        three(json!({"of": ["a", "b", "c"], "need": "any", "rest": "cancel"})),
        &[
            START,
            ("b=2", "done b; done j; skip a; cancel a.0; skip c; cancel c.0; end completed"),
            ("a=1", ""),
            ("c~", ""),
        ],
    );
    assert_eq!(play.end().1, json!({"j": {"a": null, "b": 2, "c": null}}));
}

#[test]
fn what_others_need_is_not_cancelled() {
    let mut steps = three(json!({"of": ["a", "b", "c"], "need": 1, "rest": "cancel"}));
    steps["d"] = json!({"after": ["a"], "task": {"skill": "x"}});
    check(
        steps,
        &[
            START,
            ("b=2", "done b; done j; skip c; cancel c.0"),
            ("a=1", "done a; start d"),
            ("d=1", "done d; end completed"),
        ],
    );
}

#[test]
fn failures_count_as_the_join_says() {
    check(
        three(json!({"of": ["a", "b", "c"]})),
        &[
            START,
            ("a!e", "fail a e; fail j join; cancel b.0; cancel c.0; undoing"),
            ("b~", "fail b cancelled"),
            ("c=1", "done c; end failed"),
        ],
    );
    let play = check(
        three(json!({"of": ["a", "b", "c"], "need": 2})),
        &[
            START,
            ("a!e", "fail a e"),
            ("b!e", "fail b e; fail j join; cancel c.0; undoing"),
            ("c=1", "done c; end failed"),
        ],
    );
    let end = play.end().0;
    let why = end.failure.expect("a failure").message;
    assert_eq!((end.attempts, why.as_str()), (3, "0 of 2 needed steps came; `a` failed: e: why; `b` failed: e: why"));
    let play = check(
        three(json!({"of": ["a", "b", "c"], "failures": "collect"})),
        &[START, ("a!e", "fail a e"), ("b=2", "done b"), ("c!e", "fail c e; done j; end completed")],
    );
    assert_eq!(play.end().1, json!({"j": {"a": null, "b": 2, "c": null}}));
}

#[test]
fn a_step_that_may_fail_counts_as_come() {
    let mut steps = three(json!({"of": ["a", "b", "c"]}));
    steps["a"]["on_failure"] = json!("continue");
    check(steps, &[START, ("a!e", "fail a e"), ("b=1, c=1", "done b; done c; done j; end completed")]);
}

#[test]
fn skipped_steps_are_not_needed_and_cannot_come() {
    let mut steps = three(json!({"of": ["a", "b", "c"]}));
    steps["a"]["when"] = json!("false");
    check(
        steps.clone(),
        &[("start", "skip a; start b; start c; running"), ("b=1", "done b"), ("c=1", "done c; done j; end completed")],
    );
    steps["j"]["join"]["need"] = json!(3);
    check(
        steps.clone(),
        &[
            ("start", "skip a; start b; start c; fail j join; cancel b.0; cancel c.0; undoing"),
            ("b~, c~", "fail b cancelled; fail c cancelled; end failed"),
        ],
    );
    for step in ["b", "c"] {
        steps[step]["when"] = json!("false");
    }
    check(steps, &[("start", "skip a; skip b; skip c; skip j; end completed")]);
}

#[test]
fn a_join_waits_for_what_it_needs_beside() {
    let mut steps = three(json!({"of": ["a", "b"], "need": "any"}));
    steps["j"]["after"] = json!(["c"]);
    check(steps, &[START, ("a=1", "done a"), ("c=1", "done c; done j"), ("b=1", "done b; end completed")]);
}
