//! Submitting.

use nova_client::{FullCause, Submit, SubmitError};
use nova_types::{Priority, Skill};
use nova_wire::{ContentType, Payload, assets, limits, name};

use crate::support::{Fleet, echo, id, on_both, task};

on_both!(
    a_task_is_stored_under_its_id_once,
    an_unknown_skill_names_the_known_ones,
    a_full_queue_says_what_fills_it,
    a_large_payload_travels_through_the_object_store,
    a_bulk_submit_answers_for_each_task,
);

async fn a_task_is_stored_under_its_id_once(fleet: Fleet) {
    let asked = task("a", &1).with_priority(Priority::High);
    let first = fleet.client.submit(asked.clone()).await.expect("stored");
    assert_eq!((first.task.to_string().as_str(), first.is_duplicate), ("cli.a", false));
    let second = fleet.client.submit(asked).await.expect("a duplicate is no error");
    assert_eq!((second.sequence, second.is_duplicate), (first.sequence, true));
    let stored = fleet.broker.get(first.stream, first.sequence).await.expect("read").expect("there");
    assert_eq!(stored.subject, "nova.task.echo.high");
    assert_eq!(stored.headers.iter().collect::<Vec<_>>(), [(name::MSG_ID, "cli.a")]);
    let unnamed = fleet.client.submit(Submit::json(echo(), &1).expect("encodes")).await.expect("stored");
    assert_eq!(unnamed.task.scope().as_str(), "cli");
}

async fn an_unknown_skill_names_the_known_ones(fleet: Fleet) {
    let asked = Submit::json(Skill::new("ecko").expect("a skill"), &1).expect("encodes");
    let error = fleet.client.submit(asked).await.expect_err("there is no queue");
    assert_eq!(error.to_string(), "no queue for skill `ecko`: is it provisioned? known skills: echo");
    assert_eq!((error.code(), error.is_transient()), ("no_queue", false));
}

async fn a_full_queue_says_what_fills_it(fleet: Fleet) {
    let small = Skill::new("small").expect("a skill");
    fleet.add_skill(&small, 3).await;
    let asked = || Submit::json(small.clone(), &1).expect("encodes");
    for _ in 0..3 {
        fleet.client.submit(asked()).await.expect("there is room");
    }
    let cause = async || match fleet.client.submit(asked()).await {
        Err(SubmitError::Full { cause, .. }) => Some(cause),
        other => panic!("not full: {other:?}"),
    };
    assert_eq!(cause().await, Some(FullCause::Backlog));
    let worker = crate::support::MiniWorker { skill: small.clone(), ..fleet.worker() };
    for (task, delivery) in worker.take(3).await {
        worker.echo(&task, &delivery).await;
    }
    nova_testkit::wait_until("only history left", crate::support::DEADLINE, async || {
        cause().await.filter(|cause| *cause == FullCause::History)
    })
    .await;
}

async fn a_large_payload_travels_through_the_object_store(fleet: Fleet) {
    let text = "x".repeat(limits::INLINE_BYTES * 2);
    let large = Submit::new(echo(), Payload::encode(ContentType::MsgPack, &text).expect("encodes"));
    let submitted = fleet.client.submit(large).await.expect("stored");
    let stored = fleet.broker.get(submitted.stream, submitted.sequence).await.expect("read").expect("there");
    assert!(stored.body.is_empty() && stored.headers.get(name::BLOB).is_some());
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.echo(&task, &delivery).await;
    let outcome = fleet.client.wait(&echo(), &submitted.task, crate::support::DEADLINE).await.expect("it ended");
    assert_eq!(outcome.result::<String>().expect("a text"), Some(text));
    let huge = Submit::new(echo(), Payload::json(format!("\"{}\"", "x".repeat(4096))));
    let client = fleet.client_with(|options| {
        options.inline_bytes = 1024;
        options.blob_limit_bytes = 2048;
    });
    assert_eq!(client.submit(huge).await.expect_err("too large").code(), "too_large");
}

async fn a_bulk_submit_answers_for_each_task(fleet: Fleet) {
    let tasks = (0..1000).map(|n| {
        let input = if n == 500 { Payload::json("{") } else { Payload::json("1") };
        Submit::new(echo(), input).with_id(id(&format!("cli.t{n}")))
    });
    let mut told = Vec::new();
    let answers = fleet.client.submit_all(tasks, |so_far| told.push(so_far)).await;
    let failed: Vec<usize> = answers.iter().enumerate().filter(|(_, a)| a.is_err()).map(|(n, _)| n).collect();
    assert_eq!((answers.len(), failed), (1000, vec![500]));
    assert_eq!(answers[7].as_ref().expect("stored").task, id("cli.t7"));
    assert_eq!(told.last().map(|so_far| (so_far.submitted, so_far.failed)), Some((999, 1)));
    let stream = fleet.broker.stream(assets::tasks_stream(&echo())).await.expect("read").expect("there");
    assert_eq!(stream.messages, 999);
}

#[tokio::test]
async fn a_lost_receipt_is_asked_for_again() {
    let fleet = Fleet::in_memory().await;
    fleet.memory.as_ref().expect("in memory").faults().lose_receipts(1);
    let submitted = fleet.client.submit(task("a", &1)).await.expect("the second receipt came");
    assert!(!submitted.is_duplicate, "the first copy was its own");
    let stream = fleet.broker.stream(submitted.stream).await.expect("read").expect("there");
    assert_eq!(stream.messages, 1);
    fleet.memory.as_ref().expect("in memory").faults().lose_receipts(1);
    let client = fleet.client_with(|options| options.receipt_tries = 1);
    let error = client.submit(task("b", &1)).await.expect_err("no receipt at all");
    assert_eq!((error.code(), error.is_transient()), ("no_receipt", true));
}
