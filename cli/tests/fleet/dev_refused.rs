//! `nova dev` where it cannot run: each time a clear message, and nothing left behind.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Ended, Home, run};

#[track_caller]
fn check(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "no `{word}` in {}", ended.stderr);
    }
}

#[tokio::test]
async fn a_second_fleet_in_the_same_store_is_refused() {
    let home = Home::new();
    let dev = home.dev(&["--workers", "echo=1,shell=0,http=0,code-review=0,list-files=0,report=0"]).await;
    let store = dev.ready["store"].as_str().unwrap();
    let second = home.run(&["dev", "--port", "0", "--store", store]).await;
    check(&second, 5, &["store_in_use", &format!("process {}", dev.process.pid()), "--store"]);
}

#[tokio::test]
async fn a_taken_port_is_told() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ended = home.run(&["dev", "--port", &port, "--store", "store"]).await;
    check(&ended, 5, &["port_taken", &port, "--port 0"]);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_told() {
    let home = Home::new();
    for store in ["/proc/nova", "/dev/null/nova"] {
        let ended = home.run(&["dev", "--port", "0", "--store", store]).await;
        check(&ended, 1, &["store_unwritable", store, "--store"]);
    }
}

#[tokio::test]
async fn an_old_or_missing_server_is_told() {
    let home = Home::new();
    let server = home.dir.path().join("nats-server");
    std::fs::write(&server, "#!/bin/sh\necho 'nats-server: v2.10.29'\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755)).unwrap();
    let with = |server: &std::path::Path| {
        let mut command = home.nova(&["dev", "--port", "0", "--store", "store"]);
        command.env("NOVA_NATS_SERVER", server);
        command
    };
    check(&run(with(&server)).await, 1, &["old_server", "2.10.29", "2.14.3", "make setup"]);
    check(&run(with(&home.dir.path().join("none"))).await, 2, &["no_server", "NOVA_NATS_SERVER"]);
    // A server that starts and ends is told in its own words.
    std::fs::write(&server, "#!/bin/sh\n[ \"$1\" = --version ] && echo v9.0.0 && exit\necho out of luck >&2; exit 3\n")
        .unwrap();
    check(&run(with(&server)).await, 1, &["server_failed", "out of luck", "dev.log"]);
}

#[tokio::test]
async fn workers_nobody_knows_are_a_usage_error() {
    let home = Home::new();
    for workers in ["nobody=1", "echo", "echo=1000"] {
        check(&home.run(&["dev", "--workers", workers]).await, 2, &["workers"]);
    }
}
