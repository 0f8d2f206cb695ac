//! What the list-files skill promises, tried without a broker on real folders and repositories.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nova_list_files::{Config, ListFiles};
use nova_worker::{Blocking, Verdict};
use serde_json::{Value, json};

fn git(folder: &Path, args: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(args);
    for key in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(key);
    }
    let output = command.output().expect("git is there");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

/// A repository with one commit, and one file more that is only tracked.
fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet"]);
    write(dir.path(), "src/a.rs", "fn a() {}\n");
    write(dir.path(), "README.md", "# Nothing\n");
    git(dir.path(), &["add", "--all"]);
    git(dir.path(), &["commit", "--quiet", "-m", "one"]);
    write(dir.path(), "b.py", "b = 1\n");
    git(dir.path(), &["add", "--all"]);
    write(dir.path(), "untracked.go", "package x\n");
    dir
}

fn below(root: &Path) -> Config {
    Config { roots: vec![root.to_path_buf()], ..Config::default() }
}

async fn list(config: Config, input: Value) -> Result<Value, Verdict> {
    let skill = Blocking::new(ListFiles::new(config).expect("the roots are there"));
    nova_worker::test::run(&skill, input).await
}

async fn refused(config: Config, input: Value) -> String {
    match list(config, input).await {
        Err(Verdict::Reject { error }) => error.code.to_string(),
        other => panic!("not refused: {other:?}"),
    }
}

fn paths(listed: &Value) -> Vec<&str> {
    listed["files"].as_array().expect("a list").iter().map(|file| file["path"].as_str().expect("a text")).collect()
}

#[tokio::test]
async fn what_git_tracks_is_listed_with_its_text() {
    let dir = repository();
    let listed = list(below(dir.path()), json!({"path": "."})).await.expect("it is listed");
    assert_eq!(paths(&listed), ["b.py", "src/a.rs"]);
    assert_eq!(listed["files"][1], json!({"path": "src/a.rs", "language": "rust", "text": "fn a() {}\n"}));
    assert_eq!(listed["skipped"], json!([{"path": "README.md", "why": "unsupported_language"}]));
    assert_eq!(listed["root"], json!(dir.path().canonicalize().expect("it is there")));
    assert_eq!(listed["commit"].as_str().expect("there is a commit").len(), 40);
    // A folder in it alone, under the same names.
    let part = list(below(dir.path()), json!({"path": "src"})).await.expect("it is listed");
    assert_eq!(paths(&part), ["src/a.rs"]);
}

#[tokio::test]
async fn a_folder_without_git_is_walked() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path(), "x/a.rs", "fn a() {}\n");
    write(dir.path(), ".hidden/b.rs", "fn b() {}\n");
    symlink("/etc/passwd", dir.path().join("link.py")).expect("a link");
    let listed = list(below(dir.path()), json!({"path": ""})).await.expect("it is listed");
    assert_eq!((paths(&listed), &listed["commit"]), (vec!["x/a.rs"], &Value::Null));
    assert_eq!(listed["skipped"], json!([{"path": "link.py", "why": "symlink"}]));
    assert_eq!(refused(Config { max_entries: 1, ..below(dir.path()) }, json!({"path": ""})).await, "too_many");
}

#[tokio::test]
async fn an_empty_repository_lists_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    git(dir.path(), &["init", "--quiet"]);
    write(dir.path(), "untracked.rs", "fn x() {}\n");
    let listed = list(below(dir.path()), json!({"path": "."})).await.expect("it is listed");
    assert_eq!((&listed["files"], &listed["skipped"], &listed["commit"]), (&json!([]), &json!([]), &Value::Null));
}

#[tokio::test]
async fn nothing_outside_of_the_roots_is_listed() {
    let (dir, other) = (repository(), repository());
    let outside = other.path().to_str().expect("a text");
    assert_eq!(refused(Config::default(), json!({"path": outside})).await, "not_allowed");
    assert_eq!(refused(below(dir.path()), json!({"path": outside})).await, "not_allowed");
    assert_eq!(refused(below(dir.path()), json!({"path": "../.."})).await, "not_allowed");
    assert_eq!(refused(below(dir.path()), json!({"path": "gone"})).await, "not_found");
    assert_eq!(refused(below(dir.path()), json!({"path": "b.py"})).await, "no_folder");
    // The root is only a part of a repository.
    assert_eq!(refused(below(&dir.path().join("src")), json!({"path": "."})).await, "not_allowed");
    // The repository itself says that its files are elsewhere.
    git(dir.path(), &["config", "core.worktree", outside]);
    assert_eq!(refused(below(dir.path()), json!({"path": ".git"})).await, "not_allowed");
    let open = Config { allow_all: true, ..Config::default() };
    assert_eq!(paths(&list(open, json!({"path": outside})).await.expect("it is listed")), ["b.py", "src/a.rs"]);
}

#[tokio::test]
async fn a_repository_cannot_make_git_run_a_program() {
    let dir = repository();
    let mark = dir.path().join("ran");
    let program = format!("touch {}; false", mark.display());
    git(dir.path(), &["config", "core.fsmonitor", &program]);
    list(below(dir.path()), json!({"path": "."})).await.expect("it is listed");
    assert!(!mark.exists());
}

#[tokio::test]
async fn limits_hold_and_a_task_may_only_narrow_them() {
    let dir = repository();
    write(dir.path(), "big.rs", vec![b' '; 2_000]);
    git(dir.path(), &["add", "--all"]);
    let config = || Config { max_file_bytes: 1_000, max_total_bytes: 1_000, ..below(dir.path()) };
    let wide = list(config(), json!({"path": ".", "max_file_bytes": 1_000_000})).await.expect("it is listed");
    assert_eq!(wide["skipped"][1], json!({"path": "big.rs", "why": "too_large"}));
    let narrow = list(config(), json!({"path": ".", "max_file_bytes": 8})).await.expect("it is listed");
    assert_eq!(paths(&narrow), ["b.py"]);
    let config = Config { max_total_bytes: 1_000, ..below(dir.path()) };
    assert_eq!(refused(config, json!({"path": "."})).await, "too_large");
}

#[tokio::test]
async fn malformed_input_is_refused() {
    for input in [json!(null), json!({}), json!({"path": 7}), json!({"path": ".", "more": 1})] {
        assert_eq!(refused(Config::default(), input.clone()).await, "bad_input", "{input}");
    }
}

#[tokio::test]
async fn a_cancelled_attempt_gives_no_half_list() {
    let dir = repository();
    let trial = nova_worker::test::Trial::default();
    trial.cancel.cancel();
    let skill = Blocking::new(ListFiles::new(below(dir.path())).expect("the root is there"));
    let result = trial.run(&skill, json!({"path": "."})).await;
    assert!(matches!(result, Err(Verdict::Retry { .. })), "{result:?}");
}
