//! Keyed skills on the command line.

use crate::bed::Fleet;

#[test]
fn keys_go_to_keyed_skills_and_to_no_other() {
    let fleet = Fleet::start();
    let file = fleet.nova.file("keyed.toml", "http = { keyed = true, partitions = 4 }\n");
    fleet.run(&["provision", "apply", "--skills", &file]).exits(0);
    fleet.run(&["submit", "http", "{}"]).exits(2).says("--key");
    fleet.run(&["submit", "http", "{}", "--key", "order/7", "--json"]).exits(0);
    fleet.run(&["submit", "echo", "1", "--key", "a"]).exits(2).says("not keyed");
    let lines = fleet.nova.file("in.jsonl", "{\"who\":\"a/b\"}\n{\"who\":7}\n{}\n");
    let each = ["submit", "http", "--each", &format!("@{lines}"), "--key-from", "/who", "--json"];
    let rows = fleet.run(&each).exits(1).rows();
    assert_eq!(rows.iter().filter(|row| row["error"].is_null()).count(), 2, "{rows:?}");
    let queue = fleet.run(&["queue", "show", "http", "--json"]).exits(0).row();
    assert_eq!((&queue["waiting"], &queue["lanes"][3]["partition"]), (&3.into(), &0.into()), "{queue}");
    assert_eq!(queue["lanes"][0]["priority"], "high");
}
