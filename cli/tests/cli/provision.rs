//! Setting a broker up, and mending one that was altered.

use nova_broker::Expect;

use crate::bed::{Fleet, Nova};
use nova_testkit::NatsServer;

#[test]
fn a_plan_is_shown_applied_and_then_empty() {
    let server = NatsServer::start();
    let mut nova = Nova::new();
    nova.set("NATS_URL", &server.url());
    let plan = nova.run(&["provision", "plan"]).exits(0);
    assert!(plan.stdout.contains("+ stream NOVA_TASKS_echo\n"), "{plan:?}");
    let rows = nova.run(&["provision", "plan", "--json"]).exits(0).rows();
    assert!(rows.iter().all(|row| row["action"] == "create"));
    let done = nova.run(&["provision", "apply", "--json"]).exits(0).rows();
    assert_eq!(done.len(), rows.len());
    assert_eq!(nova.run(&["provision", "plan"]).exits(0).stdout, "");
    assert_eq!(nova.run(&["provision", "apply"]).exits(0).stdout, "");
    nova.run(&["provision", "check"]).exits(0).says("profile fast");
}

#[test]
fn ones_own_skills_get_queues_and_lose_them_only_on_prune() {
    let fleet = Fleet::start();
    let file = fleet.nova.file("mine.toml", "resize = { about = \"Scales\" }\n");
    fleet.run(&["provision", "apply", "--skills", &file]).exits(0);
    fleet.run(&["submit", "resize", "1"]).exits(0);
    fleet.run(&["provision", "check"]).exits(0);
    fleet.run(&["provision", "apply", "--prune"]).exits(0).says("held back");
    fleet.run(&["queue", "show", "resize"]).exits(0);
    fleet.run(&["provision", "apply", "--prune", "--yes"]).exits(0);
    fleet.run(&["queue", "show", "resize"]).exits(4);
}

#[test]
fn what_was_altered_by_hand_is_named_and_mended() {
    let fleet = Fleet::start();
    let broker = fleet.broker();
    fleet.block_on(async {
        let mut spec = broker.stream("NOVA_TASKS_echo".into()).await.expect("read").expect("it is there").spec;
        spec.max_bytes = 1 << 20;
        broker.put_stream(spec).await.expect("changed");
    });
    let row = fleet.run(&["provision", "check", "--json"]).exits(1).says("error[drift]").row();
    assert_eq!((&row["field"], &row["stream"]), (&"max_bytes".into(), &"NOVA_TASKS_echo".into()));
    fleet.run(&["provision", "apply"]).exits(0);
    fleet.run(&["provision", "check"]).exits(0);
}

#[test]
fn a_consumer_missing_over_history_is_made_only_where_told() {
    let fleet = Fleet::start();
    let broker = fleet.broker();
    fleet.block_on(async {
        broker.publish(nova_broker::Message::new("nova.task.echo", "1"), Expect::Any).await.expect("stored");
        broker.delete_consumer("NOVA_TASKS_echo".into(), "normal".into()).await.expect("deleted");
    });
    fleet.run(&["provision", "apply", "--yes"]).exits(5).says("--consumer-start");
    fleet.run(&["provision", "apply", "--consumer-start", "soon"]).exits(2).says("first, new or a sequence");
    fleet.run(&["provision", "apply", "--consumer-start", "first"]).exits(0);
    assert_eq!(fleet.run(&["queue", "show", "echo", "--json"]).exits(0).row()["waiting"], 1);
}

#[test]
fn users_become_server_configuration_without_a_server() {
    let nova = Nova::new();
    let text = "[users.w1]\nrole = \"worker\"\nskills = [\"echo\"]\npassword_env = \"NOVA_W1\"\n";
    let file = nova.file("fleet.toml", text);
    assert!(nova.run(&["provision", "users", &file]).exits(0).stdout.contains("nova.outcome.echo.>"));
    let bad = nova.file("bad.toml", &text.replace("echo", "nope"));
    nova.run(&["provision", "users", &bad]).exits(2).says("skill nope");
}

#[test]
fn an_unknown_profile_is_usage() {
    Nova::new().run(&["provision", "plan", "--profile", "quick"]).exits(2).says("fast, durable, replicated");
}
