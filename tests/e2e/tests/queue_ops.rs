//! What can be done to a queue and its tasks: pause, purge, cancel, redrive, priorities, long pauses.

use std::time::Duration;

use nova_client::{Client, Purged, Redrive, RedriveError, Submit};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{Backoff, OutcomeKind, Priority, Scope, Skill, TaskId, UnixMillis};
use nova_wire::{Payload, TaskOptions, assets, name, parse_outcome};
use serde_json::json;

const ALLOW: (&str, &str) = ("NOVA__SHELL__ALLOW_ALL", "true");

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid skill")
}

fn id(text: &str) -> TaskId {
    text.parse().expect("a valid id")
}

fn client(fleet: &Fleet) -> Client {
    Client::new(fleet.broker.clone(), Scope::new("ops").expect("a valid scope"))
}

fn echo(name: &str) -> Submit {
    Submit::json(skill("echo"), &name).expect("encodes").with_id(id(&format!("ops.{name}")))
}

fn sh(name: &str, script: &str) -> Submit {
    let task = Submit::json(skill("shell"), &json!({"argv": ["sh", "-c", script]})).expect("encodes");
    task.with_id(id(&format!("ops.{name}")))
}

async fn now(client: &Client) -> UnixMillis {
    client.queue(&skill("echo")).await.expect("readable").now
}

