//! Keyed skills over a real server and real processes: order by key while workers are killed and join, owners replaced.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_broker::Message;
use nova_e2e::{Fleet, PATIENCE};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_testkit::wait_until;
use nova_types::{Outcome, OutcomeKind, Skill, UnixMillis};
use nova_wire::{assets, name, parse_outcome, subject};

/// How long a run with kills may take: each costs the lease of what it had.
const LONG: Duration = Duration::from_secs(180);

/// Makes skills keyed that were not; their queues are empty still.
async fn keyed(fleet: &Fleet, lines: &str) {
    let catalogue = Catalogue::built_in().with(Catalogue::parse("keyed.toml", lines).expect("well formed"));
    let options = nova_provision::Options { profile: Profile::Fast, now: UnixMillis(1_795_370_000_000) };
    let wanted = desired(&catalogue, options);
    // Subjects join and none go, so nothing is lost.
    let report = nova_provision::apply(&*fleet.broker, &wanted, ApplyOptions::default(), |_| {}).await;
    let report = report.expect("the broker takes it");
    assert!(report.is_complete(), "{report:?}");
    let rows = nova_provision::check(&*fleet.broker, &wanted).await.expect("readable");
    assert!(rows.iter().all(|row| !row.is_drift()), "what was applied is as wanted: {rows:?}");
}

/// All outcomes of the keys, by key and in the order of their tasks' names `<key>_<n>`.
async fn by_key(fleet: &Fleet, skill: &str, count: usize) -> BTreeMap<String, Vec<Outcome>> {
    let mut all: BTreeMap<String, Vec<(u32, Outcome)>> = BTreeMap::new();
    for stored in fleet.outcomes(skill, count, LONG).await {
        let outcome = parse_outcome(stored.headers.get(name::OUTCOME).expect("a header")).expect("well formed");
        let task = outcome.task.name().to_string();
        let (key, n) = task.split_once('_').expect("as it was named");
        all.entry(key.to_owned()).or_default().push((n.parse().expect("a number"), outcome));
    }
    let sorted = |mut outcomes: Vec<(u32, Outcome)>| {
        outcomes.sort_by_key(|(n, _)| *n);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    };
    all.into_iter().map(|(key, outcomes)| (key, sorted(outcomes))).collect()
}

/// Each task of a key began after the one before it had ended.
#[track_caller]
fn in_order(all: &BTreeMap<String, Vec<Outcome>>) {
    for (key, outcomes) in all {
        for pair in outcomes.windows(2) {
            let began = pair[1].started.expect("it ran");
            assert!(began >= pair[0].finished, "{key}: {:?} then {:?}", pair[0], pair[1]);
        }
    }
}

