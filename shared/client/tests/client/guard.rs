//! Idempotency keys and unique tasks.

use std::time::Duration;

use nova_broker::{Bucket, Expect};
use nova_client::{Client, Guard, Standing, Submit, SubmitError, WaitError};
use nova_types::{OutcomeKind, Scope, TaskId, UnixMillis};
use nova_wire::{KeyRecord, Payload, SubmitKey, assets, name, subject};

use crate::support::{DEADLINE, Fleet, echo, on_both};

const DAY: Duration = Duration::from_secs(24 * 3600);

on_both!(
    a_key_gives_one_task_to_every_client_of_its_scope,
    another_input_under_the_same_key_is_a_conflict,
    a_key_outlives_the_outcome_and_says_so,
    a_waiting_task_is_told_from_a_forgotten_one,
    a_record_left_behind_is_sent_by_whoever_finds_it,
    a_refused_task_frees_its_key,
    a_unique_task_is_there_once_until_it_ends,
    many_at_once_get_one_task,
    waiting_under_a_key_brings_the_one_outcome,
    keys_and_skills_and_scopes_do_not_mix,
);

fn asked(input: u32) -> Submit {
    Submit::json(echo(), &input).expect("encodes")
}

fn other_client(fleet: &Fleet, scope: &str) -> Client {
    Client::new(fleet.broker.clone(), Scope::new(scope).expect("a scope"))
}

fn key(text: &str) -> SubmitKey {
    SubmitKey::new(text).expect("a key")
}

async fn queued(fleet: &Fleet) -> u64 {
    let stream = fleet.broker.stream(assets::tasks_stream(&echo())).await.expect("read").expect("there");
    stream.messages
}

async fn record(fleet: &Fleet, key: &str) -> Option<KeyRecord> {
    let entry = Bucket::new(fleet.broker.clone(), assets::KEYS_BUCKET).get(key).await.expect("read")?;
    Some(serde_json::from_slice(&entry.value).expect("a record"))
}

/// Ends the one task that waits.
async fn end_one(fleet: &Fleet, kind: OutcomeKind) {
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.end(&task, &delivery, kind, Payload::json("7")).await;
    nova_testkit::wait_until("the ack to arrive", DEADLINE, async || {
        let info = fleet.broker.consumer(assets::tasks_stream(&echo()), "normal".into()).await.ok()??;
        (info.ack_pending == 0).then_some(())
    })
    .await;
}

/// Forgets an outcome, as its age does.
async fn forget(fleet: &Fleet, task: &TaskId) {
    let subject = subject::outcome(&echo(), task);
    fleet.broker.purge(assets::OUTCOMES.into(), nova_broker::Purge::Subject(subject)).await.expect("purged");
}

/// A client to which every outcome may have been forgotten already.
fn impatient(fleet: &Fleet) -> Client {
    fleet.client_with(|options| options.outcomes_kept = Duration::ZERO)
}

async fn a_key_gives_one_task_to_every_client_of_its_scope(fleet: Fleet) {
    let first = fleet.client.submit(asked(1).once("order 17", DAY)).await.expect("stored");
    assert_eq!(first.existing, None);
    let again = other_client(&fleet, "cli").submit(asked(1).once("order 17", DAY)).await.expect("found");
    assert_eq!((&again.task, again.existing), (&first.task, Some(Standing::Open)));
    assert_eq!((again.stream, again.sequence), (first.stream, first.sequence));
    end_one(&fleet, OutcomeKind::Completed).await;
    let ended = fleet.client.submit(asked(1).once("order 17", DAY)).await.expect("found");
    assert!(matches!(ended.existing, Some(Standing::Ended(outcome)) if outcome.kind == OutcomeKind::Completed));
    assert_eq!(queued(&fleet).await, 1);
}

async fn another_input_under_the_same_key_is_a_conflict(fleet: Fleet) {
    let first = fleet.client.submit(asked(1).once("k", DAY)).await.expect("stored");
    let error = fleet.client.submit(asked(2).once("k", DAY)).await.expect_err("another input");
    assert_eq!((error.code(), error.is_transient()), ("conflict", false));
    assert!(matches!(&error, SubmitError::Conflict { task, .. } if *task == first.task), "{error}");
    // What is asked for beside the input does not count.
    let urgent = asked(1).with_priority(nova_types::Priority::High).once("k", DAY);
    assert_eq!(fleet.client.submit(urgent).await.expect("found").task, first.task);
    assert_eq!(queued(&fleet).await, 1);
}

