//! Maps whose items are bundled: one task for many of them, and the ends of all of them in one outcome.

use nova_types::OutcomeKind;
use nova_wire::{Headers, name};
use nova_workflow::Event;
use serde_json::{Value, json};

use super::support::{
    Bundles, cancel, copies, ended, history, order, put, start, start_with, until, worker, worker_with,
};
use crate::support::Fleet;

/// A map over the run's input in bundles, which comes to the results and how many items failed.
fn bundled(more: Value) -> Value {
    let mut map = json!({"over": "input", "do": {"skill": "echo", "input": {"n": "${item}"}}});
    map.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    let result = json!({"all": "${steps.each.result.map(r, r == null ? -1 : r.n)}", "failed": "${steps.each.failed}"});
    json!({"workflow": "packed", "steps": {"each": {"map": map}}, "result": result})
}

/// Gives back what it was given; what is divisible by seven it cannot.
fn but_sevens(input: Value) -> Result<Value, String> {
    if input["n"].as_u64().is_some_and(|n| n % 7 == 0) { Err("seven".to_owned()) } else { Ok(input) }
}

async fn maps(mut fleet: Fleet, coordinators: usize, count: u32) {
    for n in 0..coordinators {
        fleet.start(&format!("c{n}")).await;
    }
    let worker = worker(&fleet, "echo", but_sevens).await;
    put(&fleet, bundled(json!({"bundle": 50, "tolerate": "20%"}))).await;
    let items: Vec<u32> = (0..count).collect();
    start(&fleet, "cli.packed", json!({"workflow": "packed", "input": items})).await;
    let (outcome, result) = ended(&fleet, "cli.packed").await;
    let expect: Vec<i64> = (0..i64::from(count)).map(|n| if n % 7 == 0 { -1 } else { n }).collect();
    assert_eq!((outcome.kind, &result["all"]), (OutcomeKind::Completed, &json!(expect)));
    assert_eq!(result["failed"], json!(count.div_ceil(7)));
    history(&fleet, "cli-packed").await;
    let copies = copies(&fleet, "echo").await;
    assert_eq!(copies.len(), count.div_ceil(50) as usize, "one task for fifty items");
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_bundled_map_counts_every_item() {
    maps(Fleet::real().await, 2, 1_000).await;
}

#[tokio::test]
async fn a_bundled_map_counts_every_item_in_memory() {
    maps(Fleet::memory().await, 1, 130).await;
}

#[tokio::test]
async fn a_bundle_that_cannot_be_submitted_fails_all_of_its_items() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    let mut workflow = bundled(json!({"bundle": 2, "tolerate": "all"}));
    workflow["steps"]["each"]["map"]["do"]["skill"] = json!("nobody-has-it");
    put(&fleet, workflow).await;
    start(&fleet, "cli.packed", json!({"workflow": "packed", "input": [1, 2, 3]})).await;
    let (_, result) = ended(&fleet, "cli.packed").await;
    assert_eq!(result, json!({"all": [-1, -1, -1], "failed": 3}));
    fleet.stop().await;
}

#[tokio::test]
async fn many_ends_at_once_are_recorded_in_portions() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    let mut workflow = bundled(json!({"bundle": 400, "tolerate": "all"}));
    workflow["steps"]["each"]["map"]["do"]["skill"] = json!("nobody-has-it");
    put(&fleet, workflow).await;
    let items = vec![0; 2_400];
    start(&fleet, "cli.packed", json!({"workflow": "packed", "input": items})).await;
    let (_, result) = ended(&fleet, "cli.packed").await;
    assert_eq!(result["failed"], json!(2_400));
    let ends = |event: &Event| if let Event::Items(items) = event { items.failed.len() } else { 0 };
    let transitions = history(&fleet, "cli-packed").await;
    let recorded: Vec<usize> =
        transitions.iter().map(|one| one.events.iter().map(ends).sum()).filter(|ends| *ends > 0).collect();
    assert_eq!(recorded, [1_200, 1_200], "a record has to fit a message");
    fleet.stop().await;
}

#[tokio::test]
async fn a_worker_that_knows_no_bundles_fails_the_items_and_says_why() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    let worker = worker_with(&fleet, "echo", Bundles::Unknown, Ok).await;
    put(&fleet, bundled(json!({"bundle": 2}))).await;
    start(&fleet, "cli.packed", json!({"workflow": "packed", "input": [1, 2, 3]})).await;
    let (outcome, error) = ended(&fleet, "cli.packed").await;
    assert_eq!((outcome.kind, &error["code"]), (OutcomeKind::Dead, &json!("unsupported")));
    assert!(error["message"].as_str().expect("text").contains("knows no bundles"), "{error}");
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_cancelled_run_ends_its_bundles() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    put(&fleet, bundled(json!({"bundle": 2}))).await;
    start(&fleet, "cli.packed", json!({"workflow": "packed", "input": [1, 2, 3]})).await;
    until(&fleet, "cli-packed", "under way", |summary| summary.total == 1).await;
    order(&fleet, "pause", "cli.packed", json!({})).await;
    // Nobody works them: the coordinators end what waits.
    cancel(&fleet, "cli.packed").await;
    let (outcome, _) = ended(&fleet, "cli.packed").await;
    assert_eq!(outcome.kind, OutcomeKind::Cancelled);
    fleet.stop().await;
}

#[tokio::test]
async fn runs_are_no_items() {
    let mut fleet = Fleet::memory().await;
    fleet.start("c1").await;
    let headers = Headers::new().with(name::MSG_ID, "cli.two").with(name::BUNDLE, "1");
    start_with(&fleet, headers, json!([{"workflow": "packed"}])).await;
    let (outcome, error) = ended(&fleet, "cli.two").await;
    assert_eq!((outcome.kind, &error["code"]), (OutcomeKind::Dead, &json!("unsupported")));
    fleet.stop().await;
}
