//! Workers: listed and drained.

use crate::bed::Fleet;

#[test]
fn a_worker_is_listed_and_drained() {
    let fleet = Fleet::with_worker();
    let ran = fleet.until("the worker", &["worker", "ls", "--json"], |ran| !ran.stdout.is_empty());
    let row = ran.row();
    for key in ["worker", "pid", "host", "skills", "version", "slots", "running"] {
        assert!(!row[key].is_null(), "{key}: {row}");
    }
    assert_eq!((&row["worker"], &row["slots"], &row["skills"][0]["name"]), (&"w1".into(), &4.into(), &"echo".into()));
    assert_eq!(fleet.run(&["worker", "ls", "--skill", "http", "--json"]).exits(0).stdout, "");
    assert!(fleet.run(&["worker", "ls"]).exits(0).stdout.starts_with("w1\t"));
    fleet.run(&["worker", "drain", "w9"]).exits(4).says("error[unknown_worker]");
    fleet.run(&["worker", "drain", "w1"]).exits(0);
    fleet.until("it to leave", &["worker", "ls", "--json"], |ran| ran.stdout.is_empty());
}