async fn a_key_outlives_the_outcome_and_says_so(fleet: Fleet) {
    let first = fleet.client.submit(asked(1).once("k", DAY)).await.expect("stored");
    end_one(&fleet, OutcomeKind::Dead).await;
    // Seen once, its end is remembered with the key.
    fleet.client.submit(asked(1).once("k", DAY)).await.expect("found");
    forget(&fleet, &first.task).await;
    let again = fleet.client.submit(asked(1).once("k", DAY)).await.expect("found");
    let Some(Standing::Forgotten(Some(ended))) = again.existing else { panic!("{:?}", again.existing) };
    assert_eq!((again.task, ended.kind), (first.task, OutcomeKind::Dead));
    let error = fleet.client.submit_and_wait(asked(1).once("k", DAY), DEADLINE).await.expect_err("nothing is kept");
    assert!(matches!(&error, WaitError::Forgotten { ended: Some(ended), .. } if ended.kind == OutcomeKind::Dead));
    assert_eq!((error.code(), queued(&fleet).await), ("outcome_forgotten", 1));
}

async fn a_waiting_task_is_told_from_a_forgotten_one(fleet: Fleet) {
    let client = impatient(&fleet);
    let first = client.submit(asked(1).once("k", DAY)).await.expect("stored");
    let waiting = client.submit(asked(1).once("k", DAY)).await.expect("found");
    assert_eq!(waiting.existing, Some(Standing::Open), "it waits in its queue");
    end_one(&fleet, OutcomeKind::Completed).await;
    forget(&fleet, &first.task).await;
    let ended = client.submit(asked(1).once("k", DAY)).await.expect("found");
    assert_eq!(ended.existing, Some(Standing::Forgotten(None)), "its queue is done with it");
}

async fn a_record_left_behind_is_sent_by_whoever_finds_it(fleet: Fleet) {
    // A submitter that died between the record and the queue, or between the queue and the note of it.
    for (name, was_sent) in [("before", false), ("after", true)] {
        let task: TaskId = format!("cli.{name}").parse().expect("an id");
        let left = KeyRecord {
            task: task.clone(),
            input: KeyRecord::fingerprint(&asked(1).payload),
            outcome_kept_secs: 86_400,
            unsent: Some(nova_wire::Unsent::new(
                nova_types::Priority::Normal,
                &nova_wire::Headers::new(),
                &asked(1).payload.bytes,
            )),
            sent: None,
            ended: None,
        };
        let held = queued(&fleet).await;
        let where_it_is = key(name).once(&echo(), &Scope::new("cli").expect("a scope"));
        let value = serde_json::to_vec(&left).expect("encodes");
        let bucket = Bucket::new(fleet.broker.clone(), assets::KEYS_BUCKET);
        bucket.put(&where_it_is, value, Some(DAY), Expect::NOTHING).await.expect("written");
        if was_sent {
            fleet.client.submit(asked(1).with_id(task.clone())).await.expect("stored");
        }
        for _ in 0..2 {
            let found = fleet.client.submit(asked(1).once(name, DAY)).await.expect("found");
            assert_eq!((found.task, found.existing), (task.clone(), Some(Standing::Open)));
        }
        assert_eq!(queued(&fleet).await, held + 1, "{name}: once in its queue");
        let now = record(&fleet, &where_it_is).await.expect("a record");
        assert!(now.unsent.is_none() && now.sent.is_some(), "{now:?}");
    }
}

async fn a_refused_task_frees_its_key(fleet: Fleet) {
    let small = nova_types::Skill::new("small").expect("a skill");
    fleet.add_skill(&small, 1).await;
    let ask = |n: u32| Submit::json(small.clone(), &n).expect("encodes");
    fleet.client.submit(ask(0)).await.expect("there is room");
    let error = fleet.client.submit(ask(1).once("k", DAY)).await.expect_err("it is full");
    assert_eq!(error.code(), "full_backlog");
    // Nobody is told of a task that was never taken, and the key is free for another input.
    let error = fleet.client.submit(ask(2).once("k", DAY)).await.expect_err("it is full");
    assert_eq!(error.code(), "full_backlog");
}

