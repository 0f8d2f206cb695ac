//! Queues: listed, paused, resumed, purged.

use crate::bed::Fleet;

#[test]
fn queues_are_listed_with_what_waits() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1", "-p", "low"]).exits(0);
    let rows = fleet.run(&["queue", "ls", "--json"]).exits(0).rows();
    let echo = rows.iter().find(|row| row["skill"] == "echo").expect("it is there");
    assert_eq!((&echo["waiting"], &echo["running"]), (&1.into(), &0.into()));
    assert!(echo["oldest"].as_i64().is_some());
    let lanes = fleet.run(&["queue", "show", "echo"]).exits(0);
    let words: Vec<&str> = lanes.stdout.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!(words, ["high", "normal", "low"]);
    fleet.run(&["queue", "show", "nope"]).exits(4).says("error[no_queue]");
}

#[test]
fn a_paused_queue_waits_until_it_is_resumed() {
    let fleet = Fleet::with_worker();
    fleet.run(&["queue", "pause", "echo"]).exits(0).says("resume");
    fleet.run(&["submit", "echo", "1", "--id", "a", "--wait=300ms"]).exits(6);
    let why = fleet.run(&["why", "a", "--json"]).exits(0).row();
    assert_eq!(why["reasons"][0]["reason"], "paused");
    assert!(fleet.run(&["queue", "ls"]).exits(0).stdout.contains("until 20"));
    fleet.run(&["queue", "resume", "echo"]).exits(0);
    fleet.run(&["wait", "a", "--timeout", "20s"]).exits(0);
    fleet.run(&["queue", "pause", "echo", "--until", "2001-01-01T00:00:00Z"]).exits(2).says("past");
    fleet.run(&["queue", "pause", "nope"]).exits(4);
}

#[test]
fn a_purge_ends_every_waiting_task_and_only_on_a_yes() {
    let fleet = Fleet::start();
    for id in ["a", "b"] {
        fleet.run(&["submit", "echo", "1", "--id", id]).exits(0);
    }
    fleet.run(&["queue", "purge", "echo"]).exits(5).says("--yes");
    fleet.run(&["show", "a"]).exits(0);
    let row = fleet.run(&["queue", "purge", "echo", "--yes", "--json"]).exits(0).row();
    assert_eq!(row["cancelled"], 2);
    fleet.run(&["wait", "a"]).exits(3).says("was cancelled");
    assert_eq!(fleet.run(&["queue", "show", "echo", "--json"]).exits(0).row()["waiting"], 0);
}
