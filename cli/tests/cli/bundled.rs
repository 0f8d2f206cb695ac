//! Submitting a file of lines in bundles.

use crate::bed::Fleet;

#[test]
fn every_line_of_a_bundle_has_its_own_end() {
    let fleet = Fleet::with_worker();
    let lines = "1\n{\"die\":1}\n{oops\n4\n5\n";
    let args = ["submit", "echo", "--each", "-", "--bundle", "3", "--wait", "--json", "--id", "b"];
    let ran = fleet.nova.run_with(&args, lines).exits(1);
    let mut rows = ran.rows();
    rows.sort_by_key(|row| row["line"].as_u64());
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["task"].as_str().unwrap_or("-"), row["item"].as_u64(), row["result"].as_u64()))
        .collect();
    let (first, second) = ("_.b-1", "_.b-5");
    let expect = [
        (first, Some(0), Some(1)),
        (first, Some(1), None),
        ("-", None, None),
        (first, Some(2), Some(4)),
        (second, Some(0), Some(5)),
    ];
    assert_eq!(told, expect, "{ran:?}");
    assert_eq!((&rows[1]["state"], &rows[2]["error"]["code"]), (&"dead".into(), &"bad_input".into()));
    assert!(ran.stderr.contains("3 completed, 1 dead or cancelled, 1 failed"), "{ran:?}");
    // The failed one is a letter of its own, and the bundle says how many it had.
    let letter = fleet.run(&["dead", "show", "_.b-1", "--json"]).exits(0).row();
    assert_eq!(
        (&letter["input"], &letter["headers"]["Nova-Items"][0]),
        (&serde_json::json!([{"die": 1}]), &"1".into())
    );
    let shown = fleet.run(&["show", "_.b-1", "--json"]).exits(0).row();
    assert_eq!(shown["outcome"]["items"], serde_json::json!({"items": 3, "failed": 1, "cancelled": 0}));
    fleet.run(&["wait", "_.b-1"]).exits(3).says("1 of 3 items failed; try them again: nova dead redrive _.b-1");
}

#[test]
fn lines_are_answered_by_their_bundle_and_place() {
    let fleet = Fleet::start();
    let lines: String = (0..2500).map(|n| format!("{n}\n")).collect();
    let ran = fleet.nova.run_with(&["submit", "echo", "--each", "-", "--bundle", "1000", "--id", "p"], &lines).exits(0);
    let told: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!((told.len(), told[0], told[2499]), (2500, "_.p-1/0", "_.p-2001/499"));
    assert!(ran.stderr.contains("2500 submitted"), "{}", ran.stderr);
    assert_eq!(fleet.run(&["queue", "show", "echo", "--json"]).exits(0).row()["waiting"], 3);
    fleet.run(&["submit", "echo", "--each", "-", "--bundle", "1001"]).exits(2);
    fleet.run(&["submit", "echo", "1", "--bundle", "10"]).exits(2);
}
