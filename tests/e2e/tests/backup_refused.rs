//! What is no whole backup is refused, and so is a broker that is in use; who may do it, and onto how many servers.

use std::path::{Path, PathBuf};

use nova_broker::Broker as _;
use nova_broker::jetstream::{self, JetStream, Options};
use nova_e2e::command::{nova, text};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::{NatsCluster, NatsServer, wait_until};
use nova_types::OutcomeKind;

async fn connect(server: &NatsServer) -> JetStream {
    jetstream::connect(Options::new(server.url(), "e2e")).await.expect("the test's own server is up")
}

/// A small backup in a folder of `home`, and a copy of it under a name.
async fn small_backup(home: &Path) -> PathBuf {
    let fleet = Fleet::start().await;
    for n in 0..10 {
        fleet.request("nova.task.echo", &[("Nats-Msg-Id", &format!("b.t{n}"))], "1").await;
    }
    let folder = home.join("whole");
    nova(&fleet.server.url(), &["backup", text(&folder)], &[]).await.exits(0);
    nova(&fleet.server.url(), &["backup", text(&folder)], &[]).await.exits(2).says("is not empty");
    folder
}

fn copy(whole: &Path, name: &str) -> PathBuf {
    let to = whole.with_file_name(name);
    std::fs::create_dir(&to).expect("made");
    for entry in std::fs::read_dir(whole).expect("listed") {
        let entry = entry.expect("listed");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_whole_backup_is_refused_and_leaves_no_trace() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = small_backup(home.path()).await;
    let server = NatsServer::start();
    let broker = connect(&server).await;
    let file = "NOVA_OUTCOMES.snapshot";
    let spoil = |name: &str, how: &dyn Fn(&Path)| {
        let folder = copy(&whole, name);
        how(&folder);
        folder
    };
    let write = |folder: &Path, name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).expect("written");
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).expect("read");
    let cases = [
        (
            spoil("damaged", &|folder| {
                let mut bytes = read(folder, file);
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                write(folder, file, &bytes);
            }),
            5,
            "NOVA_OUTCOMES.snapshot is damaged",
        ),
        (
            spoil("cut", &|folder| {
                let bytes = read(folder, file);
                write(folder, file, &bytes[..bytes.len() - 1]);
            }),
            5,
            "and not",
        ),
        (
            spoil("missing", &|folder| std::fs::remove_file(folder.join(file)).expect("removed")),
            5,
            "NOVA_OUTCOMES.snapshot is missing",
        ),
        (
            spoil("unfinished", &|folder| std::fs::remove_file(folder.join("manifest.json")).expect("removed")),
            4,
            "holds no whole backup",
        ),
        (
            spoil("newer", &|folder| {
                let manifest = String::from_utf8(read(folder, "manifest.json")).expect("text");
                write(folder, "manifest.json", manifest.replace("\"format\": 1", "\"format\": 2").as_bytes());
            }),
            5,
            "it has format 2, and this version of nova reads up to 1",
        ),
        (
            spoil("altered", &|folder| {
                let manifest = String::from_utf8(read(folder, "manifest.json")).expect("text");
                write(
                    folder,
                    "manifest.json",
                    manifest.replace("\"discard\": \"new\"", "\"discard\": \"old\"").as_bytes(),
                );
            }),
            5,
            "it is not as it was written",
        ),
        (home.path().join("nothing"), 4, "holds no whole backup"),
    ];
    for (folder, code, words) in cases {
        nova(&server.url(), &["restore", text(&folder)], &[]).await.exits(code).says(words);
        assert_eq!(broker.streams(String::new()).await.expect("listed"), [], "{words}");
    }
    nova("nats://127.0.0.1:1", &["restore", text(&whole), "--verify"], &[])
        .await
        .exits(0)
        .says("are as they were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_holds_a_fleet_is_not_written_to() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = small_backup(home.path()).await;
    let fleet = Fleet::start().await;
    let before = fleet.snapshot().await;
    let refused = nova(&fleet.server.url(), &["restore", text(&whole)], &[]).await.exits(5);
    refused.says("the broker is not empty: it has NOVA_ATTEMPTS, NOVA_CONTROL");
    assert_eq!(fleet.snapshot().await, before);
    let empty = NatsServer::start();
    let folder = home.path().join("of-nothing");
    nova(&empty.url(), &["backup", text(&folder)], &[]).await.exits(4).says("there is nothing to back up");
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_back_up_and_restore_and_a_viewer_may_not() {
    let home = tempfile::tempdir().expect("a folder");
    let (folder, denied) = (home.path().join("backup"), home.path().join("denied"));
    let fleet = Fleet::with_users().await;
    let boss = [("NATS_USER", "boss"), ("NATS_PASSWORD", "secret-of-boss")];
    let taken = nova(&fleet.server.url(), &["backup", text(&folder)], &boss).await.exits(0);
    assert!(!taken.stderr.contains("the server says"), "{taken:?}");
    let before = fleet.snapshot().await;
    let viewer = [("NATS_USER", "v1"), ("NATS_PASSWORD", "secret-of-v1")];
    let refused = nova(&fleet.server.url(), &["backup", text(&denied)], &viewer).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(!denied.join("manifest.json").exists());
    assert_eq!(fleet.snapshot().await, before);
    for stream in fleet.broker.streams(String::new()).await.expect("listed") {
        fleet.broker.delete_stream(stream.spec.name).await.expect("deleted");
    }
    let restored = nova(&fleet.server.url(), &["restore", text(&folder)], &boss).await.exits(0);
    assert!(!restored.stderr.contains("the server says"), "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_three_servers_goes_into_one() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("backup");
    let cluster = NatsCluster::try_start(3).expect("three servers");
    let url = cluster.url();
    // That they have found one another takes a moment, in which streams are refused.
    wait_until("a cluster that takes streams", PATIENCE, || async {
        let applied = nova(&url, &["provision", "apply", "--profile", "replicated"], &[]).await;
        (applied.code == 0).then_some(())
    })
    .await;
    for n in 0..20 {
        nova(&url, &["submit", "echo", &n.to_string(), "--id", &format!("b.t{n}")], &[]).await.exits(0);
    }
    nova(&url, &["backup", text(&folder)], &[]).await.exits(0);
    drop(cluster);
    let server = NatsServer::start();
    let refused = nova(&server.url(), &["restore", text(&folder)], &[]).await.exits(5);
    refused.says("--profile durable");
    let broker = connect(&server).await;
    assert_eq!(broker.streams(String::new()).await.expect("listed"), []);
    nova(&server.url(), &["restore", text(&folder), "--profile", "durable"], &[]).await.exits(0);
    nova(&server.url(), &["provision", "apply"], &[]).await.exits(0);
    nova(&server.url(), &["provision", "check"], &[]).await.exits(0).says("profile durable");
    let broker = nova_e2e::connect(&server.url(), "e2e").await;
    let mut new = Fleet::over(server, broker);
    new.worker("echo", "w1", &[]).await;
    for n in 0..20 {
        let (outcome, _) = new.outcome("echo", &format!("b.t{n}")).await;
        assert_eq!(outcome.kind, OutcomeKind::Completed);
    }
}
