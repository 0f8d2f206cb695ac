//! `nova demo`: the kill is real, and so is what follows.

use std::fmt::Write as _;

use serde_json::Value;

use crate::repo::Repo;
use crate::support::{Home, run};

/// Enough work for a backlog to be there when the worker is killed.
fn many_files() -> Repo {
    let repo = Repo::new();
    for file in 0..240 {
        let mut text = String::new();
        for function in 0..60 {
            writeln!(text, "pub fn f{function}(x: Option<u8>) -> u8 {{\n    // TODO\n    x.unwrap()\n}}").unwrap();
        }
        repo.write(&format!("src/{file}.rs"), text);
    }
    repo.add();
    repo
}

#[tokio::test]
async fn a_worker_and_a_coordinator_are_killed_and_every_task_has_exactly_one_outcome() {
    let (home, repo) = (Home::new(), many_files());
    let mut command = home.nova(&["demo", "--repo", repo.path(), "--json"]);
    command.env("TMPDIR", home.dir.path());
    let ended = run(command).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let summary: Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&summary["tasks"], &summary["exactly_one_outcome_each"]), (&240.into(), &true.into()), "{summary}");
    // A killed worker uses up no attempt; its tasks come again.
    assert!(summary["redelivered"].as_u64().unwrap() > 0, "{summary}\n{}", ended.stderr);
    assert_eq!(summary["attempts"], 240);
    assert!(summary["replayed"].as_u64().unwrap() > 3, "the history gives the same decisions: {summary}");
    for said in [
        "kill -9   code-review-",
        "kill -9   coordinator-",
        "code-review-1 was killed (SIGKILL)",
        "coordinator-1 was killed (SIGKILL)",
        "runs again as process",
        "lease",
        "again",
    ] {
        assert!(ended.stderr.contains(said), "no `{said}` in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains('\u{1b}'));
    let sarif: Value =
        serde_json::from_slice(&std::fs::read(home.dir.path().join("target/demo/review.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 240 * 120);
    let left = std::fs::read_dir(home.dir.path()).unwrap().flatten();
    let left: Vec<_> = left.filter(|entry| entry.file_name().to_string_lossy().starts_with("nova-demo-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_repository_without_sources_is_told() {
    let (home, repo) = (Home::new(), Repo::new());
    repo.write("README.md", "# Nothing\n");
    repo.add();
    let ended = home.run(&["demo", "--repo", repo.path()]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("has no source file to review (1 tracked files)"), "{}", ended.stderr);
}