async fn running(client: &Client, name: &str) {
    wait_until(format!("a task of {name} to run"), PATIENCE, || async {
        (client.queue(&skill(name)).await.ok()?.running() == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_keeps_its_tasks_until_it_is_resumed() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let client = client(&fleet);
    let until = now(&client).await.plus(Duration::from_secs(600));
    client.pause(&skill("echo"), until).await.expect("paused");
    for priority in Priority::ALL {
        client.submit(echo(priority.as_str()).with_priority(priority)).await.expect("a paused queue takes tasks");
    }
    // Another queue's tasks overtake them: the worker's broker is alive and they still wait.
    fleet.worker("shell", "w2", &[ALLOW]).await;
    let other = client.submit_and_wait(sh("other", "exit 0"), PATIENCE).await.expect("it ends");
    assert_eq!(other.outcome.kind, OutcomeKind::Completed);
    let queue = client.queue(&skill("echo")).await.expect("readable");
    assert_eq!((queue.waiting(), queue.running()), (3, 0));
    assert!(queue.lanes.iter().all(|lane| lane.paused_until == Some(until)), "{queue:?}");

    client.resume(&skill("echo")).await.expect("resumed");
    for priority in Priority::ALL {
        let ended = client.wait(&skill("echo"), &id(&format!("ops.{priority}")), PATIENCE).await.expect("it ends");
        assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Completed, 1));
    }
    let queue = client.queue(&skill("echo")).await.expect("readable");
    assert!(queue.lanes.iter().all(|lane| lane.paused_until.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_ends_by_itself() {
    let mut fleet = Fleet::start().await;
    fleet.worker("echo", "w1", &[]).await;
    let client = client(&fleet);
    let until = now(&client).await.plus(Duration::from_secs(2));
    client.pause(&skill("echo"), until).await.expect("paused");
    let ended = client.submit_and_wait(echo("t"), PATIENCE).await.expect("it ends");
    assert!(ended.outcome.started.expect("it ran") >= until, "{:?} came before {until:?}", ended.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_gives_every_waiting_task_its_outcome() {
    let mut fleet = Fleet::start().await;
    let client = client(&fleet);
    // One priority is paused: it cannot be pulled from, and is emptied all the same.
    let far = now(&client).await.plus(Duration::from_secs(600));
    for is_paused in [false, true] {
        let names: Vec<String> = (0..700).map(|n| format!("p{is_paused}-{n}")).collect();
        for name in &names {
            let priority = Priority::ALL[name.len() % 3];
            client.submit(echo(name).with_priority(priority)).await.expect("submitted");
        }
        if is_paused {
            client.pause(&skill("echo"), far).await.expect("paused");
        }
        let mut told = Vec::new();
        let purged = client.purge_queue(&skill("echo"), |so_far| told.push(so_far)).await.expect("purged");
        assert_eq!(purged, Purged { cancelled: 700, had_ended: 0 });
        assert!(!told.is_empty());
        for name in &names {
            let ended = client.result(&skill("echo"), &id(&format!("ops.{name}"))).await.expect("readable");
            let outcome = ended.expect("every task has its outcome").outcome;
            assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Cancelled, 0), "{name}");
        }
        assert_eq!(client.queue(&skill("echo")).await.expect("readable").waiting(), 0);
    }
    client.resume(&skill("echo")).await.expect("resumed");
    fleet.worker("echo", "w1", &[]).await;
    let next = client.submit_and_wait(echo("next"), PATIENCE).await.expect("it ends");
    assert_eq!(next.outcome.kind, OutcomeKind::Completed, "the queue goes on");
    fleet.drained("echo").await;
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_leaves_what_runs() {
    let mut fleet = Fleet::start().await;
    fleet.worker("shell", "w1", &[ALLOW, ("NOVA__WORKER__SLOTS", "1")]).await;
    let client = client(&fleet);
    let marks = tempfile::tempdir().expect("a directory");
    let go = marks.path().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.05; done", go.display());
    client.submit(sh("running", &script)).await.expect("submitted");
    running(&client, "shell").await;
    // One slot and one surplus under lease; what is behind them waits.
    for n in 0..5 {
        client.submit(sh(&format!("w{n}"), "exit 0")).await.expect("submitted");
    }
    let purged = client.purge_queue(&skill("shell"), |_| {}).await.expect("purged");
    assert!((3..=5).contains(&purged.cancelled), "{purged:?}");
    std::fs::write(&go, "").expect("a file");
    let ended = client.wait(&skill("shell"), &id("ops.running"), PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Completed);
    fleet.drained("shell").await;
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 6, "one outcome each");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_a_running_and_an_absent_task_can_be_cancelled() {
    let mut fleet = Fleet::start().await;
    fleet.coordinator().await;
    let client = client(&fleet);
    // Waiting, and no worker there: the coordinator ends it.
    client.submit(sh("waiting", "exit 0")).await.expect("submitted");
    client.cancel(&skill("shell"), &id("ops.waiting")).await.expect("accepted");
    client.cancel(&skill("shell"), &id("ops.absent")).await.expect("accepted");
    for name in ["ops.waiting", "ops.absent"] {
        let ended = client.wait(&skill("shell"), &id(name), PATIENCE).await.expect("it ends");
        assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Cancelled, 0), "{name}");
    }
    // Running: its worker stops it.
    fleet.worker("shell", "w1", &[ALLOW]).await;
    client.submit(sh("running", "sleep 600")).await.expect("submitted");
    running(&client, "shell").await;
    client.cancel(&skill("shell"), &id("ops.running")).await.expect("accepted");
    let ended = client.wait(&skill("shell"), &id("ops.running"), PATIENCE).await.expect("it ends");
    assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Cancelled, 1));
    assert_eq!(ended.outcome.worker.expect("a worker").as_str(), "w1");
    // An id that was cancelled before it came stays cancelled.
    client.submit(sh("absent", "exit 0")).await.expect("submitted");
    fleet.drained("shell").await;
    let ended = client.result(&skill("shell"), &id("ops.absent")).await.expect("readable").expect("ended");
    assert_eq!(ended.outcome.kind, OutcomeKind::Cancelled);
    // An end that stands is not changed by a cancel.
    let done = client.submit_and_wait(sh("done", "exit 0"), PATIENCE).await.expect("it ends");
    client.cancel(&skill("shell"), &id("ops.done")).await.expect("accepted");
    client.cancel(&skill("shell"), &id("ops.last")).await.expect("accepted");
    client.wait(&skill("shell"), &id("ops.last"), PATIENCE).await.expect("it ends");
    let again = client.result(&skill("shell"), &id("ops.done")).await.expect("readable").expect("ended");
    assert_eq!(again.outcome, done.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_task_is_cancelled_without_a_coordinator() {
    let mut fleet = Fleet::start().await;
    let client = client(&fleet);
    client.cancel(&skill("echo"), &id("ops.t")).await.expect("accepted");
    fleet.worker("echo", "w1", &[]).await;
    let ended = client.submit_and_wait(echo("t"), PATIENCE).await.expect("it ends");
    assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Cancelled, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_task_is_a_new_one_with_a_number() {
    let mut fleet = Fleet::start().await;
    fleet.worker("shell", "w1", &[ALLOW]).await;
    let client = client(&fleet);
    let once = TaskOptions { max_attempts: Some(1), ..TaskOptions::default() };
    let task = sh("t", "exit 7").with_options(once).with_priority(Priority::Low);
    let ended = client.submit_and_wait(task, PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Dead);
    fleet.drained("shell").await;
    let letter = client.dead_letter(&skill("shell"), &id("ops.t")).await.expect("it has a letter").letter;

    let first = client.redrive(&letter, Redrive::default()).await.expect("redriven").submitted;
    assert_eq!(first.task, id("ops.t-r1"));
    let ended = client.wait(&skill("shell"), &first.task, PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.code.expect("it failed again").as_str(), "exit");
    let stored =
        fleet.broker.last(first.stream, "nova.task.shell.low".into()).await.expect("readable").expect("stored");
    assert_eq!(stored.headers.get(name::REDRIVE_OF), Some("ops.t"), "in the priority of the original");

    let mended = Payload::json(r#"{"argv": ["sh", "-c", "exit 0"]}"#);
    let second = client.redrive(&letter, Redrive { edit: Some(mended) }).await.expect("redriven").submitted;
    assert_eq!(second.task, id("ops.t-r2"));
    let ended = client.wait(&skill("shell"), &second.task, PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Completed);
    let refused = client.redrive(&letter, Redrive::default()).await.expect_err("it was mended");
    assert!(matches!(&refused, RedriveError::Completed { by, .. } if *by == id("ops.t-r2")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_tasks_come_first_whatever_was_submitted_before() {
    let mut fleet = Fleet::start().await;
    let client = client(&fleet);
    for n in 0..4 {
        for priority in [Priority::Low, Priority::Normal, Priority::High] {
            client.submit(echo(&format!("{priority}-{n}")).with_priority(priority)).await.expect("submitted");
        }
    }
    fleet.worker("echo", "w1", &[("NOVA__WORKER__SLOTS", "1")]).await;
    // Twelve rounds: the sixteenth, which begins with low, is not reached.
    let order: Vec<String> = fleet
        .outcomes("echo", 12, PATIENCE)
        .await
        .iter()
        .map(|stored| parse_outcome(stored.headers.get(name::OUTCOME).expect("a header")).expect("an outcome").task)
        .map(|task| task.name().to_string())
        .collect();
    let expected: Vec<String> =
        ["high", "normal", "low"].iter().flat_map(|word| (0..4).map(move |n| format!("{word}-{n}"))).collect();
    assert_eq!(order, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_pause_between_attempts_goes_through_the_schedules() {
    let mut fleet = Fleet::start().await;
    fleet.coordinator().await;
    fleet.worker("shell", "w1", &[ALLOW]).await;
    let client = client(&fleet);
    let marks = tempfile::tempdir().expect("a directory");
    let mark = marks.path().join("tried").display().to_string();
    // The longest pause that is a delayed redelivery is 30 s; with jitter 62 s are at least 31.
    let pause = Duration::from_secs(62);
    let options = TaskOptions { backoff: Some(Backoff::new(pause, pause)), ..TaskOptions::default() };
    let script = format!("[ -e {mark} ] && exit 0; : > {mark}; exit 9");
    client.submit(sh("slow", &script).with_options(options)).await.expect("submitted");
    let schedule = wait_until("the pause to become a schedule", PATIENCE, || async {
        fleet.broker.last(assets::SCHEDULES.to_owned(), "nova.schedule.shell.ops.slow".into()).await.ok()?
    })
    .await;
    let at = schedule.headers.get(name::SCHEDULE).and_then(|text| text.strip_prefix("@at ")).expect("a moment");
    let at = nova_wire::parse_rfc3339(at).expect("RFC 3339");
    fleet.drained("shell").await;
    let ended = client.wait(&skill("shell"), &id("ops.slow"), PATIENCE + pause).await.expect("it ends");
    assert_eq!((ended.outcome.kind, ended.outcome.attempt), (OutcomeKind::Completed, 2));
    assert!(ended.outcome.started.expect("it ran") >= at, "not before its time");
    fleet.drained("shell").await;
    assert_eq!(fleet.count(assets::SCHEDULES, "nova.schedule.>").await, 0, "what fired is gone");
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
}
