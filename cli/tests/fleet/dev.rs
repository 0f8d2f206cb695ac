//! `nova dev`: ready, in use, restarted, stopped, killed.

use nova_testkit::wait_until;
use serde_json::Value;

use crate::support::{Home, PATIENCE, alive, gone, kill9};

#[tokio::test]
async fn one_line_says_ready_and_sigterm_ends_everything() {
    let home = Home::new();
    let mut dev = home.dev(&[]).await;
    assert!(dev.ready["nats"].as_str().unwrap().starts_with("nats://127.0.0.1:"));
    assert_eq!(dev.ready["pid"], dev.process.pid());
    let names: Vec<&str> =
        dev.ready["workers"].as_array().unwrap().iter().map(|w| w["worker"].as_str().unwrap()).collect();
    assert_eq!(names, ["code-review-1", "echo-1", "http-1", "list-files-1", "report-1", "shell-1"]);
    // Nothing tells the next commands where the fleet is but its own state file.
    let done = home.run(&["submit", "echo", r#"{"a":1}"#, "--wait"]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), r#"{"a":1}"#), "{}", done.stderr);
    let called = home.run(&["submit", "shell", r#"{"argv":["echo","hi"]}"#, "--wait"]).await;
    assert!(called.stdout.contains("hi"), "{} {}", called.stdout, called.stderr);
    let children = dev.children();
    assert!(children.len() == 8 && children.iter().all(|(_, pid)| alive(*pid)), "{children:?}");
    dev.process.term();
    assert_eq!(dev.process.wait_exit(PATIENCE).await.code(), Some(0));
    assert_eq!(dev.process.stdout().len(), 1);
    assert!(children.iter().all(|(_, pid)| !alive(*pid)));
    assert!(dev.log().contains("[nova] nats-server stopped: ended with status 0"), "{}", dev.log());
    assert!(!home.dir.path().join("run/nova/dev.json").exists());
}

#[tokio::test]
async fn ctrl_c_is_a_graceful_end_and_the_data_stays() {
    let home = Home::new();
    let few = ["--workers", "echo=2,shell=0,http=0,code-review=0,list-files=0,report=0"];
    let mut dev = home.dev(&few).await;
    let sent = home.run(&["submit", "echo", "7", "--id", "kept", "--wait"]).await;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    dev.process.interrupt();
    assert_eq!(dev.process.wait_exit(PATIENCE).await.code(), Some(0));
    for worker in ["echo-1", "echo-2"] {
        assert!(dev.log().contains(&format!("[nova] {worker} stopped: ended with status 0")), "{}", dev.log());
    }
    let _again = home.dev(&few).await;
    let kept = home.run(&["wait", "kept", "--skill", "echo", "--timeout", "10s"]).await;
    assert_eq!((kept.code, kept.stdout.as_str()), (Some(0), "7"), "{}", kept.stderr);
}

#[tokio::test]
async fn kill9_leaves_no_child_and_the_store_can_be_used_again() {
    let home = Home::new();
    let mut dev = home.dev(&[]).await;
    let mark = home.dir.path().join("mark");
    let script = format!("echo $$ > {}; exec sleep 1000", mark.display());
    let input = serde_json::json!({"argv": ["/bin/sh", "-c", script]}).to_string();
    let sent = home.run(&["submit", "shell", &input]).await;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
    let grandchild: u32 =
        wait_until("the command to run", PATIENCE, async || std::fs::read_to_string(&mark).ok()?.trim().parse().ok())
            .await;
    let children = dev.children();
    assert!(children.len() == 8 && alive(grandchild));
    dev.process.kill9();
    for (_, pid) in children {
        gone(pid).await;
    }
    gone(grandchild).await;
    let again = home.dev(&["--workers", "echo=1,shell=0,http=0,code-review=0,list-files=0,report=0"]).await;
    assert_eq!(again.ready["workers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_killed_worker_and_a_killed_server_come_back() {
    let home = Home::new();
    let dev = home.dev(&["--workers", "echo=1,shell=0,http=0,code-review=0,list-files=0,report=0"]).await;
    let pid_of = |name: &str| dev.children().into_iter().find(|(child, _)| child == name).unwrap().1;
    for name in ["echo-1", "nats-server"] {
        let before = pid_of(name);
        kill9(before);
        let after = wait_until(format!("{name} to come back"), PATIENCE, async || {
            Some(pid_of(name)).filter(|pid| *pid != before)
        })
        .await;
        assert!(alive(after));
        dev.process.wait_stderr(&format!("{name} (process {before}) was killed"), PATIENCE).await;
    }
    let url = dev.ready["nats"].as_str().unwrap();
    // The address is the same; the server may need a moment.
    wait_until("a task to go through", PATIENCE, async || {
        let done = home.run(&["--server", url, "submit", "echo", "1", "--wait"]).await;
        (done.code == Some(0)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn own_skills_get_their_queues_and_counts_are_followed() {
    let home = Home::new();
    let skills = home.dir.path().join("mine.toml");
    std::fs::write(&skills, "resize = { about = \"Makes pictures smaller\" }\n").unwrap();
    let args = [
        "--skills",
        skills.to_str().unwrap(),
        "--workers",
        "code-review=0,echo=3,http=0,shell=0,list-files=0,report=0",
    ];
    let dev = home.dev(&args).await;
    let names: Vec<&Value> = dev.ready["workers"].as_array().unwrap().iter().map(|w| &w["worker"]).collect();
    assert_eq!(names, ["echo-1", "echo-2", "echo-3"]);
    let sent = home.run(&["submit", "resize", "{}"]).await;
    assert_eq!(sent.code, Some(0), "{}", sent.stderr);
}
