//! The scripts behind `make setup` and `make new-worker` do what they say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn script(name: &str) -> PathBuf {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("tests/tidy lies two folders below the root");
    root.join("deploy/setup").join(name)
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("folders");
        fs::write(path, text).expect("a file");
    }
    folder
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const ECHO: &[(&str, &str)] = &[
    ("workers/echo/Cargo.toml", "[package]\nname = \"nova-echo\"\n"),
    (
        "workers/echo/src/lib.rs",
        "//! The echo skill.\npub struct Echo;\nconst NAME: &str = \"echo\";\nfn echo_back() {}\n",
    ),
    ("workers/echo/src/main.rs", "//! Runs echo.\nuse nova_echo::Echo;\n"),
    ("workers/echo/tests/echo.rs", "//! Echo.\n"),
    ("shared/worker/Cargo.toml", "[package]\nname = \"nova-worker\"\n"),
    ("nats/skills.toml", "# skills\necho = { lease = \"10s\" }\n"),
];

fn new_worker(folder: &TempDir, name: &str, add: &str) -> Output {
    Command::new(script("new-worker.sh")).args([name, add]).current_dir(folder.path()).output().expect("a shell")
}

#[test]
fn a_new_worker_has_the_shape_of_echo_under_its_own_names() {
    let folder = folder_with(ECHO);
    let made = new_worker(&folder, "image-resize", "");
    assert!(made.status.success(), "{}", stderr(&made));
    let read =
        |path: &str| fs::read_to_string(folder.path().join("workers/image-resize").join(path)).expect("a copied file");
    assert_eq!(read("Cargo.toml"), "[package]\nname = \"nova-image-resize\"\n");
    assert_eq!(read("src/main.rs"), "//! Runs image-resize.\nuse nova_image_resize::ImageResize;\n");
    assert_eq!(
        read("src/lib.rs"),
        "//! The image-resize skill.\npub struct ImageResize;\nconst NAME: &str = \"image-resize\";\nfn image_resize_back() {}\n"
    );
    assert_eq!(read("tests/image_resize.rs"), "//! ImageResize.\n");
    assert_eq!(
        String::from_utf8_lossy(&made.stdout),
        "image-resize = { about = \"Says in one sentence what image-resize does\" }\n"
    );
}

#[test]
fn the_catalogue_line_is_added_on_request() {
    let folder = folder_with(ECHO);
    let made = new_worker(&folder, "x", "1");
    assert!(made.status.success(), "{}", stderr(&made));
    let catalogue = fs::read_to_string(folder.path().join("nats/skills.toml")).expect("a catalogue");
    let line = "x = { about = \"Says in one sentence what x does\" }";
    assert_eq!(catalogue, format!("# skills\necho = {{ lease = \"10s\" }}\n{line}\n"));
}

#[test]
fn names_that_cannot_be_are_refused_before_anything_is_written() {
    let long = "a".repeat(49);
    let names = ["", "Up", "a_b", "a.b", "../x", "-a", "a-", "a--b", &long, "echo", "worker"];
    for name in names {
        let folder = folder_with(ECHO);
        let made = new_worker(&folder, name, "");
        assert!(!made.status.success(), "`{name}` was taken");
        assert!(stderr(&made).starts_with("new-worker: "), "{}", stderr(&made));
        let workers = fs::read_dir(folder.path().join("workers")).expect("a folder").count();
        assert_eq!(workers, 1, "`{name}` left something behind");
    }
}

#[test]
fn types_of_odd_names_are_still_types() {
    for (name, camel) in [("3d", "Skill3d"), ("self", "SkillSelf"), ("a-1", "A1")] {
        let folder = folder_with(ECHO);
        assert!(new_worker(&folder, name, "").status.success());
        let text = fs::read_to_string(folder.path().join(format!("workers/{name}/src/lib.rs"))).expect("a copied file");
        assert!(text.contains(&format!("pub struct {camel};")), "{text}");
    }
}

fn server(folder: &TempDir, version: &str) -> PathBuf {
    let path = folder.path().join("nats-server");
    let text = folder.path().join("text");
    fs::write(&text, format!("#!/bin/sh\necho 'nats-server: v{version}'\n")).expect("a text");
    // Copied by another process: a file this one has open for writing, even in a child forked meanwhile, cannot be run.
    let copied = Command::new("install").args(["-m", "755"]).arg(&text).arg(&path).status().expect("install");
    assert!(copied.success());
    path
}

#[test]
fn the_server_named_by_the_environment_is_used_or_refused() {
    for (version, is_used) in
        [("2.14.3", true), ("2.15.1", true), ("3.0.0-RC.1", true), ("2.14.2", false), ("1.99.9", false)]
    {
        let folder = folder_with(&[]);
        let path = server(&folder, version);
        let found = Command::new(script("nats-server.sh")).env("NOVA_NATS_SERVER", &path).output().expect("a shell");
        assert_eq!(found.status.success(), is_used, "{version}: {}", stderr(&found));
        if is_used {
            assert_eq!(String::from_utf8_lossy(&found.stdout).trim_end(), path.display().to_string());
        } else {
            assert!(stderr(&found).contains("is older than 2.14.3"), "{}", stderr(&found));
        }
    }
}

#[test]
fn a_new_enough_server_on_the_path_needs_no_installation() {
    let folder = folder_with(&[]);
    let path = server(&folder, "2.15.1");
    let search = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("a PATH"));
    let found = Command::new(script("nats-server.sh"))
        .env_remove("NOVA_NATS_SERVER")
        .env("PATH", search)
        .output()
        .expect("a shell");
    assert!(found.status.success(), "{}", stderr(&found));
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim_end(), path.display().to_string());
}
