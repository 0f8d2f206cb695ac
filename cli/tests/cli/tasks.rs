//! Looking at tasks and ending them.

use crate::bed::Fleet;

#[test]
fn a_waiting_task_is_shown_explained_and_listed() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1", "--id", "a"]).exits(0);
    fleet.run(&["submit", "echo", "1", "--id", "b"]).exits(0);
    let row = fleet.run(&["show", "b", "--json"]).exits(0).row();
    assert_eq!((&row["state"], &row["ahead"]["exactly"]), (&"available".into(), &1.into()));
    assert!(fleet.run(&["show", "b"]).exits(0).stdout.contains("state\tavailable\n"));
    let why = fleet.run(&["why", "b", "--json"]).exits(0).row();
    let reasons: Vec<&str> =
        why["reasons"].as_array().expect("a list").iter().filter_map(|r| r["reason"].as_str()).collect();
    assert_eq!(reasons, ["no_worker", "behind"]);
    assert!(fleet.run(&["why", "b"]).exits(0).stdout.starts_with("no worker with skill `echo` is present\n"));
    let listed = fleet.run(&["task", "ls", "--state", "available", "--skill", "echo"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 2);
    assert_eq!(fleet.run(&["task", "ls", "--state", "dead,completed", "--json"]).exits(0).rows().len(), 0);
    fleet.run(&["show", "nobody"]).exits(4);
    fleet.run(&["why", "nobody", "--skill", "echo"]).exits(4);
    fleet.run(&["task", "ls", "--state", "lost"]).exits(2);
}

#[test]
fn an_ended_task_is_shown_with_its_result() {
    let fleet = Fleet::with_worker();
    fleet.run(&["submit", "echo", r#"{"n":1}"#, "--id", "a", "--wait"]).exits(0);
    let row = fleet.run(&["show", "a", "--json"]).exits(0).row();
    assert_eq!((&row["state"], &row["outcome"]["result"]["n"]), (&"completed".into(), &1.into()));
    assert_eq!(row["outcome"]["worker"], "w1");
    let why = fleet.run(&["why", "a", "--json"]).exits(0).row();
    assert_eq!(why["reasons"][0]["reason"], "ended");
    let rows = fleet.run(&["task", "ls", "--since", "1h", "--json"]).exits(0).rows();
    assert_eq!((rows.len(), &rows[0]["task"], &rows[0]["state"]), (1, &"_.a".into(), &"completed".into()));
    let watched = fleet.run(&["watch", "a", "--json"]).exits(0).row();
    assert_eq!((&watched["kind"], &watched["state"]), (&"ended".into(), &"completed".into()));
}

#[test]
fn an_id_of_two_skills_asks_which() {
    let fleet = Fleet::start();
    for skill in ["echo", "http"] {
        fleet.run(&["submit", skill, "{}", "--id", "twin"]).exits(0);
    }
    fleet.run(&["show", "twin"]).exits(2).says("echo").says("--skill");
    fleet.run(&["show", "twin", "--skill", "http"]).exits(0);
}

#[test]
fn a_running_task_is_cancelled_and_a_wait_on_it_exits_3() {
    let fleet = Fleet::with_worker();
    fleet.run(&["submit", "echo", r#"{"hang":1}"#, "--id", "h"]).exits(0);
    fleet.until("it to run", &["show", "h", "--json"], |ran| ran.row()["state"] == "running");
    fleet.run(&["cancel", "h", "--wait=20s"]).exits(0);
    fleet.run(&["wait", "h"]).exits(3).says("was cancelled");
    fleet.run(&["cancel", "h"]).exits(0);
    let watched = fleet.run(&["watch", "h", "--json"]).exits(3);
    assert_eq!(watched.rows().last().expect("its end")["state"], "cancelled");
}

#[test]
fn a_task_that_completed_is_not_cancelled() {
    let fleet = Fleet::with_worker();
    fleet.run(&["submit", "echo", "1", "--id", "a", "--wait"]).exits(0);
    fleet.run(&["cancel", "a"]).exits(5).says("completed");
    fleet.run(&["cancel", "nobody"]).exits(4);
    fleet.run(&["cancel", "nobody", "--skill", "echo"]).exits(0);
    fleet.run(&["submit", "echo", "1", "--id", "nobody", "--wait"]).exits(3).says("was cancelled");
}

#[test]
fn a_filter_cancels_only_what_it_means_and_only_on_a_yes() {
    let mut fleet = Fleet::start();
    for n in 0..6 {
        let (id, label) = (format!("t{n}"), format!("half={}", n % 2));
        fleet.run(&["submit", "echo", "1", "--id", &id, "-l", &label]).exits(0);
    }
    fleet.run(&["cancel"]).exits(2).says("which tasks");
    fleet.run(&["cancel", "--label", "half=1"]).exits(5).says("--yes");
    fleet.run(&["cancel", "t1", "--label", "half=1"]).exits(2);
    fleet.run(&["cancel", "--state", "dead", "--yes"]).exits(2);
    let rows = fleet.run(&["cancel", "--label", "half=1", "--yes", "--json"]).exits(0).rows();
    assert_eq!(rows.len(), 3);
    fleet.run(&["cancel", "--label", "half=9", "--yes"]).exits(0).says("no task is meant");
    fleet.add_worker("late");
    fleet.run(&["wait", "t1", "--timeout", "20s"]).exits(3);
    fleet.run(&["wait", "t0", "--timeout", "20s"]).exits(0);
}
