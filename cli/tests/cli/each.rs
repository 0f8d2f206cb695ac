//! Submitting a file of lines.

use crate::bed::Fleet;

#[test]
fn every_line_has_its_answer() {
    let fleet = Fleet::start();
    let file = fleet.nova.file("in.jsonl", "{\"n\":1}\n\n{oops\n{\"n\":3}");
    let ran = fleet.run(&["submit", "echo", "--each", &format!("@{file}"), "--json", "--id", "b"]).exits(1);
    let rows = ran.rows();
    assert_eq!(rows.len(), 3, "{ran:?}");
    assert_eq!((&rows[0]["line"], &rows[0]["task"]), (&1.into(), &"_.b-1".into()));
    assert_eq!((&rows[1]["line"], &rows[1]["error"]["code"]), (&3.into(), &"bad_input".into()));
    assert_eq!((&rows[2]["line"], &rows[2]["task"]), (&4.into(), &"_.b-4".into()));
    assert!(ran.stderr.contains("2 submitted, 1 failed"), "{ran:?}");
    let again = fleet.run(&["submit", "echo", "--each", &format!("@{file}"), "--json", "--id", "b"]).exits(1);
    assert_eq!(again.rows()[0]["duplicate"], true);
}

#[test]
fn thousands_of_lines_are_pipelined() {
    let fleet = Fleet::start();
    let lines: String = (0..5000).map(|n| format!("{n}\n")).collect();
    let ran = fleet.nova.run_with(&["submit", "echo", "--each", "-"], &lines).exits(0);
    assert_eq!(ran.stdout.lines().count(), 5000);
    assert!(ran.stderr.contains("5000 submitted"), "{}", ran.stderr);
    let row = fleet.run(&["queue", "show", "echo", "--json"]).exits(0).row();
    assert_eq!(row["waiting"], 5000);
}

#[test]
fn waiting_tells_how_each_ended() {
    let fleet = Fleet::with_worker();
    let ran =
        fleet.nova.run_with(&["submit", "echo", "--each", "-", "--wait", "--json"], "1\n{\"die\":1}\n3\n").exits(3);
    let mut rows = ran.rows();
    rows.sort_by_key(|row| row["line"].as_u64());
    let told: Vec<_> = rows.iter().map(|row| (row["state"].as_str(), row["result"].as_u64())).collect();
    assert_eq!(told, [(Some("completed"), Some(1)), (Some("dead"), None), (Some("completed"), Some(3))]);
    let plain = fleet.nova.run_with(&["submit", "echo", "--each", "-", "--wait", "--id", "p"], "7\n").exits(0);
    assert_eq!(plain.stdout, "_.p-1\tcompleted\t7\n");
}

#[test]
fn a_line_is_submitted_while_the_next_is_waited_for() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let fleet = Fleet::start();
    let mut command = fleet.nova.command(&["submit", "echo", "--each", "-", "--id", "s", "--quiet"]);
    let piped = std::process::Stdio::piped;
    let mut child = command.stdin(piped()).stdout(piped()).spawn().expect("the binary is built");
    let mut input = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped")).lines();
    for n in 1..=3 {
        writeln!(input, "{n}").expect("it reads");
        assert_eq!(answers.next().expect("an answer").expect("text"), format!("_.s-{n}"));
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_file_that_is_not_there_is_usage() {
    let fleet = Fleet::start();
    fleet.run(&["submit", "echo", "--each", "@none.jsonl"]).exits(2).says("none.jsonl");
}
