//! Keyed skills as users see them: submitted by key, shown, paused, purged and redriven; fair, and so many at once.

use std::time::Duration;

use nova_client::{Client, LaneOf, Reason, Redrive, Submit};
use nova_e2e::{Fleet, PATIENCE};
use nova_provision::{ApplyOptions, Catalogue, Profile, desired};
use nova_testkit::wait_until;
use nova_types::{OutcomeKind, Scope, Skill, TaskId, TaskState, UnixMillis};
use serde_json::json;

const ALLOW: (&str, &str) = ("NOVA__SHELL__ALLOW_ALL", "true");

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid skill")
}

fn id(name: &str) -> TaskId {
    format!("ops.{name}").parse().expect("a valid id")
}

async fn keyed(lines: &str) -> (Fleet, Client) {
    let fleet = Fleet::start().await;
    let catalogue = Catalogue::built_in().with(Catalogue::parse("keyed.toml", lines).expect("well formed"));
    let options = nova_provision::Options { profile: Profile::Fast, now: UnixMillis(1_795_370_000_000) };
    let wanted = desired(&catalogue, options);
    let report = nova_provision::apply(&*fleet.broker, &wanted, ApplyOptions::default(), |_| {}).await;
    assert!(report.expect("the broker takes it").is_complete());
    let client = Client::new(fleet.broker.clone(), Scope::new("ops").expect("a valid scope"));
    (fleet, client)
}

fn sh(name: &str, key: &str, script: &str) -> Submit {
    let task = Submit::json(skill("shell"), &json!({"argv": ["sh", "-c", script]})).expect("encodes");
    task.with_id(id(name)).with_key(key)
}

