//! The workflows that come with Nova, as their README shows them, on a fleet that `nova dev` started.

use nova_testkit::wait_until;
use serde_json::Value;

use crate::support::{Ended, Home, PATIENCE};

/// A file of `deploy/workflows`.
fn shipped(name: &str) -> String {
    format!("{}/../deploy/workflows/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn value(ended: &Ended) -> Value {
    let line = ended.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {} {}", ended.stdout, ended.stderr))
}

/// Starts a release and returns how its run stands once `is_there` finds it so.
async fn until(home: &Home, run: &str, is_there: impl Fn(&Value) -> bool) -> Value {
    wait_until(format!("run {run} to come so far"), PATIENCE, async || {
        let shown = home.run(&["run", "show", run, "--json"]).await;
        let shown: Value = serde_json::from_str(shown.stdout.lines().last()?).ok()?;
        is_there(&shown).then_some(shown)
    })
    .await
}

#[tokio::test]
async fn every_shipped_file_passes_its_check() {
    let home = Home::new();
    let _dev = home.dev(&["--workers", "code-review=0,http=0,list-files=0,report=0,shell=0,echo=0"]).await;
    for file in ["review.yaml", "release.yaml"] {
        let checked = home.run(&["workflow", "check", &shipped(file)]).await;
        assert_eq!(checked.code, Some(0), "{file}: {}", checked.stderr);
    }
}

#[tokio::test]
async fn a_release_is_voted_on_approved_by_its_hash_and_published() {
    let home = Home::new();
    let _dev = home.dev(&["--workers", "code-review=0,http=0,list-files=0,report=0"]).await;
    let put = home.run(&["workflow", "put", &shipped("release.yaml")]).await;
    assert_eq!(put.code, Some(0), "{}", put.stderr);
    let input = r#"{"version": "1.2.0", "notes": "Faster."}"#;
    let started = home.run(&["run", "start", "release", "--id", "rel-1", "--input", input]).await;
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let waits = until(&home, "rel-1", |shown| shown["approvals"]["approval"]["hash"].is_string()).await;
    let asked = &waits["approvals"]["approval"];
    assert_eq!((&asked["of"]["version"], asked["of"]["pack"].as_str().unwrap().len()), (&"1.2.0".into(), 64));
    // A yes to something else is none.
    let wrong = home.run(&["run", "approve", "rel-1", "approval", "--hash", &"0".repeat(64)]).await;
    assert_eq!(wrong.code, Some(5), "{} {}", wrong.stdout, wrong.stderr);
    let hash = asked["hash"].as_str().unwrap();
    let approved = home.run(&["run", "approve", "rel-1", "approval", "--hash", hash, "--by", "ann"]).await;
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    let done = until(&home, "rel-1", |shown| shown["status"] == "completed").await;
    assert_eq!(done["result"]["published"]["published"], "1.2.0");
    assert_eq!((&done["result"]["refused"], &done["result"]["approval"]["by"]), (&Value::Null, &"ann".into()));
    let verified = home.run(&["run", "verify", "rel-1"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
}

#[tokio::test]
async fn a_release_that_most_refuse_asks_nobody() {
    let home = Home::new();
    let _dev = home.dev(&["--workers", "code-review=0,http=0,list-files=0,report=0"]).await;
    home.run(&["workflow", "put", &shipped("release.yaml")]).await;
    let refused =
        home.run(&["run", "start", "release", "--input", r#"{"version": "latest"}"#, "--wait", "--json"]).await;
    assert_eq!(refused.code, Some(0), "{}", refused.stderr);
    let told = refused.stdout.clone();
    assert!(told.contains(r#""refused":"latest""#) && !told.contains(r#""published":"latest""#), "{told}");
    // No notes is one no of three: a person is asked all the same, and says no.
    let started = home.run(&["run", "start", "release", "--id", "rel-2", "--input", r#"{"version": "2.0"}"#]).await;
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let waits = until(&home, "rel-2", |shown| shown["approvals"]["approval"]["hash"].is_string()).await;
    let hash = waits["approvals"]["approval"]["hash"].as_str().unwrap();
    let rejected = home.run(&["run", "reject", "rel-2", "approval", "--hash", hash, "--note", "not on a Friday"]).await;
    assert_eq!(rejected.code, Some(0), "{}", rejected.stderr);
    let failed = until(&home, "rel-2", |shown| shown["status"] == "failed").await;
    assert!(failed.to_string().contains("approval"), "the failure names the step: {failed}");
    // The pack is thrown away again.
    assert_eq!(value(&home.run(&["run", "show", "rel-2", "--json"]).await)["result"], Value::Null);
}
