//! Keys of submits: once for a time, and one at a time.

use crate::bed::Fleet;

#[test]
fn once_gives_one_task_whoever_asks_and_its_outcome_later() {
    let fleet = Fleet::with_worker();
    let ask =
        |input: &str, more: &[&str]| fleet.run(&[&["submit", "echo", input, "--once", "order 17"][..], more].concat());
    assert_eq!(ask("[1]", &["--wait"]).exits(0).stdout, "[1]\n");
    // Another process, another connection: the same task, and its result without running it again.
    assert_eq!(ask("[1]", &["--wait"]).exits(0).stdout, "[1]\n");
    let row = ask("[1]", &["--json"]).exits(0).row();
    assert_eq!((&row["existing"], &row["duplicate"]), (&"completed".into(), &false.into()));
    let told = ask("[1]", &[]).exits(0).says("this task has the key and ended: completed");
    assert_eq!(Some(told.stdout.trim_end()), row["task"].as_str());
    ask("[2]", &[]).exits(5).says("error[conflict]").says("order 17");
    // In another scope it is another key.
    let elsewhere = ask("[2]", &["--scope", "shop", "--json"]).exits(0).row();
    assert!(elsewhere["existing"].is_null() && elsewhere["task"].as_str().is_some_and(|id| id.starts_with("shop.")));
    assert_eq!(fleet.run(&["task", "ls", "--json"]).exits(0).rows().len(), 2);
}

#[test]
fn unique_takes_the_next_only_when_the_one_before_has_ended() {
    let fleet = Fleet::with_worker();
    let ask = |input: &str| fleet.run(&["submit", "echo", input, "--unique", "nightly", "--json"]).exits(0).row();
    let first = ask(r#"{"hang": 1}"#);
    let second = ask("[2]");
    assert_eq!((&second["task"], &second["existing"]), (&first["task"], &"open".into()));
    let id = first["task"].as_str().expect("an id").to_owned();
    fleet.run(&["cancel", &id, "--skill", "echo"]).exits(0);
    fleet.run(&["wait", &id, "--skill", "echo"]).exits(3);
    let third = ask("[3]");
    assert!(third["existing"].is_null() && third["task"] != first["task"]);
}

#[test]
fn keys_that_make_no_sense_are_refused() {
    let fleet = Fleet::start();
    for more in [
        &["--once", "k", "--unique", "k"][..],
        &["--once", "k", "--delay", "5s"],
        &["--unique", "k", "--cron", "@daily"],
        &["--once", ""],
        &["--once", "k", "--once-ttl", "1s"],
        &["--once-ttl", "1d"],
    ] {
        fleet.run(&[&["submit", "echo", "1"][..], more].concat()).exits(2);
    }
}
