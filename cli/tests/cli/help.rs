//! What needs no fleet: help, usage, completion, the catalogue.

use crate::bed::Nova;

#[test]
fn help_names_every_command_and_exit_code() {
    let ran = Nova::new().run(&["--help"]).exits(0);
    for word in ["submit", "queue", "provision", "completion", "Exit codes:", "130  interrupted", "NATS_URL"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    for line in ran.stdout.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(Nova::new().run(&["submit", "--help"]).exits(0).stdout.contains("Examples:"));
    assert!(Nova::new().run(&["--version"]).exits(0).stdout.starts_with("nova "));
}

#[test]
fn a_wrong_command_line_is_usage() {
    let nova = Nova::new();
    nova.run(&[]).exits(2);
    nova.run(&["submitt"]).exits(2).says("submit");
    nova.run(&["submit", "Not A Skill", "1"]).exits(2).says("a-z 0-9");
    nova.run(&["submit", "echo", "1", "--delay", "5"]).exits(2).says("ms, s, m, h or d");
    nova.run(&["submit", "echo", "1", "--tz", "UTC"]).exits(2).says("--cron");
    nova.run(&["show", "a.b.c"]).exits(2);
    nova.run(&["task", "ls", "--since", "soon"]).exits(2).says("not a moment");
    nova.run(&["task", "ls", "-s", "nats://u:p@127.0.0.1"]).exits(2).says("NATS_PASSWORD");
}

#[test]
fn every_shell_gets_its_completion() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(Nova::new().run(&["completion", shell]).exits(0).stdout.contains("redrive"), "{shell}");
    }
}

#[test]
fn a_skill_of_ones_own_is_added_listed_and_removed() {
    let nova = Nova::new();
    let add = ["skill", "add", "resize", "--about", "Scales pictures", "--lease", "30s", "--costly"];
    nova.run(&add).exits(0).says("provision apply");
    nova.run(&add).exits(5).says("already");
    let rows = nova.run(&["skill", "ls", "--json"]).exits(0).rows();
    let own = rows.iter().find(|row| row["skill"] == "resize").expect("it is listed");
    assert_eq!((&own["source"], &own["lease"], &own["costly"]), (&"own".into(), &"30s".into(), &true.into()));
    assert!(rows.iter().any(|row| row["skill"] == "echo" && row["source"] == "built-in"));
    nova.run(&["skill", "rm", "resize"]).exits(0);
    nova.run(&["skill", "rm", "resize"]).exits(4);
    nova.run(&["skill", "rm", "echo"]).exits(5).says("built in");
    nova.run(&["skill", "add", "x", "--lease", "1ms"]).exits(2).says("lease");
}

#[test]
fn a_broken_catalogue_names_its_line() {
    let nova = Nova::new();
    let file = nova.file("mine.toml", "a = { lease = \"10s\" }\nb = { leese = \"10s\" }\n");
    nova.run(&["skill", "ls", "--skills", &file]).exits(2).says("mine.toml:2");
    nova.run(&["skill", "ls", "--skills", "none.toml"]).exits(1).says("none.toml");
}