#[tokio::test]
async fn order_by_key_survives_workers_that_are_killed_and_join() {
    const KEYS: usize = 24;
    const EACH: usize = 25;
    const ENV: [(&str, &str); 2] = [("NOVA__WORKER__SLOTS", "4"), ("NOVA__SHELL__ALLOW_ALL", "true")];
    let mut fleet = Fleet::start().await;
    keyed(&fleet, r#"shell = { keyed = true, partitions = 8, lease = "1s", timeout = "1m" }"#).await;
    let mut workers = Vec::new();
    for n in 0..8 {
        workers.push(fleet.spawn("nova-shell", &format!("w{n}"), &ENV));
    }
    let body = r#"{"argv": ["sleep", "0.1"]}"#;
    for n in 0..EACH {
        for key in 0..KEYS {
            let id = format!("k{key}_{n}");
            fleet.request(&format!("nova.task.shell.normal.k{key}"), &[("Nats-Msg-Id", &id)], body).await;
        }
    }
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for n in 8..14 {
        tokio::time::sleep(Duration::from_millis(random.u64(300..1200))).await;
        let victim = workers.swap_remove(random.usize(..workers.len()));
        fleet.process(victim).kill9();
        workers.push(fleet.spawn("nova-shell", &format!("w{n}"), &ENV));
    }
    let all = by_key(&fleet, "shell", KEYS * EACH).await;
    assert_eq!(all.values().map(Vec::len).collect::<Vec<_>>(), [EACH; KEYS], "seed {seed}");
    let failed: Vec<_> = all.values().flatten().filter(|outcome| outcome.kind != OutcomeKind::Completed).collect();
    assert!(failed.is_empty(), "seed {seed}: {failed:?}");
    in_order(&all);
    let by: std::collections::BTreeSet<_> =
        all.values().flatten().filter_map(|outcome| outcome.worker.clone()).collect();
    assert!(by.len() > 2, "the keys were shared: {by:?}");
}

#[tokio::test]
async fn a_killed_owner_is_replaced_within_seconds() {
    let mut fleet = Fleet::start().await;
    keyed(&fleet, r#"echo = { keyed = true, partitions = 4 }"#).await;
    let first = fleet.worker("echo", "first", &[]).await;
    fleet.request("nova.task.echo.normal.a", &[("Nats-Msg-Id", "before")], "1").await;
    fleet.outcome("echo", "_.before").await;
    fleet.process(first).kill9();
    fleet.worker("echo", "second", &[]).await;
    let began = std::time::Instant::now();
    for key in ["a", "b", "c", "d", "e", "f"] {
        fleet.request(&format!("nova.task.echo.high.{key}"), &[("Nats-Msg-Id", &format!("after-{key}"))], "1").await;
    }
    for key in ["a", "b", "c", "d", "e", "f"] {
        let (outcome, _) = fleet.outcome("echo", &format!("_.after-{key}")).await;
        assert_eq!(outcome.worker.expect("it ran").as_str(), "second");
    }
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
}

#[tokio::test]
async fn a_draining_owner_hands_over_at_once() {
    let mut fleet = Fleet::start().await;
    keyed(&fleet, r#"echo = { keyed = true, partitions = 4 }"#).await;
    let first = fleet.worker("echo", "first", &[]).await;
    fleet.request("nova.task.echo.normal.a", &[("Nats-Msg-Id", "before")], "1").await;
    fleet.outcome("echo", "_.before").await;
    fleet.worker("echo", "second", &[]).await;
    // Two of the four partitions are the second's in a moment; then the first leaves.
    fleet.process(first).term();
    fleet.process(first).wait_exit(PATIENCE).await;
    // What it had it has given up: no lease of it has to run out.
    let echo = Skill::new("echo").expect("a skill");
    for partition in 0..4 {
        let lease = subject::bucket_key(assets::CONFIG_BUCKET, &subject::partition_lease(&echo, partition));
        let stream = assets::bucket_stream(assets::CONFIG_BUCKET);
        let stands = fleet.broker.last(stream, lease).await.expect("readable").expect("it was taken");
        let holder = String::from_utf8_lossy(&stands.body).into_owned();
        assert!(!holder.starts_with("first"), "partition {partition} is {holder}'s");
    }
    for key in 0..16 {
        fleet.request(&format!("nova.task.echo.high.k{key}"), &[("Nats-Msg-Id", &format!("k{key}"))], "1").await;
    }
    for key in 0..16 {
        let (outcome, _) = fleet.outcome("echo", &format!("_.k{key}")).await;
        assert_eq!(outcome.worker.expect("it ran").as_str(), "second");
    }
}

#[tokio::test]
async fn any_client_publishes_keys_and_mistakes_are_told() {
    let mut fleet = Fleet::start().await;
    keyed(&fleet, r#"echo = { keyed = true, partitions = 4 }"#).await;
    fleet.worker("echo", "w1", &[]).await;
    fleet.coordinator().await;
    let receipt = fleet.request("nova.task.echo.normal.order%2F7", &[("Nats-Msg-Id", "plain")], "1").await;
    assert!(receipt.contains("NOVA_TASKS_echo"), "{receipt}");
    assert_eq!(fleet.outcome("echo", "_.plain").await.0.kind, OutcomeKind::Completed);
    for (subject, key, id, code) in [
        ("nova.task.echo", None, "keyless", "bad_key"),
        ("nova.task.echo.normal.a", Some("b"), "differs", "bad_key"),
        ("nova.task.echo.high", Some("b"), "header", "unsupported"),
    ] {
        let headers: Vec<(&str, &str)> =
            [("Nats-Msg-Id", id)].into_iter().chain(key.map(|key| ("Nova-Key", key))).collect();
        fleet.request(subject, &headers, "1").await;
        let (outcome, _) = fleet.outcome("echo", &format!("_.{id}")).await;
        assert_eq!(outcome.code.expect("it is dead").as_str(), code, "{subject}");
    }
    // Asked and waited for, and delayed: the coordinators put the key into the subject.
    let answer = fleet.request("nova.call.echo", &[("Nova-Key", "order/7")], r#"{"hello":"key"}"#).await;
    assert_eq!(answer, r#"{"hello":"key"}"#);
    let headers = [("Nova-Key", "order/7"), (name::WHEN, "@in 300ms")];
    fleet.request("nova.later.echo.cli.late", &headers, "2").await;
    let (outcome, stored) = fleet.outcome("echo", "cli.late").await;
    assert_eq!((outcome.kind, &stored.body[..]), (OutcomeKind::Completed, &b"2"[..]));
}

#[tokio::test]
async fn a_worker_refuses_a_keyed_queue_that_lacks_a_partition() {
    let mut fleet = Fleet::start().await;
    keyed(&fleet, r#"echo = { keyed = true, partitions = 4 }"#).await;
    fleet.broker.delete_consumer("NOVA_TASKS_echo".into(), "k2".into()).await.expect("it is there");
    let worker = fleet.spawn("nova-echo", "w1", &[]);
    assert!(!fleet.process(worker).wait_exit(PATIENCE).await.success());
    let said = fleet.process(worker).stderr().join("\n");
    assert!(said.contains("echo") && said.contains("nova provision apply"), "{said}");
}

#[tokio::test]
async fn a_worker_needs_no_more_than_its_permissions_for_keys() {
    let mut fleet = Fleet::with_users().await;
    keyed(&fleet, r#"echo = { keyed = true, partitions = 4, lease = "2s" }"#).await;
    fleet.spawn_as("nova-echo", "w1", &[("NOVA__WORKER__SLOTS", "2")]);
    fleet.present("w1").await;
    // A long line of one key: some of it is parked and read again.
    for n in 0..60 {
        let message = Message::new("nova.task.echo.normal.x", n.to_string());
        fleet.broker.publish(message, nova_broker::Expect::Any).await.expect("the queue takes it");
    }
    fleet.outcomes("echo", 60, PATIENCE).await;
    wait_until("the lease of a partition", PATIENCE, || async {
        let key = "$KV.nova-config.keyed.echo.p.0".to_owned();
        fleet.broker.last(assets::bucket_stream(assets::CONFIG_BUCKET), key).await.ok()?
    })
    .await;
    assert_eq!(fleet.violations(), [""; 0]);
}
