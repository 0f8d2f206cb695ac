//! Workflows on the command line: checked offline, put, looked at; runs that are started and not there.

use crate::bed::{Fleet, Nova};

const GOOD: &str = "\
workflow: order
about: Charges and ships
input:
  id: { type: string }
key: input.id
steps:
  charge:
    task: { skill: echo, input: { url: 'https://pay/${input.id}' } }
  ship:
    after: [charge]
    task: { skill: echo, input: '${steps.charge.result}' }
  paid:
    wait: { signal: paid, timeout: 1h }
";

const BAD: &str = "\
workflow: order
steps:
  a:
    task: { skill: echo, input: '${inputs.id}' }
  b:
    after: [c]
    task: { skill: echo }
";

#[test]
fn every_mistake_is_told_with_its_place() {
    let nova = Nova::new();
    let (good, bad) = (nova.file("good.yaml", GOOD), nova.file("bad.yaml", BAD));
    nova.run(&["workflow", "check", &good]).exits(0).says("workflow order, 3 steps");
    let ran = nova.run(&["workflow", "check", &good, &bad]).exits(2).says("2 mistakes");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("{bad}:4:")) && lines[0].contains("did you mean `input`"), "{ran:?}");
    assert!(lines[1].starts_with(&format!("{bad}:6:")) && lines[1].contains("there is no step `c`"), "{ran:?}");
    let rows = nova.run(&["workflow", "check", &bad, "--json"]).exits(2).rows();
    assert_eq!(
        (rows.len(), rows[1]["line"].as_u64(), rows[1]["path"].as_str()),
        (2, Some(6), Some("/steps/b/after/0"))
    );
}

#[test]
fn what_is_no_workflow_file_is_refused_in_a_sentence() {
    let nova = Nova::new();
    nova.run(&["workflow", "check", "missing.yaml"]).exits(2).says("could not read the workflow file missing.yaml");
    let huge = nova.file("huge.yaml", &"#".repeat(3 << 20));
    nova.run(&["workflow", "check", &huge]).exits(2).says("1 mistake");
    for text in ["", "- a\n", "workflow: [\n", "a: &a [*a]\n", "{\"workflow\": 1}", "\u{0}"] {
        let file = nova.file("odd.yaml", text);
        nova.run(&["workflow", "check", &file]).exits(2);
    }
    nova.run_with(&["workflow", "check", "-"], GOOD).exits(0);
    nova.run(&["workflow", "check"]).exits(2);
}

#[test]
fn the_published_schema_is_the_one_that_is_printed() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("cli lies below the root");
    let published = std::fs::read_to_string(root.join("docs/workflow.schema.json")).expect("a file");
    let printed = Nova::new().run(&["workflow", "schema"]).exits(0).stdout;
    assert_eq!(published, printed, "out of date; run `nova workflow schema > docs/workflow.schema.json`");
}

