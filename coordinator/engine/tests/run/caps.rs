//! The most that may be under way at once.

use serde_json::json;

use crate::play::check;

#[test]
fn a_map_has_no_more_under_way_than_it_may() {
    check(
        json!({"m": {"map": {"over": "[0, 1, 2, 3, 4]", "do": {"skill": "x"}, "parallel": 2}}}),
        &[
            ("start", "start m 0..2; running"),
            ("m.1=1", "start m 2..3"),
            ("m.0=1, m.2=1", "start m 3..5"),
            ("m.3=1", ""),
            ("m.4=1", "done m; end completed"),
        ],
    );
}

#[test]
fn a_run_has_no_more_under_way_than_it_may() {
    let task = json!({"task": {"skill": "x"}});
    check(
        json!({"steps": {"a": task, "b": task, "m": {"map": {"over": "[0, 1]", "do": {"skill": "x"}}}}, "parallel": 2}),
        &[
            ("start", "start a; start b; running"),
            ("b=1", "done b; start m"),
            ("a=1", "done a; start m 1..2"),
            ("m.0=1, m.1=1", "done m; end completed"),
        ],
    );
}

#[test]
fn what_is_being_cancelled_takes_room_until_it_ended() {
    let task = json!({"task": {"skill": "x"}});
    check(
        json!({"steps": {
            "a": task, "b": task, "j": {"join": {"of": ["a", "b"], "need": "any", "rest": "cancel"}},
            "m": {"after": ["j"], "map": {"over": "[0, 1]", "do": {"skill": "x"}}},
        }, "parallel": 2}),
        &[
            ("start", "start a; start b; running"),
            ("a=1", "done a; done j; skip b; cancel b.0; start m"),
            ("b~", "start m 1..2"),
            ("m.0=1, m.1=1", "done m; end completed"),
        ],
    );
}

#[test]
fn votes_and_judges_wait_for_room() {
    check(
        json!({"steps": {"v": {"vote": {"do": {"skill": "x"}, "undecided": "judge", "judge": {"skill": "j"}}}}, "parallel": 1}),
        &[
            ("start", "start v; running"),
            ("v=1", "start v 1..2"),
            ("v.1=2", "start v 2..3"),
            ("pause, v.2=3", "paused"),
            ("resume", "start judge v; running"),
            ("judge v=1", "done v; end completed"),
        ],
    );
}
