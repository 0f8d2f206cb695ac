//! Every role lives within its permission template; `denials.rs` shows that it can do nothing beside it.

use std::time::Duration;

use futures_util::StreamExt as _;
use nova_broker::Message;
use nova_client::{Redrive, Submit};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::{Backoff, OutcomeKind, Skill, TaskId, TaskState};
use nova_wire::{ScheduleSpec, TaskOptions, assets};
use serde_json::json;

fn skill(name: &str) -> Skill {
    Skill::new(name).expect("a valid skill")
}

fn id(text: &str) -> TaskId {
    text.parse().expect("a valid id")
}

fn sh(name: &str, script: &str) -> Submit {
    let task = Submit::json(skill("shell"), &json!({"argv": ["sh", "-c", script]})).expect("encodes");
    task.with_id(id(&format!("cli7.{name}")))
}

/// A coordinator that does all its rounds within a second, and where it serves its metrics.
async fn coordinator(fleet: &mut Fleet) -> usize {
    let env = [
        ("NOVA__COORDINATOR__SWEEP_SECS", "1"),
        ("NOVA__COORDINATOR__TRIM_SECS", "1"),
        ("NOVA__COORDINATOR__WATCH_SECS", "1"),
        ("NOVA__COORDINATOR__CANARY_SECS", "2"),
    ];
    let index = fleet.spawn_as("nova-coordinator", "c1", &env);
    fleet.coordinates().await;
    index
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_fleet_lives_within_its_permissions() {
    let mut fleet = Fleet::with_users().await;
    let echo = fleet.spawn_as("nova-echo", "w1", &[]);
    let shell = fleet.spawn_as("nova-shell", "w2", &[("NOVA__SHELL__ALLOW_ALL", "true")]);
    fleet.present("w1").await;
    fleet.present("w2").await;
    let coordinating = coordinator(&mut fleet).await;
    let submitter = fleet.login("cli7").await;
    let operator = fleet.login("boss").await;
    let viewer = fleet.login("v1").await;
    let (client, boss) = (submitter.client("cli7"), operator.client("ops"));

    // Submit, wait, read the result again; inline and through the object store, both ways.
    for size in [10, 400_000] {
        let text = "x".repeat(size);
        let task = Submit::json(skill("echo"), &text).expect("encodes").with_id(id(&format!("cli7.size-{size}")));
        let ended = client.submit_and_wait(task, PATIENCE).await.expect("it ends");
        assert_eq!(ended.result::<String>().expect("a text").expect("completed"), text);
        let again = client.result(&skill("echo"), &ended.outcome.task).await.expect("readable").expect("it ended");
        assert_eq!(again, ended);
    }

    // A running task is cancelled by its worker, one that never came by the coordinator.
    client.submit(sh("running", "sleep 60")).await.expect("submitted");
    wait_until("the task to run", PATIENCE, || async {
        (boss.queue(&skill("shell")).await.ok()?.running() == 1).then_some(())
    })
    .await;
    for name in ["cli7.running", "cli7.never"] {
        client.cancel(&skill("shell"), &id(name)).await.expect("accepted");
        let ended = client.wait(&skill("shell"), &id(name), PATIENCE).await.expect("it ends");
        assert_eq!(ended.outcome.kind, OutcomeKind::Cancelled, "{name}");
    }

    // A long pause between attempts becomes a schedule, which a cancel withdraws.
    let backoff = Some(Backoff::new(Duration::from_secs(600), Duration::from_secs(600)));
    let slow = sh("slow", "exit 1").with_options(TaskOptions { backoff, ..TaskOptions::default() });
    client.submit(slow).await.expect("submitted");
    let scheduled = || fleet.broker.last(assets::SCHEDULES.to_owned(), "nova.schedule.shell.cli7.slow".to_owned());
    wait_until("the pause to become a schedule", PATIENCE, || async { scheduled().await.ok()?.map(|_| ()) }).await;
    client.cancel(&skill("shell"), &id("cli7.slow")).await.expect("accepted");
    let ended = client.wait(&skill("shell"), &id("cli7.slow"), PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Cancelled);
    wait_until("the schedule to be gone", PATIENCE, || async { scheduled().await.ok()?.is_none().then_some(()) }).await;

    // A dead task has its letter, which its submitter reads and an operator redrives.
    let mut events =
        submitter.broker.listen("nova.event.task.*.*.cli7.*".to_owned(), None).await.expect("a submitter listens");
    let once = TaskOptions { max_attempts: Some(1), ..TaskOptions::default() };
    let ended = client.submit_and_wait(sh("dead", "exit 3").with_options(once), PATIENCE).await.expect("it ends");
    assert_eq!(ended.outcome.kind, OutcomeKind::Dead);
    let letter = client.dead_letter(&skill("shell"), &id("cli7.dead")).await.expect("it has a letter").letter;
    assert_eq!(letter.code.as_str(), "exit");
    let redriven = boss.redrive(&letter, Redrive::default()).await.expect("an operator redrives");
    assert_eq!(redriven.submitted.task, id("cli7.dead-r1"));
    client.wait(&skill("shell"), &id("cli7.dead-r1"), PATIENCE).await.expect("it ends");

    // What a submitter hears and reads of a task that ended.
    let told = tokio::time::timeout(PATIENCE, events.next()).await.expect("events are told").expect("the server is up");
    assert_eq!(told.subject, "nova.event.task.dead.shell.cli7.dead");
    let kept = submitter.broker.last(assets::EVENTS.to_owned(), told.subject).await.expect("a submitter reads");
    assert_eq!(kept.expect("it is stored").body, told.body);
    let view = client.show(&skill("shell"), &id("cli7.dead")).await.expect("shown");
    assert_eq!((view.state, view.attempts.map(|record| record.failed)), (TaskState::Dead, Some(1)));
    assert!(view.dead.is_some());

    // Through the coordinators: later, and ask and wait.
    let later = Submit::json(skill("echo"), &7).expect("encodes").with_id(id("cli7.later"));
    client.schedule(later, ScheduleSpec::In(Duration::from_secs(1)), None).await.expect("scheduled");
    let ended = client.wait(&skill("echo"), &id("cli7.later"), PATIENCE).await.expect("it ends");
    assert_eq!(ended.result::<u32>().expect("a number"), Some(7));
    let call = Message::new("nova.call.echo", "[1]");
    let answer = submitter.broker.ask(call, PATIENCE).await.expect("a coordinator answers");
    assert_eq!(&answer.body[..], b"[1]");

    // The coordinator's rounds look at a queue that waits, and send canaries.
    boss.pause(&skill("http"), view.now.plus(Duration::from_secs(3600))).await.expect("an operator pauses");
    client.submit(Submit::json(skill("http"), &json!({})).expect("encodes")).await.expect("submitted");
    wait_until("a canary to have flown", PATIENCE, || async {
        let flown = fleet.broker.scan(nova_broker::Scan::all(assets::OUTCOMES, "nova.outcome.echo.canary.*", 1)).await;
        (!flown.ok()?.is_empty()).then_some(())
    })
    .await;
    let looked = viewer.client("view");
    assert_eq!(looked.queue(&skill("http")).await.expect("a viewer looks").waiting(), 1);
    assert_eq!(looked.workers().await.expect("a viewer looks").len(), 2);
    assert_eq!(looked.show(&skill("shell"), &id("cli7.dead")).await.expect("a viewer looks").state, TaskState::Dead);
    boss.purge_queue(&skill("http"), |_| {}).await.expect("an operator purges");

    // Drained by its key; the others by the signal.
    boss.drain_worker(&nova_types::WorkerId::new("w1").expect("an id")).await.expect("an operator drains");
    assert!(fleet.process(echo).wait_exit(PATIENCE).await.success());
    for index in [shell, coordinating] {
        fleet.process(index).term();
        assert!(fleet.process(index).wait_exit(PATIENCE).await.success());
    }
    assert_eq!(looked.workers().await.expect("a viewer looks"), [], "who leaves says so");
    assert_eq!(fleet.violations(), [""; 0]);
    for (login, who) in [(&submitter, "submitter"), (&operator, "operator"), (&viewer, "viewer")] {
        assert_eq!(login.complaints(), [""; 0], "{who}");
    }
}