async fn a_unique_task_is_there_once_until_it_ends(fleet: Fleet) {
    let first = fleet.client.submit(asked(1).unique("nightly")).await.expect("stored");
    let second = fleet.client.submit(asked(2).unique("nightly")).await.expect("found");
    assert_eq!((&second.task, second.existing), (&first.task, Some(Standing::Open)));
    end_one(&fleet, OutcomeKind::Completed).await;
    let third = impatient(&fleet).submit(asked(3).unique("nightly")).await.expect("stored");
    assert!(third.existing.is_none() && third.task != first.task);
    // Also after the outcome of the one before is forgotten.
    end_one(&fleet, OutcomeKind::Cancelled).await;
    forget(&fleet, &third.task).await;
    let fourth = impatient(&fleet).submit(asked(4).unique("nightly")).await.expect("stored");
    assert!(fourth.existing.is_none() && fourth.task != third.task);
    assert_eq!(queued(&fleet).await, 3);
}

async fn many_at_once_get_one_task(fleet: Fleet) {
    for guard in [Guard::Once { key: "k".into(), ttl: DAY }, Guard::Unique { key: "k".into() }] {
        let held = queued(&fleet).await;
        let all = (0..20).map(|_| {
            let (client, guard) = (other_client(&fleet, "cli"), guard.clone());
            async move { client.submit(Submit { guard: Some(guard), ..asked(1) }).await }
        });
        let answers: Vec<_> =
            futures_util::future::join_all(all).await.into_iter().map(|a| a.expect("answered")).collect();
        assert!(answers.iter().all(|answer| answer.task == answers[0].task), "{answers:?}");
        assert_eq!(queued(&fleet).await, held + 1);
    }
}

async fn waiting_under_a_key_brings_the_one_outcome(fleet: Fleet) {
    let working = fleet.worker().run();
    for _ in 0..3 {
        let ended = fleet.client.submit_and_wait(asked(5).once("k", DAY), DEADLINE).await.expect("it ends");
        assert_eq!(ended.result::<u32>().expect("a number"), Some(5));
    }
    working.abort();
    assert_eq!(queued(&fleet).await, 1);
    let noted = record(&fleet, "once.echo.cli.k").await.expect("a record");
    assert_eq!(noted.ended.map(|ended| ended.kind), Some(OutcomeKind::Completed));
}

async fn keys_and_skills_and_scopes_do_not_mix(fleet: Fleet) {
    let first = fleet.client.submit(asked(1).once("k", DAY)).await.expect("stored");
    let unique = fleet.client.submit(asked(1).unique("k")).await.expect("stored");
    let elsewhere = other_client(&fleet, "shop").submit(asked(1).once("k", DAY)).await.expect("stored");
    assert!(first.existing.is_none() && unique.existing.is_none() && elsewhere.existing.is_none());
    for bad in [asked(1).once("", DAY), asked(1).once("k", Duration::from_secs(1)), asked(1).unique("a\nb")] {
        assert_eq!(fleet.client.submit(bad).await.expect_err("refused").code(), "bad_task");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_left_behind_for_long_is_sent_as_a_generation() {
    let fleet = Fleet::in_memory().await;
    let memory = fleet.memory.as_ref().expect("in memory");
    // The record is written, and then every receipt is lost: the task may be in its queue or not.
    let left = KeyRecord {
        task: "cli.left".parse().expect("an id"),
        input: KeyRecord::fingerprint(&asked(1).payload),
        outcome_kept_secs: 86_400,
        unsent: Some(nova_wire::Unsent::new(
            nova_types::Priority::Normal,
            &nova_wire::Headers::new(),
            &asked(1).payload.bytes,
        )),
        sent: None,
        ended: None,
    };
    let bucket = Bucket::new(fleet.broker.clone(), assets::KEYS_BUCKET);
    let value = serde_json::to_vec(&left).expect("encodes");
    bucket.put("once.echo.cli.k", value, Some(DAY), Expect::NOTHING).await.expect("written");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let found = fleet.client.submit(asked(1).once("k", DAY)).await.expect("found");
    let stored = fleet.broker.get(found.stream, found.sequence).await.expect("read").expect("there");
    assert_eq!(stored.headers.get(name::MSG_ID), Some("cli.left~1"), "a worker looks for an outcome before it starts");
    assert_eq!(stored.headers.get(name::ID), Some("cli.left"));
    assert!(memory.now() > UnixMillis(0));
}

#[tokio::test]
async fn a_lost_receipt_of_the_record_changes_nothing() {
    let fleet = Fleet::in_memory().await;
    fleet.memory.as_ref().expect("in memory").faults().lose_receipts(1);
    let first = fleet.client.submit(asked(1).once("k", DAY)).await.expect("stored");
    assert_eq!(first.existing, None, "the record it found was its own");
    assert_eq!(queued(&fleet).await, 1);
}
