//! Items in bundles: packed, run, told one by one, and redriven.

use futures_util::{StreamExt as _, stream};
use nova_client::{Bundling, Redrive, Submit, SubmitError};
use nova_types::{ItemCount, Outcome, OutcomeKind};
use nova_wire::{
    ContentType, DeadLetter, ErrorBody, ItemEnd, Payload, Task, TaskOptions, name, split_bundle, write_ends,
};
use serde_json::json;

use crate::support::{DEADLINE, Fleet, MiniWorker, echo, id, on_both, task};

on_both!(
    each_item_has_its_own_answer_in_order,
    a_bundle_without_a_queue_is_the_answer_of_each_of_its_items,
    a_body_that_is_no_such_bundle_is_refused,
    a_letter_of_items_is_redriven_as_a_smaller_bundle,
);

/// Works bundles until it is dropped: gives back each item, but for those that say `bad`.
fn work(worker: MiniWorker) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (task, delivery) = worker.take_one().await;
            let inputs = split_bundle(&task.payload, task.options.bundle.expect("a bundle")).expect("a bundle");
            let content_type = task.payload.content_type;
            let end = |input: Payload| {
                if input.to_json().expect("a value") != json!("bad") {
                    return ItemEnd { kind: OutcomeKind::Completed, attempt: 1, body: input };
                }
                let body = Payload::encode(content_type, &ErrorBody::new("bad", "never")).expect("encodes");
                ItemEnd { kind: OutcomeKind::Dead, attempt: 2, body }
            };
            let ends: Vec<ItemEnd> = inputs.into_iter().map(end).collect();
            let failed = ends.iter().filter(|end| end.kind == OutcomeKind::Dead).count();
            let counted = ItemCount {
                items: u32::try_from(ends.len()).expect("few"),
                failed: u32::try_from(failed).expect("few"),
                cancelled: 0,
            };
            worker.end_counted(&task, &delivery, write_ends(content_type, ends.iter()), counted).await;
        }
    })
}

async fn each_item_has_its_own_answer_in_order(fleet: Fleet) {
    let worker = work(fleet.worker());
    for content_type in [ContentType::Json, ContentType::MsgPack] {
        let item = |n: u32| match n {
            7 => Payload::encode(content_type, "bad").expect("encodes"),
            n => Payload::encode(content_type, &n).expect("encodes"),
        };
        let how = Bundling::new(echo(), 10);
        let items = stream::iter((0..25).map(item).collect::<Vec<_>>());
        let ends: Vec<_> = fleet.client.run_bundled(how, items, DEADLINE).collect().await;
        assert_eq!(ends.len(), 25);
        for (n, end) in (0..).zip(ends) {
            let end = end.expect("it ended");
            assert_eq!(end.item, n % 10);
            match end.result::<u32>() {
                Ok(result) => assert_eq!(result, n),
                Err(error) => assert_eq!((n, error.code(), end.end.attempt), (7, "bad", 2)),
            }
        }
    }
    let how = Bundling::new(echo(), 3).named(id("cli.again"));
    let items = || stream::iter(vec![Payload::json("1"); 5]);
    let sent: Vec<_> = fleet.client.submit_bundled(how.clone(), items()).collect().await;
    let told: Vec<String> =
        sent.into_iter().map(|sent| sent.expect("stored")).map(|sent| format!("{}/{}", sent.task, sent.item)).collect();
    assert_eq!(told, ["cli.again-0/0", "cli.again-0/1", "cli.again-0/2", "cli.again-3/0", "cli.again-3/1"]);
    let again: Vec<_> = fleet.client.submit_bundled(how, items()).collect().await;
    assert!(again.into_iter().all(|sent| sent.expect("stored").is_duplicate));
    worker.abort();
}

async fn a_bundle_without_a_queue_is_the_answer_of_each_of_its_items(fleet: Fleet) {
    let how = Bundling::new("other".parse().expect("a skill"), 2);
    let items = stream::iter(vec![Payload::json("1"); 3]);
    let answers: Vec<_> = fleet.client.submit_bundled(how, items).collect().await;
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| matches!(answer, Err(error) if error.code() == "no_queue")));
}

async fn a_body_that_is_no_such_bundle_is_refused(fleet: Fleet) {
    let bundle = |body: &'static str, items| {
        let options = TaskOptions { bundle: Some(items), ..TaskOptions::default() };
        Submit { payload: Payload::json(body), ..task("b", &1).with_options(options) }
    };
    for (body, items, code) in
        [("[1,2]", 3, "bad_task"), ("{}", 1, "bad_task"), ("[1", 1, "bad_input"), ("[]", 0, "bad_task")]
    {
        let refused: SubmitError = fleet.client.submit(bundle(body, items)).await.expect_err("it is none");
        assert_eq!(refused.code(), code, "{body}: {refused}");
    }
    fleet.client.submit(bundle("[1,2]", 2)).await.expect("it is one");
}

async fn a_letter_of_items_is_redriven_as_a_smaller_bundle(fleet: Fleet) {
    let options = TaskOptions { bundle: Some(3), ..TaskOptions::default() };
    let asked = Submit { payload: Payload::json(r#"["a","bad","c"]"#), ..task("b", &1).with_options(options) };
    fleet.client.submit(asked).await.expect("stored");
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    let mut headers = delivery.headers.clone();
    headers.set(name::BUNDLE, "1");
    headers.set(name::ITEMS, "1");
    let letter = DeadLetter {
        code: "bad".into(),
        task: task.id.clone(),
        skill: task.skill.clone(),
        attempts: 1,
        stream: "NOVA_TASKS_echo".into(),
        sequence: delivery.sequence,
        history: "[]".into(),
        headers,
        body: r#"["bad"]"#.into(),
    };
    let counted = ItemCount { items: 3, failed: 1, cancelled: 0 };
    let body = Payload::json(r#"[{"result":1},{"error":{"code":"bad","message":""}},{"result":3}]"#);
    let outcome: Outcome = worker.end_counted(&task, &delivery, body, counted).await;
    assert_eq!(outcome.items, Some(counted));
    let again = fleet.client.redrive(&letter, Redrive::default()).await.expect("stored").submitted.task;
    let (redriven, delivery) = worker.take_one().await;
    assert_eq!((redriven.id.clone(), redriven.options.bundle), (again, Some(1)));
    assert_eq!((&redriven.payload.bytes[..], redriven.headers.get(name::ITEMS)), (&br#"["bad"]"#[..], Some("1")));
    worker.end(&redriven, &delivery, OutcomeKind::Dead, Payload::json("{}")).await;
    // Edited, it is counted anew; what is no list is refused.
    let edit = |body: &'static str| Redrive { edit: Some(Payload::json(body)) };
    assert_eq!(fleet.client.redrive(&letter, edit("7")).await.expect_err("no list").code(), "bad_task");
    fleet.client.redrive(&letter, edit("[1,2,3]")).await.expect("stored");
    let (edited, _): (Task, _) = worker.take_one().await;
    assert_eq!(edited.options.bundle, Some(3));
}
