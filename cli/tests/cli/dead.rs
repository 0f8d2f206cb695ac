//! Dead letters: listed, shown, redriven, edited, dropped.

use crate::bed::Fleet;

fn with_dead(ids: &[&str]) -> Fleet {
    let fleet = Fleet::with_worker();
    for id in ids {
        fleet.run(&["submit", "echo", r#"{"die":1}"#, "--id", id, "-l", "batch=7", "--wait"]).exits(3);
    }
    fleet
}

#[test]
fn a_letter_is_listed_and_shown_with_its_input() {
    let fleet = with_dead(&["d1"]);
    let rows = fleet.run(&["dead", "ls", "--json"]).exits(0).rows();
    assert_eq!((rows.len(), &rows[0]["task"], &rows[0]["code"]), (1, &"_.d1".into(), &"broken".into()));
    assert_eq!(rows[0]["labels"]["batch"], "7");
    let row = fleet.run(&["dead", "show", "d1", "--json"]).exits(0).row();
    assert_eq!((&row["input"]["die"], &row["headers"]["Nats-Msg-Id"][0]), (&1.into(), &"_.d1".into()));
    assert!(fleet.run(&["dead", "show", "d1"]).exits(0).stdout.contains("code\tbroken\n"));
    for (filter, count) in [(["--code", "other"], 0), (["--skill", "echo"], 1), (["--label", "batch=7"], 1)] {
        let rows = fleet.run(&[&["dead", "ls", "--json"][..], &filter].concat()).exits(0).rows();
        assert_eq!(rows.len(), count, "{filter:?}");
    }
    fleet.run(&["dead", "show", "none"]).exits(4);
    fleet.run(&["submit", "echo", "1", "--id", "fine", "--wait"]).exits(0);
    fleet.run(&["dead", "show", "fine"]).exits(4).says("has no dead letter");
}

#[test]
fn bytes_that_are_no_json_are_shown_as_base64() {
    let fleet = Fleet::with_worker();
    let broker = fleet.broker();
    fleet.block_on(async {
        let message = nova_broker::Message::new("nova.task.echo", vec![0xff, 0x00]);
        let headers = nova_wire::Headers::new().with("Nats-Msg-Id", "raw");
        broker.publish(message.with_headers(headers), nova_broker::Expect::Any).await.expect("stored");
    });
    fleet.run(&["wait", "raw", "--skill", "echo", "--timeout", "20s"]).exits(3).says("bad_input");
    // The letter is written after the outcome.
    let row = fleet.until("the letter", &["dead", "show", "raw", "--json"], |ran| ran.code == 0).row();
    assert_eq!(row["input_base64"], "/wA=");
}

#[test]
fn a_redrive_is_a_new_task() {
    let fleet = with_dead(&["d1"]);
    let row = fleet.run(&["dead", "redrive", "d1", "--json"]).exits(0).row();
    assert_eq!((&row["task"], &row["redrive_of"]), (&"_.d1-r1".into(), &"_.d1".into()));
    fleet.run(&["wait", "d1-r1", "--timeout", "20s"]).exits(3);
    let again = fleet.run(&["dead", "redrive", "d1", "--drop"]).exits(0);
    assert_eq!(again.stdout, "_.d1-r2\n");
    fleet.run(&["dead", "show", "d1"]).exits(4);
}

#[test]
fn an_edited_letter_completes() {
    let mut fleet = with_dead(&["d1", "d2"]);
    let ran = fleet.run(&["dead", "edit", "d1", r#"{"fine":1}"#]).exits(0);
    assert_eq!(ran.stdout, "_.d1-r1\n");
    fleet.run(&["wait", "d1-r1", "--timeout", "20s"]).exits(0);
    fleet.run(&["dead", "redrive", "d1"]).exits(5).says("completed");
    fleet.run(&["dead", "edit", "d2"]).exits(2).says("EDITOR");
    fleet.nova.set("EDITOR", "sed -i s/die/live/");
    fleet.run(&["dead", "edit", "d2", "--drop"]).exits(0);
    assert_eq!(fleet.run(&["wait", "d2-r1", "--timeout", "20s"]).exits(0).stdout, "{\"live\":1}\n");
    fleet.nova.set("EDITOR", "true");
    fleet.run(&["dead", "edit", "d1"]).exits(5).says("not changed");
    fleet.nova.set("EDITOR", "false");
    fleet.run(&["dead", "edit", "d1"]).exits(1).says("nothing was redriven");
}

#[test]
fn many_are_redriven_and_dropped_by_filter_on_a_yes() {
    let fleet = with_dead(&["d1", "d2", "d3"]);
    fleet.run(&["dead", "redrive"]).exits(2).says("--all");
    fleet.run(&["dead", "redrive", "--code", "broken"]).exits(5).says("--yes");
    let rows = fleet.run(&["dead", "redrive", "--code", "broken", "--yes", "--json"]).exits(0).rows();
    assert_eq!(rows.len(), 3);
    fleet.run(&["dead", "drop", "d1"]).exits(5).says("--yes");
    fleet.run(&["dead", "drop", "d1", "d2", "--yes"]).exits(0);
    fleet.run(&["wait", "d3-r1", "--timeout", "20s"]).exits(3);
    fleet.run(&["dead", "drop", "--all", "--yes"]).exits(0);
    fleet.run(&["dead", "show", "d3"]).exits(4);
}
