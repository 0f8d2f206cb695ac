//! The server configurations and the users they get: a real nats-server takes them.

use std::path::Path;
use std::process::Command;

use nova_broker::{Broker, jetstream};
use nova_provision::access::Fleet;
use nova_provision::{ApplyOptions, Catalogue, Options, Profile, apply, desired};
use nova_testkit::NatsServer;
use nova_testkit::server::find_nats_server;
use nova_types::UnixMillis;

const FLEET: &str = r#"
[users.boss]
role = "operator"
password_env = "NOVA_TEST_BOSS"
[users.w1]
role = "worker"
skills = ["echo"]
password_env = "NOVA_TEST_W1"
[users.shop]
role = "submitter"
scope = "shop"
password_env = "NOVA_TEST_SHOP"
[users.c1]
role = "coordinator"
password_env = "NOVA_TEST_C1"
[users.v1]
role = "viewer"
password_hash = "$2a$11$PWIFAL8RsWyGI3jVZtO9Nu8.6jOxzxfZo7c/W0eLk017hjgUKWrhy"
"#;

#[test]
fn every_server_configuration_is_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server");
    let store = tempfile::tempdir().expect("a folder");
    for name in ["fast", "durable", "cluster", "leaf"] {
        let run = Command::new(find_nats_server().expect("nats-server"))
            .arg("-t")
            .arg("-c")
            .arg(folder.join(name).with_extension("conf"))
            .current_dir(store.path())
            .envs([("NOVA_SERVER_NAME", "nova-1"), ("NOVA_LISTEN", "127.0.0.1:4222")])
            .envs([("NOVA_CLUSTER_LISTEN", "127.0.0.1:6222"), ("NOVA_STORE", "store")])
            .envs([("NOVA_ROUTE_1", "nats://127.0.0.1:6222"), ("NOVA_ROUTE_2", "nats://127.0.0.1:6223")])
            .envs([("NOVA_ROUTE_3", "nats://127.0.0.1:6224"), ("NOVA_HUB", "nats-leaf://a:b@127.0.0.1:7422")])
            .output()
            .expect("nats-server runs");
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

async fn connect(server: &NatsServer, user: &str, password: &str) -> jetstream::JetStream {
    let credentials = jetstream::Credentials::UserPassword { user: user.into(), password: password.into() };
    let options = jetstream::Options { credentials, ..jetstream::Options::new(server.url(), user) };
    jetstream::connect(options).await.expect("connected")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleets_users_live_on_a_real_server() {
    // The server reads the passwords from its own environment; the test's server has none, so they are written out here.
    let fleet = Fleet::parse("fleet.toml", FLEET, &Catalogue::built_in()).expect("well formed");
    let config = ["BOSS", "W1", "SHOP", "C1"].iter().fold(fleet.to_config(), |text, user| {
        text.replace(&format!("$NOVA_TEST_{user}\n"), &format!("\"pw-{user}\"\n"))
    });
    let server = NatsServer::builder().config(config).start();

    let boss = connect(&server, "boss", "pw-BOSS").await;
    let wanted =
        desired(&Catalogue::built_in(), Options { profile: Profile::Fast, now: UnixMillis(1_800_000_000_000) });
    let report = apply(&boss, &wanted, ApplyOptions::default(), |_| {}).await.expect("an operator provisions");
    assert!(report.is_complete());

    let worker = connect(&server, "w1", "pw-W1").await;
    let own = worker.consumer("NOVA_TASKS_echo".into(), "high".into()).await.expect("a worker looks at its consumers");
    assert!(own.is_some());
    let coordinator = connect(&server, "c1", "pw-C1").await;
    assert_eq!(
        coordinator.streams("NOVA_".into()).await.expect("a coordinator looks").len(),
        7 + 1 + Catalogue::built_in().iter().count()
    );
    let submitter = connect(&server, "shop", "pw-SHOP").await;
    let task = nova_broker::Message::new("nova.task.echo", "{}");
    submitter.publish(task, nova_broker::Expect::Any).await.expect("a submitter submits");

    // Keys of its own scope, and what is left of its own skills' rates: written under compare-and-set, read by subject.
    for (user, bucket, key) in [(&submitter, "nova-keys", "once.echo.shop.k"), (&worker, "nova-config", "rate.echo")] {
        let subject = format!("$KV.{bucket}.{key}");
        let message = || nova_broker::Message::new(&*subject, "{}");
        let first = user.publish(message(), nova_broker::Expect::NOTHING).await.expect("its own key");
        let again = user.publish(message(), nova_broker::Expect::NOTHING).await.expect_err("it is there");
        assert!(matches!(again, nova_broker::PublishError::Conflict { .. }), "{again}");
        let read = user.last(format!("KV_{bucket}"), subject.clone()).await.expect("its own key").expect("it is there");
        assert_eq!(read.sequence, first.sequence);
        // One header must not empty a bucket of all.
        let wipe = message().with_headers(nova_wire::Headers::new().with("Nats-Rollup", "all"));
        let refused = user.publish(wipe, nova_broker::Expect::Any).await.expect_err("no rollups");
        assert!(matches!(refused, nova_broker::PublishError::Refused { .. }), "{refused}");
    }
}