fn echo(name: &str, key: &str) -> Submit {
    Submit::json(skill("echo"), &name).expect("encodes").with_id(id(name)).with_key(key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_queue_is_shown_paused_and_purged_with_its_partitions() {
    let (fleet, client) = keyed("echo = { keyed = true, partitions = 4 }").await;
    assert_eq!(client.keyed(&skill("echo")).await.map(|keyed| keyed.partitions), Some(4));
    assert_eq!(client.keyed(&skill("shell")).await, None);
    for n in 0..3 {
        client.submit(echo(&format!("t{n}"), "order/7")).await.expect("stored");
    }
    let refused = client.submit(sh("no", "a", "exit 0")).await.expect_err("the skill is not keyed");
    assert_eq!(refused.code(), "not_keyed", "{refused}");

    let queue = client.queue(&skill("echo")).await.expect("readable");
    assert_eq!((queue.lanes.len(), queue.waiting(), queue.running()), (7, 3, 0));
    assert!(queue.oldest().is_some());
    let lanes: Vec<_> = queue.lanes.iter().filter(|lane| lane.waiting > 0).collect();
    assert!(matches!(lanes[..], [lane] if matches!(lane.of, LaneOf::Partition(_)) && lane.waiting == 3), "{lanes:?}");
    let keys = client.keys(&queue).await.expect("readable");
    let told: Vec<_> = keys.keys.iter().map(|key| (key.key.as_str(), key.tasks)).collect();
    assert_eq!((told, keys.is_cut), (vec![("order/7", 3)], false));
    assert_eq!(client.find_skill(&id("t2")).await.expect("found"), skill("echo"));
    let (view, why) = client.why(&skill("echo"), &id("t2")).await.expect("there");
    assert_eq!(view.state, TaskState::Available);
    assert!(why.iter().any(|reason| reason.to_string() == "2 tasks of its key come first"), "{why:?}");
    let listed = client.tasks(&nova_client::TaskFilter::default()).await.expect("listed");
    assert_eq!(listed.iter().filter(|row| row.state == TaskState::Available).count(), 3, "{listed:?}");

    let until = queue.now.plus(Duration::from_secs(600));
    client.pause(&skill("echo"), until).await.expect("paused");
    let queue = client.queue(&skill("echo")).await.expect("readable");
    assert!(queue.lanes.iter().all(|lane| lane.paused_until == Some(until)), "{queue:?}");
    client.resume(&skill("echo")).await.expect("resumed");
    let purged = client.purge_queue(&skill("echo"), |_| {}).await.expect("purged");
    assert_eq!((purged.cancelled, purged.had_ended), (3, 0));
    fleet.drained("echo").await;
    let queue = client.queue(&skill("echo")).await.expect("readable");
    assert!(queue.lanes.iter().all(|lane| lane.paused_until.is_none()), "a purge leaves no pause: {queue:?}");
    let (ended, _) = fleet.outcome("echo", "ops.t1").await;
    assert_eq!(ended.kind, OutcomeKind::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_task_waits_for_its_key_again() {
    let (mut fleet, client) = keyed("shell = { keyed = true, partitions = 4 }").await;
    fleet.worker("shell", "w1", &[ALLOW]).await;
    let body = br#"{"argv": ["sh", "-c", "exit 3"]}"#.to_vec();
    let headers = [("Nats-Msg-Id", "ops.dead"), ("Nova-Max-Attempts", "1")];
    fleet.request("nova.task.shell.high.order%2F7", &headers, body).await;
    let (ended, _) = fleet.outcome("shell", "ops.dead").await;
    assert_eq!(ended.kind, OutcomeKind::Dead);
    let letter = wait_until("the dead letter", PATIENCE, || async {
        client.show(&skill("shell"), &id("dead")).await.ok()?.dead
    })
    .await;
    let redriven = client.redrive(&letter, Redrive::default()).await.expect("taken").submitted;
    let stored = fleet.broker.get(redriven.stream, redriven.sequence).await.expect("readable").expect("there");
    let place = nova_wire::subject::parse_place(&stored.subject).expect("a task");
    assert_eq!((place.token, place.priority), (Some("order%2F7"), nova_types::Priority::High), "{}", stored.subject);
    let (ended, _) = fleet.outcome("shell", "ops.dead-r1").await;
    assert_eq!(ended.code.expect("it is dead").as_str(), "exit", "it ran again, as one of its key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_runs_as_many_at_once_as_it_may_and_holds_up_no_other() {
    let (mut fleet, client) = keyed("shell = { keyed = true, partitions = 1, key_concurrency = 2 }").await;
    fleet.worker("shell", "w1", &[ALLOW, ("NOVA__WORKER__SLOTS", "4")]).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display().to_string();
    // Each says that it runs, and goes on when it is told to.
    let wait = |n: usize| format!("touch {path}/on-{n}; until [ -e {path}/go ]; do sleep 0.05; done; rm {path}/on-{n}");
    for n in 0..40 {
        client.submit(sh(&format!("hot{n}"), "hot", &wait(n))).await.expect("stored");
    }
    let running = || {
        let names =
            std::fs::read_dir(&path).expect("readable").filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("on-")).collect();
        names.sort();
        names
    };
    wait_until("two of the key to run", PATIENCE, || async { (running().len() == 2).then_some(()) }).await;
    // Ten keys behind the hot one end while it holds its two places: nothing of theirs waits for it.
    for n in 0..10 {
        client.submit(sh(&format!("cold{n}"), &format!("cold{n}"), "exit 0")).await.expect("stored");
    }
    for n in 0..10 {
        let (ended, _) = fleet.outcome("shell", &format!("ops.cold{n}")).await;
        assert_eq!(ended.kind, OutcomeKind::Completed);
        assert_eq!(running(), ["on-0", "on-1"], "the first two of the key, and no third");
    }
    let (view, why) = client.why(&skill("shell"), &id("hot5")).await.expect("there");
    assert_eq!(view.state, TaskState::Available, "it was handed to the owner, and waits for its key");
    assert!(why.iter().any(|reason| matches!(reason, Reason::KeyBusy { .. })), "{why:?}");
    // What the owner holds for its key counts, what has ended does not.
    let queue = client.queue(&skill("shell")).await.expect("readable");
    let keys = client.keys(&queue).await.expect("readable").keys;
    assert_eq!(keys.iter().map(|key| (key.key.as_str(), key.tasks)).collect::<Vec<_>>(), [("hot", 40)]);
    std::fs::write(folder.path().join("go"), "").expect("writable");
    for n in 0..40 {
        fleet.outcome("shell", &format!("ops.hot{n}")).await;
    }
    fleet.drained("shell").await;
}
