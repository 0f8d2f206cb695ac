//! Votes: ballots, weights, quorum, ties and judges.

use nova_workflow::Role;
use serde_json::{Value, json};

use crate::play::check;

fn vote(more: Value) -> Value {
    let mut vote = json!({"do": {"skill": "x"}});
    vote.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    json!({"v": {"vote": vote}})
}

const START: (&str, &str) = ("start", "start v; start v 1..2; start v 2..3; running");

#[test]
fn a_majority_decides_when_all_are_in() {
    let play = check(
        vote(json!({"ballot": "result.say"})),
        &[
            START,
            ("v.1={\"say\":\"yes\"}", ""),
            ("v.0={\"say\":\"no\"}", ""),
            ("v.2={\"say\":\"yes\"}", "done v; end completed"),
        ],
    );
    assert_eq!(
        play.end().1["v"],
        json!({
            "decision": "decided", "winner": "yes", "judged": false,
            "tally": [{"ballot": "yes", "votes": 2, "weight": 2}, {"ballot": "no", "votes": 1, "weight": 1}],
            "ballots": [{"voter": 0, "ballot": "no"}, {"voter": 1, "ballot": "yes"}, {"voter": 2, "ballot": "yes"}],
        })
    );
}

#[test]
fn without_a_winner_the_step_fails_unless_told_otherwise() {
    check(vote(json!({})), &[START, ("v.0=1, v.1=2, v.2=3", "fail v undecided; end failed")]);
    let play =
        check(vote(json!({"undecided": "continue"})), &[START, ("v.0=1, v.1=2, v.2=3", "done v; end completed")]);
    assert_eq!((&play.end().1["v"]["decision"], &play.end().1["v"]["winner"]), (&json!("tie"), &json!(null)));
}

#[test]
fn voters_that_fail_cast_none_and_the_quorum_counts() {
    let play =
        check(vote(json!({"undecided": "continue"})), &[START, ("v.0=1, v.1!down, v.2~", "done v; end completed")]);
    let result = &play.end().1["v"];
    assert_eq!(result["decision"], "no_quorum");
    assert_eq!(result["ballots"][1], json!({"voter": 1, "ballot": null, "error": {"code": "down", "message": "why"}}));
    check(vote(json!({"quorum": 1})), &[START, ("v.0=1, v.1!down, v.2~", "done v; end completed")]);
}

#[test]
fn a_ballot_that_cannot_be_read_is_not_cast() {
    let play = check(
        vote(json!({"ballot": "result.say"})),
        &[START, ("v.0={\"say\":1}, v.1={}, v.2={\"say\":1}", "done v; end completed")],
    );
    assert_eq!(play.end().1["v"]["ballots"][1]["error"]["code"], "bad_expression");
}

#[test]
fn different_voters_weigh_differently() {
    let play = check(
        json!({"v": {"vote": {"by": [{"do": {"skill": "x"}}, {"do": {"skill": "y"}, "weight": 3}, {"do": {"skill": "z"}}]}}}),
        &[START, ("v.0=1, v.1=2, v.2=1", "done v; end completed")],
    );
    assert_eq!(play.end().1["v"]["winner"], 2);
}

#[test]
fn a_judge_decides_where_voters_do_not() {
    let steps = vote(json!({
        "ballot": "result", "undecided": "judge",
        "judge": {"skill": "judge", "input": {"ballots": "${ballots}", "tally": "${tally}"}},
    }));
    let play = check(
        steps.clone(),
        &[START, ("v.0=1, v.1=2, v.2=3", "start judge v"), ("judge v=9, judge v=8", "done v; end completed")],
    );
    let asked = play.input_of("v", Role::Judge, 0);
    assert_eq!(
        (asked["ballots"].as_array().map(Vec::len), asked["tally"].as_array().map(Vec::len)),
        (Some(3), Some(3))
    );
    let result = play.end().1["v"].clone();
    assert_eq!(
        (&result["winner"], &result["judged"], &result["decision"]),
        (&json!(9), &json!(true), &json!("decided"))
    );
    check(steps.clone(), &[START, ("v.0=1, v.1=1, v.2=3", "done v; end completed")]);
    check(steps, &[START, ("v.0=1, v.1=2, v.2=3", "start judge v"), ("judge v!tired", "fail v tired; end failed")]);
}
