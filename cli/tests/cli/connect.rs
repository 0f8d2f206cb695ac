//! Finding the fleet, and saying so when it is not there.

use nova_provision::access::{Role, UserName, permissions};
use nova_testkit::NatsServer;

use crate::bed::{Fleet, Nova};

/// A port on which nobody listens.
fn silent_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

#[test]
fn without_a_server_the_address_its_source_and_the_way_out_are_told() {
    let nova = Nova::new();
    let url = format!("nats://127.0.0.1:{}", silent_port());
    let ran = nova.run(&["-s", &url, "queue", "ls"]).exits(1).says(&url).says("--server").says("nova dev");
    assert_eq!(ran.stdout, "");
    nova.run(&["submit", "echo", "1", "--server", "nats://no.such.host.invalid"]).exits(1).says("no.such.host");
}

#[test]
fn a_context_and_a_running_dev_are_found() {
    let server = NatsServer::start();
    let mut nova = Nova::new();
    let url = server.url();
    nova.file("nova/dev.json", &format!(r#"{{"nats":"{url}","pid":{}}}"#, std::process::id()));
    nova.run(&["provision", "apply"]).exits(0);
    nova.file(".config/nats/context/here.json", &format!(r#"{{"url":"{url}","description":""}}"#));
    nova.file(".config/nats/context/gone.json", &format!(r#"{{"url":"nats://127.0.0.1:{}"}}"#, silent_port()));
    nova.file(".config/nats/context.txt", "gone\n");
    nova.run(&["queue", "ls"]).exits(1).says("selected nats context `gone`");
    nova.run(&["queue", "ls", "--context", "here"]).exits(0);
    nova.set("NATS_CONTEXT", "here");
    nova.run(&["queue", "ls"]).exits(0);
    nova.run(&["queue", "ls", "--context", "none"]).exits(4).says("none.json");
}

#[test]
fn a_password_comes_from_the_environment_and_never_shows() {
    let server = NatsServer::builder().users([("ann", "geheim")]).start();
    let mut nova = Nova::new();
    nova.set("NATS_URL", &server.url());
    let ran = nova.run(&["provision", "apply"]).exits(1).says("does not know you");
    assert!(!ran.stderr.contains("geheim"));
    nova.set("NATS_USER", "ann");
    nova.set("NATS_PASSWORD", "geheim");
    nova.run(&["provision", "apply"]).exits(0);
    let with_user = server.url().replace("nats://", "nats://ann:wrong@");
    nova.set("NATS_URL", &with_user);
    nova.variables.remove("NATS_USER");
    let ran = nova.run(&["queue", "ls"]).exits(1);
    assert!(!ran.stderr.contains("wrong"), "{ran:?}");
}

#[test]
fn a_broker_that_is_not_provisioned_is_named_so() {
    let server = NatsServer::start();
    let mut nova = Nova::new();
    nova.set("NATS_URL", &server.url());
    nova.run(&["submit", "echo", "1"]).exits(4).says("no skill is");
    nova.run(&["show", "x"]).exits(4);
    nova.run(&["wait", "x", "--skill", "echo", "--timeout", "1s"]).exits(4).says("nova provision");
    nova.run(&["provision", "check"]).exits(1).says("nova provision apply");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let fleet = Fleet::start();
    let mut command = fleet.nova.command(&["queue", "ls", "--json"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the binary is built");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
}

/// `user` as the permission template of a role grants it.
fn granted(user: &str, role: &Role) -> String {
    let granted = permissions(&UserName::new(user).expect("a name"), role);
    let list = |subjects: &[String]| serde_json::to_string(subjects).expect("texts");
    format!("publish: {}\nsubscribe: {}", list(&granted.publish), list(&granted.subscribe))
}

#[test]
fn a_submitter_may_submit_wait_and_cancel_in_its_scope_and_no_more() {
    let shop = Role::Submitter { scope: "shop".parse().expect("a scope"), skills: None };
    let server = NatsServer::builder()
        .user("boss", "b", granted("boss", &Role::Operator))
        .user("shop-1", "s", granted("shop-1", &shop))
        .start();
    let mut nova = Nova::new();
    nova.set("NATS_URL", &server.url());
    nova.set("NATS_USER", "boss");
    nova.set("NATS_PASSWORD", "b");
    nova.run(&["provision", "apply"]).exits(0);
    nova.run(&["queue", "pause", "echo"]).exits(0);

    nova.set("NATS_USER", "shop-1");
    nova.set("NATS_PASSWORD", "s");
    nova.set("NOVA_SCOPE", "shop");
    assert_eq!(nova.run(&["submit", "echo", "1", "--id", "7"]).exits(0).stdout, "shop.7\n");
    nova.run(&["wait", "7", "--skill", "echo", "--timeout", "100ms"]).exits(6);
    nova.run(&["cancel", "7", "--skill", "echo"]).exits(0);
    nova.run(&["queue", "resume", "echo"]).exits(6).says("the server says").says("permissions");

    nova.set("NATS_USER", "boss");
    nova.set("NATS_PASSWORD", "b");
    assert_eq!(nova.run(&["show", "7", "--json"]).exits(0).row()["cancel_asked"], true);
    nova.run(&["queue", "purge", "echo", "--yes"]).exits(0);

    nova.set("NATS_USER", "shop-1");
    nova.set("NATS_PASSWORD", "s");
    nova.run(&["wait", "7", "--skill", "echo", "--timeout", "20s"]).exits(3).says("was cancelled");
}
