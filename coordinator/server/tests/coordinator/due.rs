//! Delayed and recurring tasks on their way into their queues.

use std::collections::BTreeSet;

use nova_broker::{Expect, Message, Settle};
use nova_testkit::wait_until;
use nova_types::{Generation, Priority};
use nova_wire::{DeadLetter, Headers, Task, assets, name, subject};

use crate::support::{DEADLINE, Fleet, ask, echo, error_code, pull};

async fn later(fleet: &Fleet, id: &str, headers: &[(&str, &str)]) -> Message {
    let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    ask(&fleet.broker, Message::new(format!("nova.later.echo.{id}"), "[7]").with_headers(headers)).await
}

async fn fires_once(mut fleet: Fleet) {
    fleet.start("c1").await;
    fleet.start("c2").await;
    for n in 0..20 {
        let when = [(name::WHEN, "@in 500ms"), (name::PRIORITY, "high"), (name::TIMEOUT, "9s")];
        let answer = later(&fleet, &format!("cli.n{n}"), &when).await;
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("a receipt");
        assert_eq!(body["stream"], assets::SCHEDULES);
    }
    let queue = wait_until("twenty tasks", DEADLINE, async || {
        let queue = fleet.queue().await;
        (queue.len() >= 20).then_some(queue)
    })
    .await;
    let mut ids = BTreeSet::new();
    for stored in &queue {
        let task = Task::parse(&stored.subject, stored.sequence, stored.headers.clone(), stored.body.clone());
        let task = task.expect("a task");
        assert_eq!((task.priority, task.is_republished), (Priority::High, true));
        assert_eq!((stored.headers.get(name::TIMEOUT), &stored.body[..]), (Some("9s"), &b"[7]"[..]));
        assert!(task.headers.get("Nats-Scheduler").is_none());
        ids.insert(task.id.to_string());
    }
    assert_eq!((ids.len(), queue.len()), (20, 20));
    fleet.stop().await;
}

#[tokio::test]
async fn a_delayed_task_reaches_its_queue_once() {
    fires_once(Fleet::real().await).await;
}

#[tokio::test]
async fn a_delayed_task_reaches_its_queue_once_in_memory() {
    fires_once(Fleet::memory().await).await;
}

#[tokio::test]
async fn a_recurring_schedule_fires_tasks_of_their_own() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    fleet.start("c2").await;
    for (id, when, zone) in [("cli.cron", "* * * * * *", Some("Europe/Berlin")), ("cli.every", "@every 1s", None)] {
        let mut headers = vec![(name::WHEN, when)];
        headers.extend(zone.map(|zone| (name::TIME_ZONE, zone)));
        let answer = later(&fleet, id, &headers).await;
        assert_eq!(error_code(&answer), None, "{answer:?}");
    }
    let queue = wait_until("four firings of each", DEADLINE, async || {
        let queue = fleet.queue().await;
        let of = |name: &str| queue.iter().filter(|s| id_of(s).starts_with(name)).count();
        (of("cli.cron-") >= 4 && of("cli.every-") >= 4).then_some(queue)
    })
    .await;
    let ids: BTreeSet<String> = queue.iter().map(id_of).collect();
    assert_eq!(ids.len(), queue.len(), "every firing has an id of its own: {ids:?}");
    for stored in queue.iter().filter(|stored| id_of(stored).starts_with("cli.cron-")) {
        let second: i64 = id_of(stored)["cli.cron-".len()..].parse().expect("seconds");
        assert!((stored.at.0 - second * 1000).abs() < 1000, "{second} {:?}", stored.at);
    }
    fleet.stop().await;
}

fn id_of(stored: &nova_broker::Stored) -> String {
    stored.headers.get(name::ID).expect("an id of Nova").to_owned()
}

