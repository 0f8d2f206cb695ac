//! The check for monitoring systems: its exit codes are its own.

use crate::bed::{Fleet, Nova};

#[test]
fn a_healthy_part_is_ok() {
    let fleet = Fleet::with_worker();
    fleet.until("the worker", &["worker", "ls", "--json"], |ran| !ran.stdout.is_empty());
    let items = ["connection", "provision", "queue", "dead", "worker"];
    let ran = fleet.run(&[&["check"][..], &items].concat()).exits(0);
    assert!(ran.stdout.starts_with("nova OK: "), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1);
    let row = fleet.run(&["check", "worker", "--json"]).exits(0).row();
    assert_eq!((&row["status"], &row["ok"][0]), (&"OK".into(), &"worker: 1 present".into()));
    assert!(
        row["perf_data"].as_array().expect("a list").iter().any(|perf| perf["name"] == "slots" && perf["value"] == 4.0)
    );
}

#[test]
fn thresholds_decide_between_warning_and_critical() {
    let fleet = Fleet::with_worker();
    fleet.run(&["submit", "echo", r#"{"die":1}"#, "--wait"]).exits(3);
    let ran = fleet.run(&["check", "dead", "--format", "text"]).exits(1);
    assert!(ran.stdout.contains("WARNING  dead: 1 dead letters"), "{ran:?}");
    fleet.run(&["check", "dead", "--dead-critical", "1"]).exits(2);
    fleet.run(&["check", "dead", "--dead-warning", "5"]).exits(0);
    let metrics = fleet.run(&["check", "dead", "--format", "prometheus"]).exits(1);
    assert!(metrics.stdout.contains("nova_check_dead{name=\"nova\"} 1\n"), "{metrics:?}");
}

#[test]
fn what_nobody_takes_and_who_is_missing_is_critical() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1"]).exits(0);
    let row = fleet.run(&["check", "--json"]).exits(2).row();
    let critical = row["critical"].to_string();
    for words in ["queue: echo: 1 tasks wait and no worker", "worker: no worker", "coordinator: none present"] {
        assert!(critical.contains(words), "{row}");
    }
    fleet.run(&["check", "queue", "--skill", "http"]).exits(0);
    fleet.run(&["check", "queue", "--skill", "nope"]).exits(3);
}

#[test]
fn an_unreachable_server_is_a_critical_status_on_stdout() {
    let ran = Nova::new().run(&["check", "-s", "nats://127.0.0.1:1"]).exits(2);
    assert!(ran.stdout.starts_with("nova CRITICAL: CRITICAL connection: could not connect"), "{ran:?}");
    assert_eq!(ran.stderr, "");
    Nova::new().run(&["check", "--context", "none"]).exits(3);
}
