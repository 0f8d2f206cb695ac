//! The program itself.

use std::process::{Command, Stdio};

use nova_testkit::{NatsServer, Process, wait_until};

use crate::support::{DEADLINE, Fleet};

fn program(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nova-coordinator"));
    command.env("NATS_URL", url).args(["--set", "serve.listen=127.0.0.1:0"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn the_process_serves_and_ends_on_sigterm() {
    let mut fleet = Fleet::real().await;
    // Ends with the test, however that ends.
    let mut child = Process::spawn("nova-coordinator", program(&fleet.server().url()));
    let found = wait_until("the service in discovery", DEADLINE, async || {
        let ping = nova_broker::Message::new("$SRV.INFO.nova-coordinator", "");
        fleet.broker.ask(ping, DEADLINE).await.ok()
    })
    .await;
    let info: serde_json::Value = serde_json::from_slice(&found.body).expect("JSON");
    let mut names: Vec<&str> =
        info["endpoints"].as_array().expect("endpoints").iter().filter_map(|e| e["name"].as_str()).collect();
    // Discovery lists endpoints in no order.
    names.sort_unstable();
    assert_eq!(names, ["call", "later"]);
    child.term();
    let ended = child.wait_exit(DEADLINE).await;
    assert!(ended.success(), "{ended}");
}

#[tokio::test]
async fn the_process_says_what_is_not_provisioned() {
    let server = NatsServer::start();
    let output = program(&server.url()).output().expect("ended");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && words.contains("nova provision apply"), "{words}");
}

#[test]
fn the_note_on_history_is_the_one_provision_writes() {
    assert_eq!(nova_coordinator::trim::HISTORY_SHARE_NOTE, nova_provision::HISTORY_SHARE_NOTE);
}