#[tokio::test]
async fn a_schedule_of_an_id_is_made_once() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let at = [(name::WHEN, "@at 2040-01-01T00:00:00Z")];
    let first = later(&fleet, "cli.a", &at).await;
    // The same again, after a lost answer, is the same receipt.
    assert_eq!(later(&fleet, "cli.a", &at).await.body, first.body);
    let other = later(&fleet, "cli.a", &[(name::WHEN, "@at 2041-01-01T00:00:00Z")]).await;
    assert_eq!(error_code(&other), Some("409"), "{other:?}");
    let nobody = Message::new("nova.later.nobody.cli.a", "1");
    let nobody = ask(&fleet.broker, nobody.with_headers(Headers::new().with(name::WHEN, "@in 1s"))).await;
    assert_eq!(error_code(&nobody), Some("404"));
    for headers in [
        vec![(name::WHEN, "61 * * * * *")],
        vec![(name::WHEN, "0 * * * *"), (name::TIME_ZONE, "Mars/Olympus")],
        vec![(name::WHEN, "@in 1s"), (name::TIME_ZONE, "UTC")],
    ] {
        assert_eq!(error_code(&later(&fleet, "cli.b", &headers).await), Some("400"), "{headers:?}");
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_retry_that_a_worker_scheduled_keeps_its_id_and_moves_on_when_there_is_room() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    // As full as it gets: the queue refuses what is due, and the task waits.
    let filler: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
    let mut filled = Vec::new();
    loop {
        let message = Message::new(subject::task(&echo(), Priority::Low), filler);
        match fleet.broker.publish(message, Expect::Any).await {
            Ok(receipt) => filled.push(receipt.sequence),
            Err(nova_broker::PublishError::Full { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let id = "cli.again".parse().expect("an id");
    let headers = Task::republished_headers(&Headers::new(), &id, Generation(3))
        .with(name::SCHEDULE, "@at 2020-01-01T00:00:00Z")
        .with(name::SCHEDULE_TARGET, subject::due(&echo(), Priority::Low));
    let body = &filler[..90_000];
    let schedule = Message::new(subject::schedule(&echo(), &id), body).with_headers(headers);
    fleet.broker.publish(schedule, Expect::NOTHING).await.expect("scheduled");
    wait_until("the due task to be put off", DEADLINE, async || {
        let due = fleet.broker.consumer(assets::SCHEDULES.into(), assets::DUE_CONSUMER.into()).await.ok()??;
        (due.redelivered > 0 || due.ack_pending > 0).then_some(())
    })
    .await;
    assert!(fleet.queue().await.iter().all(|stored| stored.headers.get(name::ID).is_none()));
    for delivery in pull(&fleet.broker, Priority::Low, filled.len()).await {
        fleet.broker.settle(&delivery.token, Settle::Ack).await.expect("acked");
    }
    // The trimmer makes room, the due task comes.
    wait_until("the task in its queue", DEADLINE, async || {
        let queue = fleet.queue().await;
        queue.iter().any(|stored| stored.headers.get(name::ID) == Some("cli.again")).then_some(())
    })
    .await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_schedule_may_not_fire_into_another_skills_queue() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let id = "cli.crook".parse().expect("an id");
    let headers = Headers::new()
        .with(name::SCHEDULE, "@at 2020-01-01T00:00:00Z")
        .with(name::SCHEDULE_TARGET, "nova.due.shell.normal");
    let schedule = Message::new(subject::schedule(&echo(), &id), "[1]").with_headers(headers);
    fleet.broker.publish(schedule, Expect::Any).await.expect("scheduled");
    let (outcome, _) = fleet.outcome("cli.crook").await;
    assert_eq!(outcome.code.expect("a code").as_str(), "bad_subject");
    let letter = wait_until("its dead letter", DEADLINE, async || {
        fleet.broker.last(assets::DEAD.to_owned(), subject::dead(&echo(), &id)).await.ok()?
    })
    .await;
    let letter = DeadLetter::parse(&letter.headers, letter.body).expect("a letter");
    assert_eq!((letter.code.as_str(), &letter.body[..]), ("bad_subject", &b"[1]"[..]));
    fleet.stop().await;
}
