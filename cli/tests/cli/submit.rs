//! Submitting and waiting.

use std::process::Stdio;

use crate::bed::{DEADLINE, Fleet};

#[test]
fn a_result_is_printed_as_it_is_and_as_one_object() {
    let fleet = Fleet::with_worker();
    let ran = fleet.run(&["submit", "echo", r#"{"hello": "world"}"#, "--wait"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("{\"hello\":\"world\"}\n", ""));
    let row = fleet.run(&["submit", "echo", r#"{"a":1}"#, "--wait=20s", "--json", "--msgpack"]).exits(0).row();
    assert_eq!((&row["state"], &row["result"]["a"], &row["attempt"]), (&"completed".into(), &1.into(), &1.into()));
    assert_eq!((&row["worker"], &row["skill"]), (&"w1".into(), &"echo".into()));
    let plain = fleet.run(&["submit", "echo", "[1]", "--wait", "--msgpack"]).exits(0);
    assert_eq!(plain.stdout, "[1]\n");
    assert_eq!(fleet.run(&["submit", "echo", "--wait"]).exits(0).stdout, "null\n");
}

#[test]
fn input_comes_from_text_file_and_stdin() {
    let fleet = Fleet::with_worker();
    let file = fleet.nova.file("in.json", "{\"n\": 7}\n");
    let from_file = fleet.run(&["submit", "echo", &format!("@{file}"), "--wait"]).exits(0);
    assert_eq!(from_file.stdout, "{\"n\":7}\n");
    assert_eq!(fleet.nova.run_with(&["submit", "echo", "-", "--wait"], "[true]").exits(0).stdout, "[true]\n");
    let text = fleet.nova.run_with(&["submit", "echo", "-", "--wait", "--string"], "a \"b\"\n").exits(0);
    assert_eq!(text.stdout, "\"a \\\"b\\\"\\n\"\n");
    fleet.run(&["submit", "echo", "hello"]).exits(2).says("error[bad_input]").says("'\"hello\"'");
    fleet.run(&["submit", "echo", "@none.json"]).exits(2).says("none.json");
    fleet.run(&["submit", "echo", &"[".repeat(3000)]).exits(2).says("too_deep");
}

#[test]
fn a_large_input_and_result_travel_whole() {
    let fleet = Fleet::with_worker();
    let text = serde_json::to_string(&"x".repeat(600_000)).expect("a string");
    let ran = fleet.nova.run_with(&["submit", "echo", "-", "--wait"], &text).exits(0);
    assert_eq!(ran.stdout.trim_end(), text);
}

#[test]
fn a_dead_task_exits_3_with_its_error() {
    let fleet = Fleet::with_worker();
    let ran = fleet.run(&["submit", "echo", r#"{"die":1}"#, "--wait", "--id", "d1"]).exits(3);
    assert_eq!(ran.stdout, "");
    let ran = ran.says("error[broken]").says("task _.d1 is dead after attempt 1: it broke");
    assert!(ran.stderr.contains("nova dead redrive _.d1"), "{ran:?}");
    let row = fleet.run(&["wait", "d1", "--json"]).exits(3).row();
    assert_eq!((&row["state"], &row["error"]["code"]), (&"dead".into(), &"broken".into()));
}

#[test]
fn an_id_is_kept_and_a_copy_dropped() {
    let fleet = Fleet::start();
    assert_eq!(fleet.run(&["submit", "echo", "1", "--id", "x"]).exits(0).stdout, "_.x\n");
    fleet.run(&["submit", "echo", "1", "--id", "x"]).exits(0).says("dropped");
    let row = fleet.run(&["submit", "echo", "1", "--id", "shop.7", "--json"]).exits(0).row();
    assert_eq!((&row["task"], &row["duplicate"]), (&"shop.7".into(), &false.into()));
    assert!(row["sequence"].as_u64().is_some() && row["stream"] == "NOVA_TASKS_echo");
    let scoped = fleet.run(&["submit", "echo", "1", "--id", "y", "--scope", "shop"]).exits(0);
    assert_eq!(scoped.stdout, "shop.y\n");
    let fresh = fleet.run(&["submit", "echo", "1", "--scope", "shop"]).exits(0);
    assert!(fresh.stdout.starts_with("shop.0"), "{fresh:?}");
    fleet.run(&["submit", "echo", "1", "--id", "_seq.4"]).exits(2).says("Nova's own");
}

#[test]
fn what_a_task_asks_for_is_carried() {
    let fleet = Fleet::start();
    let options = ["--timeout", "5s", "--max-attempts", "2", "--backoff", "1s..2s", "--deadline", "10m"];
    let args = [&["submit", "echo", "1", "--id", "o", "-p", "high", "-l", "batch=7"][..], &options].concat();
    fleet.run(&args).exits(0);
    let rows = fleet.run(&["task", "ls", "--label", "batch=7", "--json"]).exits(0).rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["priority"], &rows[0]["labels"]["batch"]), (&"high".into(), &"7".into()));
    fleet.run(&["submit", "echo", "1", "--max-attempts", "0"]).exits(2);
    fleet.run(&["submit", "echo", "1", "-p", "urgent"]).exits(2).says("high, normal, low");
}

#[test]
fn an_unknown_skill_is_not_found_and_the_known_ones_are_named() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "nope", "1"]).exits(4).says("error[no_queue]").says("echo");
}

#[test]
fn a_wait_ends_in_time() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1", "--wait=50ms", "--id", "slow"]).exits(6).says("the task goes on");
    fleet.run(&["wait", "slow", "--timeout", "50ms"]).exits(6).says("nova why");
    fleet.run(&["wait", "never"]).exits(4).says("error[unknown_task]");
    fleet.run(&["wait", "never", "--skill", "echo", "--timeout", "50ms"]).exits(6);
}

#[test]
fn ctrl_c_ends_a_wait_with_130() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "1", "--id", "slow"]).exits(0);
    interrupted(&fleet, &["wait", "slow", "--json"]);
}

#[test]
fn ctrl_c_is_heard_while_stdin_is_silent() {
    let fleet = Fleet::start();
    interrupted(&fleet, &["submit", "echo", "-"]);
    interrupted(&fleet, &["submit", "echo", "--each", "-"]);
}

/// Starts a command with a stdin that stays open and says nothing, and interrupts it once it would hear that.
#[track_caller]
fn interrupted(fleet: &Fleet, args: &[&str]) {
    let mut command = fleet.nova.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary is built");
    let stdin = child.stdin.take();
    nova_testkit::wait_until_blocking("its handler", DEADLINE, || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        // Bit 1 is SIGINT, signal 2.
        (u64::from_str_radix(caught.trim(), 16).ok()? & 0b10 != 0).then_some(())
    });
    nova_testkit::spawn::signal(child.id(), rustix::process::Signal::INT).expect("it runs");
    let code =
        nova_testkit::wait_until_blocking("its end", DEADLINE, || child.try_wait().expect("ours").map(|s| s.code()));
    assert_eq!(code, Some(130));
    drop(stdin);
    let output = child.wait_with_output().expect("it ended");
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"), "{output:?}");
}
