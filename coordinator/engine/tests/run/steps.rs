//! Tasks, maps, choices, loops and child runs.

use nova_types::RUN_SKILL;
use nova_workflow::Role;
use serde_json::json;

use crate::play::check;

#[test]
fn a_chain_runs_step_by_step() {
    let play = check(
        json!({
            "a": {"task": {"skill": "x", "input": {"of": "${input}"}}},
            "b": {"task": {"skill": "y", "input": "${steps.a.result.n + 1}"}},
            "c": {"after": ["b"], "task": {"skill": "z"}},
        }),
        &[
            ("start", "start a; running"),
            ("a={\"n\":1}", "done a; start b"),
            ("b=2", "done b; start c"),
            ("c=3", "done c; end completed"),
        ],
    );
    assert_eq!(play.input_of("b", Role::Work, 0), json!(2));
    assert_eq!(play.end().1, json!({"c": 3}));
}

#[test]
fn steps_that_need_nothing_start_at_once() {
    check(
        json!({"a": {"task": {"skill": "x"}}, "b": {"task": {"skill": "x"}}, "c": {"after": ["a", "b"], "task": {"skill": "x"}}}),
        &[
            ("start", "start a; start b; running"),
            ("b=1", "done b"),
            ("a=1", "done a; start c"),
            ("c=1", "done c; end completed"),
        ],
    );
}

#[test]
fn what_is_told_twice_or_was_never_asked_changes_nothing() {
    check(
        json!({"a": {"task": {"skill": "x"}}, "b": {"after": ["a"], "task": {"skill": "x"}}}),
        &[
            ("a=1", ""),
            ("start, start", "start a; running"),
            ("a.1=1, b=1, zz=1, judge a=1, undo a=1, fire a, fire deadline", ""),
            ("a=1, a=2, a!late", "done a; start b"),
            ("a=1", ""),
            ("b=1", "done b; end completed"),
            ("b=1, cancel, admit", ""),
            ("pause", "ignore"),
        ],
    );
}

#[test]
fn a_false_condition_skips_a_step_and_what_needs_only_it() {
    let play = check(
        json!({
            "a": {"task": {"skill": "x"}},
            "b": {"when": "steps.a.result > 5", "task": {"skill": "x"}},
            "c": {"after": ["b"], "task": {"skill": "x"}},
            "d": {"after": ["a", "c"], "task": {"skill": "x", "input": "${steps.c.status}"}},
        }),
        &[("start", "start a; running"), ("a=5", "done a; skip b; skip c; start d"), ("d=1", "done d; end completed")],
    );
    assert_eq!(play.input_of("d", Role::Work, 0), json!("skipped"));
}

#[test]
fn a_choice_picks_and_the_others_are_skipped() {
    let steps = json!({
        "a": {"task": {"skill": "x"}},
        "which": {"choice": {"cases": [
            {"when": "steps.a.result > 10", "then": ["big"]}, {"when": "steps.a.result > 5", "then": ["mid"]},
        ], "otherwise": ["small"]}},
        "big": {"task": {"skill": "x"}}, "mid": {"task": {"skill": "x"}}, "small": {"task": {"skill": "x"}},
        "all": {"join": {"of": ["big", "mid", "small"]}},
    });
    for (result, picked, skipped) in
        [(11, "big", ["mid", "small"]), (6, "mid", ["big", "small"]), (1, "small", ["big", "mid"])]
    {
        let mut words: Vec<_> = skipped.iter().map(|step| format!("skip {step}")).collect();
        words.push(format!("start {picked}"));
        words.sort_by_key(|word| word.rsplit(' ').next().map(ToOwned::to_owned));
        let play = check(
            steps.clone(),
            &[
                ("start", "start a; running"),
                (&format!("a={result}"), &format!("done a; done which; {}", words.join("; "))),
                (&format!("{picked}=7"), &format!("done {picked}; done all; end completed")),
            ],
        );
        assert_eq!(play.end().1["all"][picked], json!(7));
        assert_eq!(play.end().1["all"][skipped[0]], json!(null));
    }
}

#[test]
fn an_expression_that_fails_fails_its_step_and_says_so() {
    let play = check(
        json!({"a": {"task": {"skill": "x"}}, "b": {"task": {"skill": "x", "input": "${steps.a.result.no.such}"}}}),
        &[("start", "start a; running"), ("a={}", "done a; fail b bad_expression; end failed")],
    );
    let (end, _) = play.end();
    assert_eq!(end.step.expect("a step").as_str(), "b");
    check(
        json!({"a": {"task": {"skill": "x"}}, "b": {"when": "steps.a.result", "task": {"skill": "x"}}}),
        &[("start", "start a; running"), ("a=1", "done a; fail b bad_expression; end failed")],
    );
    check(
        json!({"steps": {"a": {"task": {"skill": "x"}}}, "result": "${steps.a.result.no}"}),
        &[("start", "start a; running"), ("a={}", "done a; end failed")],
    );
}

