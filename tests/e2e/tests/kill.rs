//! Workers killed and stopped at every point of a task's life: always exactly one outcome.

use std::path::Path;
use std::time::Duration;

use nova_broker::{Expect, Message};
use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::OutcomeKind;
use nova_wire::{Headers, assets, name, parse_outcome};

/// A worker that reaches a failpoint says so by a file before it acts.
async fn reached(marks: &Path, point: &str) {
    wait_until(format!("failpoint {point}"), PATIENCE, || async {
        let names = std::fs::read_dir(marks).ok()?.flatten().map(|entry| entry.file_name());
        names.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with(point)).map(|_| ())
    })
    .await;
}

/// Kills a worker at a point; a second one must bring the task to its one outcome.
async fn killed_at(point: &str) {
    let mut fleet = Fleet::start().await;
    let marks = tempfile::tempdir().expect("a directory");
    let failpoint = format!("{point}=kill");
    let env = [("NOVA_FAILPOINT", failpoint.as_str()), ("NOVA_FAILPOINT_MARK", marks.path().to_str().expect("UTF-8"))];
    let victim = fleet.worker("echo", "victim", &env).await;
    fleet.request("nova.task.echo", &[("Nats-Msg-Id", "t")], r#"{"n":1}"#).await;
    reached(marks.path(), point).await;
    let status = fleet.process(victim).wait_exit(PATIENCE).await;
    assert!(!status.success(), "the victim was killed");
    let before = fleet.count(assets::OUTCOMES, "nova.outcome.>").await;

    fleet.worker("echo", "heir", &[("NOVA__SERVE__LISTEN", "127.0.0.1:0")]).await;
    // The lease of the dead worker must end before the broker delivers again.
    wait_until("a redelivery", PATIENCE, || async {
        let seen = fleet.metric("heir", "nova_redeliveries_total{skill=\"echo\"}").await;
        (seen > 0.0).then_some(())
    })
    .await;
    let (outcome, stored) = fleet.outcome("echo", "_.t").await;
    fleet.drained("echo").await;
    assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Completed, 1), "a crash uses up no attempt");
    assert_eq!(&stored.body[..], br#"{"n":1}"#);
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
    let by = outcome.worker.expect("a worker recorded it").to_string();
    let expected = if before == 1 { "victim" } else { "heir" };
    assert_eq!(by, expected, "an outcome that stands is never run again");
}

#[tokio::test]
async fn a_worker_killed_before_start_loses_nothing() {
    killed_at("before-start").await;
}

#[tokio::test]
async fn a_worker_killed_mid_work_loses_nothing() {
    killed_at("mid-work").await;
}

#[tokio::test]
async fn a_worker_killed_between_outcome_and_ack_runs_nothing_twice() {
    killed_at("after-outcome").await;
}

#[tokio::test]
async fn a_zombie_is_fenced() {
    let mut fleet = Fleet::start().await;
    let marks = tempfile::tempdir().expect("a directory");
    let env = [("NOVA_FAILPOINT", "mid-work=stop"), ("NOVA_FAILPOINT_MARK", marks.path().to_str().expect("UTF-8"))];
    let zombie = fleet.worker("echo", "zombie", &env).await;
    fleet.request("nova.task.echo", &[("Nats-Msg-Id", "z")], "1").await;
    reached(marks.path(), "mid-work").await;

    // Past the lease another worker gets the task and records it; only then does the zombie wake.
    fleet.worker("echo", "heir", &[]).await;
    let (outcome, _) = fleet.outcome("echo", "_.z").await;
    assert_eq!(outcome.worker.expect("a worker").as_str(), "heir");
    fleet.process(zombie).cont();

    let event = wait_until("the event that the zombie was fenced", PATIENCE, || async {
        let subject = "nova.event.task.fenced.echo._.z".to_owned();
        fleet.broker.last(assets::EVENTS.to_owned(), subject).await.ok()?
    })
    .await;
    let event: nova_wire::TaskEventRecord = serde_json::from_slice(&event.body).expect("an event");
    assert_eq!(event.worker.expect("a worker").as_str(), "zombie");
    fleet.drained("echo").await;
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await, 1);
}

#[tokio::test]
async fn ten_thousand_tasks_survive_workers_killed_at_random() {
    const TASKS: usize = 10_000;
    let mut fleet = Fleet::start().await;
    let seed: u64 = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut workers = Vec::new();
    for n in 0..3 {
        workers.push(fleet.worker("echo", &format!("w{n}"), &[]).await);
    }
    let broker = fleet.broker.clone();
    let submitting = tokio::spawn(async move {
        // Slowly enough that the killings fall among them.
        for n in 0..TASKS {
            let headers = Headers::new().with(name::MSG_ID, format!("kill.t{n}"));
            let message = Message::new("nova.task.echo", format!("{n}")).with_headers(headers);
            broker.publish(message, Expect::Any).await.expect("the broker is up");
        }
    });
    let mut kills = 0;
    let mut generation = 3;
    let done = |fleet: &Fleet| {
        let broker = fleet.broker.clone();
        async move { broker.stream(assets::OUTCOMES.to_owned()).await.ok().flatten().map_or(0, |info| info.messages) }
    };
    let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
    while done(&fleet).await < TASKS as u64 {
        assert!(tokio::time::Instant::now() < deadline, "only {} outcomes after {kills} kills", done(&fleet).await);
        if kills < 30 {
            // The pause between kills is the fault's own rhythm, no wait for a state.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let victim = random.usize(..workers.len());
            fleet.process(workers[victim]).kill9();
            kills += 1;
            workers[victim] = fleet.spawn("nova-echo", &format!("w{generation}"), &[]);
            generation += 1;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    submitting.await.expect("all were submitted");
    fleet.drained("echo").await;
    let outcomes = fleet.outcomes("echo", TASKS, PATIENCE).await;
    assert_eq!(outcomes.len(), TASKS, "one outcome each, seed {seed}");
    for stored in outcomes {
        let outcome = parse_outcome(stored.headers.get(name::OUTCOME).expect("a header")).expect("an outcome");
        assert_eq!(outcome.kind, OutcomeKind::Completed, "{outcome:?}, seed {seed}");
        let n = outcome.task.name().as_str().trim_start_matches('t').to_owned();
        assert_eq!(&stored.body[..], n.as_bytes(), "the right result, seed {seed}");
    }
    assert_eq!(fleet.count(assets::DEAD, "nova.dead.>").await, 0);
    assert!(kills >= 3, "the workers were killed {kills} times");
}