#[test]
fn the_schema_and_graphs_need_no_fleet() {
    let nova = Nova::new();
    let schema = nova.run(&["workflow", "schema"]).exits(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert!(schema["properties"]["steps"].is_object());
    let good = nova.file("good.yaml", GOOD);
    let drawn = nova.run(&["run", "graph", "--file", &good]).exits(0).stdout;
    assert_eq!(drawn, "├ charge  echo\n│ ship    echo\n└ paid    wait for signal paid\n");
    let mermaid = nova.run(&["run", "graph", "--file", &good, "--mermaid"]).exits(0).stdout;
    assert!(mermaid.starts_with("flowchart TD\n") && mermaid.contains("  s_charge --> s_ship\n"), "{mermaid}");
}

#[test]
fn a_workflow_is_put_listed_and_shown() {
    let fleet = Fleet::start();
    let good = fleet.nova.file("good.yaml", GOOD);
    let put = fleet.run(&["workflow", "put", &good, "--json"]).exits(0).row();
    assert_eq!((put["workflow"].as_str(), put["changed"].as_bool()), (Some("order"), Some(true)));
    fleet.run(&["workflow", "put", &good]).exits(0).says("present version already");
    let first = put["version"].as_str().expect("a hash").to_owned();
    let other = fleet.nova.file("other.yaml", &GOOD.replace("1h", "2h"));
    fleet.run(&["workflow", "put", &other]).exits(0).says("new runs take this version");
    let listed = fleet.run(&["workflow", "ls", "--json"]).exits(0).row();
    assert_eq!((listed["versions"].as_u64(), listed["steps"].as_u64()), (Some(2), Some(3)));
    let shown = fleet.run(&["workflow", "show", "order", "--version", &first[..10], "--json"]).exits(0).row();
    assert_eq!((shown["version"].as_str(), shown["present"].as_bool()), (Some(&*first), Some(false)));
    // What is shown as YAML is the same definition again.
    let yaml = fleet.run(&["workflow", "show", "order", "--version", &first, "--yaml"]).exits(0).stdout;
    let again = fleet.nova.file("again.yaml", &yaml);
    let put = fleet.run(&["workflow", "put", &again, "--json"]).exits(0).row();
    assert_eq!(put["version"].as_str(), Some(&*first));
    fleet.run(&["workflow", "show", "nope"]).exits(4).says("unknown_workflow");
    fleet.run(&["workflow", "show", "order", "--version", "ffff"]).exits(4).says("in version `ffff`");
}

#[test]
fn a_workflow_of_unknown_names_is_refused_with_their_places() {
    let fleet = Fleet::start();
    let text = GOOD.replace("skill: echo, input: '$", "skill: ehco, input: '$");
    let file = fleet.nova.file("w.yaml", &text);
    fleet.run(&["workflow", "check", &file]).exits(0);
    let ran = fleet.run(&["workflow", "check", "--online", &file]).exits(2);
    assert!(ran.stdout.starts_with(&format!("{file}:11:")) && ran.stdout.contains("did you mean `echo`"), "{ran:?}");
    fleet.run(&["workflow", "put", &file]).exits(2).says("bad_workflow").says(":11:");
    fleet.run(&["run", "start", "--file", &file, "--input", r#"{"id":"1"}"#]).exits(2).says("did you mean `echo`");
    assert_eq!(fleet.run(&["workflow", "ls"]).exits(0).stdout, "");
    // Files that are checked together may name each other.
    let child = fleet.nova.file("child.yaml", "workflow: child\nsteps:\n  a: { task: { skill: echo } }\n");
    let parent = fleet.nova.file("parent.yaml", "workflow: parent\nsteps:\n  a: { run: { workflow: child } }\n");
    fleet.run(&["workflow", "check", "--online", &parent]).exits(2);
    fleet.run(&["workflow", "check", "--online", &parent, &child]).exits(0);
    fleet.run(&["workflow", "put", &child, &parent]).exits(0);
}

#[test]
fn a_start_that_could_only_fail_is_refused_at_once() {
    let fleet = Fleet::start();
    let good = fleet.nova.file("good.yaml", GOOD);
    fleet.run(&["run", "start", "order"]).exits(4).says("nova workflow put FILE");
    fleet.run(&["workflow", "put", &good]).exits(0);
    fleet.run(&["run", "start", "order"]).exits(2).says("input `id` is missing");
    fleet.run(&["run", "start", "order", "--input", r#"{"id":7}"#]).exits(2).says("bad_input");
    fleet.run(&["run", "start", "order", "--input", "{id"]).exits(2);
    fleet.run(&["run", "start", "--file", &good, "other"]).exits(2).says("holds workflow `order`");
    fleet.run(&["run", "start"]).exits(2);
    let row = fleet.run(&["run", "start", "order", "--input", r#"{"id":"7"}"#, "--id", "one", "--json"]).exits(0).row();
    assert_eq!((row["run"].as_str(), row["task"].as_str()), (Some("one"), Some("_.one")));
    fleet.run(&["run", "start", "order", "--input", r#"{"id":"7"}"#, "--id", "one"]).exits(0).says("dropped");
    // Nobody works it here: that is told, with where to look.
    fleet.run(&["run", "show", "one"]).exits(4).says("has not started yet").says("nova why _.one");
}

#[test]
fn runs_that_are_not_there_are_not_found() {
    let fleet = Fleet::start();
    assert_eq!(fleet.run(&["run", "ls"]).exits(0).stdout, "");
    for verb in ["show", "watch", "verify", "graph", "cancel", "pause", "resume", "restart", "approve", "reject"] {
        fleet.run(&["run", verb, "nope"]).exits(4).says("run nope is not known");
    }
    fleet.run(&["run", "signal", "nope", "paid"]).exits(4);
    fleet.run(&["run", "signal", "nope", "Paid!"]).exits(2);
    fleet.run(&["run", "ls", "--status", "dead"]).exits(2).says("not a status");
    fleet.run(&["run", "cancel"]).exits(2).says("which runs?");
    fleet.run(&["run", "cancel", "--all", "--yes"]).exits(0).says("no run is meant");
    fleet.run(&["run", "resume", "--status", "running", "--yes"]).exits(2).says("only paused");
    fleet.run(&["run", "verify"]).exits(2);
    fleet.run(&["run", "verify", "--all"]).exits(0).says("0 of 0 runs hold");
}