#[test]
fn a_map_counts_each_item_once_in_any_order() {
    let play = check(
        json!({"m": {"map": {"over": "input.list", "do": {"skill": "x", "input": {"i": "${item}", "n": "${index}"}}}}}),
        &[("start", "fail m bad_expression; end failed")],
    );
    drop(play);
    let play = check(
        json!({"m": {"map": {"over": "[10, 20, 30]", "do": {"skill": "x", "input": {"i": "${item}", "n": "${index}"}}}}}),
        &[
            ("start", "start m 0..3; running"),
            ("m.2=\"c\", m.2=\"cc\"", ""),
            ("m.0=\"a\"", ""),
            ("m.2=\"cc\", m.3=\"d\"", ""),
            ("m.1=\"b\"", "done m; end completed"),
        ],
    );
    assert_eq!(play.input_of("m", Role::Work, 1), json!({"i": 20, "n": 1}));
    assert_eq!(play.end().1, json!({"m": ["a", "b", "c"]}));
}

#[test]
fn an_empty_map_is_done_at_once() {
    let play = check(
        json!({"m": {"map": {"over": "[]", "do": {"skill": "x"}}}, "n": {"map": {"over": "steps.m.result", "do": {"skill": "x"}}}}),
        &[("start", "done m; done n; end completed")],
    );
    assert_eq!(play.end().1, json!({"n": []}));
}

#[test]
fn failed_items_are_let_pass_as_far_as_the_map_says() {
    let map = |tolerate| json!({"m": {"map": {"over": "[1, 2, 3, 4]", "do": {"skill": "x"}, "tolerate": tolerate}}});
    let play = check(
        map(json!("25%")),
        &[
            ("start", "start m 0..4; running"),
            ("m.1!bad", ""),
            ("m.0=0, m.2=2", ""),
            ("m.3=3", "done m; end completed"),
        ],
    );
    assert_eq!(play.end().1, json!({"m": [0, null, 2, 3]}));
    let play = check(
        map(json!(1)),
        &[
            ("start", "start m 0..4; running"),
            ("m.1!bad", ""),
            ("m.0=0, m.2!worse", "fail m bad; cancel m.3; undoing"),
            ("m.3=3", "end failed"),
        ],
    );
    let (end, _) = play.end();
    assert_eq!(end.attempts, 3);
    let why = end.failure.expect("a failure").message;
    assert!(why.contains("2 of 4 items failed: item 1: bad: why; item 2: worse: why"), "{why}");
    check(
        map(json!("all")),
        &[("start", "start m 0..4; running"), ("m.0!e, m.1!e, m.2!e, m.3!e", "done m; end completed")],
    );
}

#[test]
fn an_item_whose_input_cannot_be_made_is_a_failed_item() {
    let play = check(
        json!({"m": {"map": {"over": "[1, 0, 2]", "do": {"skill": "x", "input": "${10 / item}"}, "tolerate": 1}}}),
        &[("start", "start m [0, 2]; running"), ("m.0=1, m.2=1", "done m; end completed")],
    );
    assert_eq!(play.end().1, json!({"m": [1, null, 1]}));
}

#[test]
fn a_map_of_child_runs_asks_for_runs() {
    let play = check(
        json!({"m": {"map": {"over": "[7]", "do": {"workflow": "child", "input": "${item}"}}},
               "c": {"run": {"workflow": "child", "input": "${steps.m.result[0]}"}}}),
        &[("start", "start m; running"), ("m=8", "done m; start c"), ("c=9", "done c; end completed")],
    );
    assert_eq!(play.input_of("m", Role::Work, 0), json!({"workflow": "child", "input": 7}));
    assert_eq!(play.input_of("c", Role::Work, 0), json!({"workflow": "child", "input": 8}));
    let skills = play.effects.iter().flatten().filter_map(|effect| match effect {
        nova_engine::run::Effect::Task(order) => Some(order.skill.as_str()),
        _ => None,
    });
    assert!(skills.into_iter().all(|skill| skill == RUN_SKILL));
}

#[test]
fn a_loop_goes_round_until_it_is_done() {
    let steps = json!({"l": {"loop": {
        "do": {"skill": "x", "input": {"i": "${index}", "last": "${last}"}}, "until": "result >= 3", "max": 3,
    }}});
    let play = check(
        steps.clone(),
        &[
            ("start", "start l; running"),
            ("l=1", "start l 1..2"),
            ("l=1, l.1=2", "start l 2..3"),
            ("l.2=3", "done l; end completed"),
        ],
    );
    assert_eq!(play.input_of("l", Role::Work, 0), json!({"i": 0, "last": null}));
    assert_eq!(play.input_of("l", Role::Work, 2), json!({"i": 2, "last": 2}));
    assert_eq!(play.end().1, json!({"l": 3}));
    check(
        steps,
        &[
            ("start", "start l; running"),
            ("l=1", "start l 1..2"),
            ("l.1=1", "start l 2..3"),
            ("l.2=1", "fail l exhausted; end failed"),
        ],
    );
}

#[test]
fn a_loop_pauses_between_rounds() {
    check(
        json!({"l": {"loop": {"do": {"skill": "x"}, "until": "result", "max": 3, "pause": "5s"}}}),
        &[
            ("start", "start l; running"),
            ("l=false", "set l.1 +5000"),
            ("fire l.2, fire l", ""),
            ("fire l.1", "start l 1..2"),
            ("l.1=false", "set l.2 +5000"),
            ("cancel", "unset l.2; fail l cancelled; end cancelled"),
        ],
    );
}
