//! Measuring a fleet.

use crate::bed::Fleet;

fn is_there(fleet: &Fleet) {
    fleet.until("the worker", &["worker", "ls", "--json"], |ran| !ran.stdout.is_empty());
}

#[test]
fn rates_and_times_are_told() {
    let fleet = Fleet::with_worker();
    is_there(&fleet);
    let row = fleet.run(&["bench", "--tasks", "300", "--in-flight", "32", "--json"]).exits(0).row();
    assert_eq!((&row["skill"], &row["tasks"], &row["bytes"]), (&"echo".into(), &300.into(), &128.into()));
    assert_eq!((&row["in_flight"], &row["workers"]), (&32.into(), &1.into()));
    for key in ["submits_per_sec", "tasks_per_sec"] {
        assert!(row[key].as_f64().is_some_and(|rate| rate > 1.0), "{key}: {row}");
    }
    for key in ["alone", "latency"] {
        let [p50, max] = ["p50_ms", "max_ms"].map(|time| row[key][time].as_f64().expect("a time"));
        assert!(0.0 < p50 && p50 <= max, "{key}: {row}");
    }
    // 200 one at a time, 300 submitted, 300 waited for: nothing of them is left.
    assert_eq!((&row["submits"], &row["whole"], &row["deleted"]), (&300.into(), &300.into(), &800.into()));
    let held = fleet.run(&["task", "ls", "--json"]).exits(0).rows();
    assert!(held.is_empty(), "{held:?}");
    let ran = fleet.run(&["bench", "--tasks", "20"]).exits(0);
    assert!(ran.stdout.contains("submits\t") && ran.stdout.contains("latency\tp50 "), "{ran:?}");
}

#[test]
fn a_rate_is_kept() {
    let fleet = Fleet::with_worker();
    is_there(&fleet);
    let began = std::time::Instant::now();
    let row = fleet.run(&["bench", "--tasks", "100", "--rate", "200", "--size", "1024", "--json"]).exits(0).row();
    assert!(began.elapsed() >= std::time::Duration::from_millis(490), "100 tasks at 200 a second take half a second");
    assert_eq!((&row["rate"], &row["tasks"], &row["bytes"]), (&200.into(), &100.into(), &1024.into()));
    assert!(row["tasks_per_sec"].as_f64().is_some_and(|rate| rate <= 202.5), "{row}");
    assert!(row.get("submits_per_sec").is_none() && row["latency"]["p99_ms"].is_f64(), "{row}");
}

#[test]
fn nothing_is_submitted_that_nobody_would_take() {
    let fleet = Fleet::start();
    fleet.run(&["bench"]).exits(4).says("error[no_worker]").says("skill `echo`").says("nova dev");
    let queue = fleet.run(&["queue", "show", "echo", "--json"]).exits(0).row();
    assert_eq!(queue["waiting"], 0);
}

#[test]
fn a_task_that_dies_ends_the_measurement() {
    let fleet = Fleet::with_worker();
    is_there(&fleet);
    fleet.run(&["bench", "--tasks", "5", "--input", r#"{"die":1}"#]).exits(3).says("error[broken]");
    fleet.run(&["bench", "--input", "{"]).exits(2).says("error[bad_input]");
    fleet.run(&["bench", "--tasks", "0"]).exits(2);
    fleet.run(&["bench", "--rate", "5", "--in-flight", "5"]).exits(2).says("cannot be used with");
}
