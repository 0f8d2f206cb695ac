//! Dead letters.

use futures_util::{StreamExt as _, TryStreamExt as _};
use nova_client::{DeadFilter, Redrive, RedriveError};
use nova_types::{Code, OutcomeKind, Priority, Skill, TaskState};
use nova_wire::{Payload, TaskOptions, name};

use crate::support::{Fleet, echo, id, on_both, task};

on_both!(
    dead_letters_are_listed_by_what_they_hold,
    a_redrive_is_a_new_task_with_the_original_input,
    a_letter_has_one_live_redrive,
    an_edited_redrive_takes_the_new_input,
);

/// Submits a task that dies with a code.
async fn kill(fleet: &Fleet, name: &str, code: &str) {
    let options = TaskOptions { labels: [("n".to_owned(), name.to_owned())].into(), ..TaskOptions::default() };
    let asked = task(name, &name).with_priority(Priority::High).with_options(options);
    fleet.client.submit(asked).await.expect("stored");
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.give_up(&task, &delivery, code).await;
}

async fn dead_letters_are_listed_by_what_they_hold(fleet: Fleet) {
    for (name, code) in [("a", "exit"), ("b", "timeout"), ("c", "exit")] {
        kill(&fleet, name, code).await;
    }
    let listed = async |filter: DeadFilter| -> Vec<String> {
        let entries: Vec<_> = fleet.client.dead(filter).try_collect().await.expect("read");
        entries.iter().map(|entry| entry.letter.task.name().to_string()).collect()
    };
    assert_eq!(listed(DeadFilter::default()).await, ["a", "b", "c"]);
    assert_eq!(listed(DeadFilter { code: Some(Code::new("exit")), ..Default::default() }).await, ["a", "c"]);
    assert_eq!(listed(DeadFilter { limit: Some(1), skill: Some(echo()), ..Default::default() }).await, ["a"]);
    let labels = [("n".to_owned(), "b".to_owned())].into();
    assert_eq!(listed(DeadFilter { labels, ..Default::default() }).await, ["b"]);
    let other = Some(Skill::new("other").expect("a skill"));
    assert_eq!(listed(DeadFilter { skill: other, ..Default::default() }).await, [""; 0]);
    assert!(fleet.client.drop_dead(&echo(), &id("cli.b")).await.expect("dropped"));
    assert!(!fleet.client.drop_dead(&echo(), &id("cli.b")).await.expect("gone already"));
    assert_eq!(listed(DeadFilter::default()).await, ["a", "c"]);
    let view = fleet.client.show(&echo(), &id("cli.a")).await.expect("there");
    assert_eq!((view.state, view.dead.map(|dead| dead.attempts)), (TaskState::Dead, Some(5)));
}

async fn a_redrive_is_a_new_task_with_the_original_input(fleet: Fleet) {
    kill(&fleet, "a", "exit").await;
    let letter = fleet.client.dead_letter(&echo(), &id("cli.a")).await.expect("there").letter;
    let redriven = fleet.client.redrive(&letter, Redrive::default()).await.expect("stored");
    assert_eq!((redriven.of, redriven.submitted.task), (id("cli.a"), id("cli.a-r1")));
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    assert_eq!(task.headers.get(name::REDRIVE_OF), Some("cli.a"));
    assert_eq!((task.priority, &task.payload.bytes[..]), (Priority::High, &b"\"a\""[..]));
    assert_eq!(task.options.labels["n"], "a");
    worker.echo(&task, &delivery).await;
    match fleet.client.redrive(&letter, Redrive::default()).await.expect_err("it completed") {
        RedriveError::Completed { by, .. } => assert_eq!(by, id("cli.a-r1")),
        error => panic!("not refused: {error}"),
    }
    assert!(fleet.client.dead_letter(&echo(), &id("cli.a")).await.is_ok(), "the letter stays until it is dropped");
}

async fn a_letter_has_one_live_redrive(fleet: Fleet) {
    kill(&fleet, "a", "exit").await;
    let letter = fleet.client.dead_letter(&echo(), &id("cli.a")).await.expect("there").letter;
    for is_duplicate in [false, true] {
        let redriven = fleet.client.redrive(&letter, Redrive::default()).await.expect("stored");
        assert_eq!((redriven.submitted.task, redriven.submitted.is_duplicate), (id("cli.a-r1"), is_duplicate));
    }
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    worker.give_up(&task, &delivery, "exit").await;
    let again = fleet.client.dead_letter(&echo(), &id("cli.a-r1")).await.expect("there").letter;
    for letter in [letter, again] {
        let redriven = fleet.client.redrive(&letter, Redrive::default()).await.expect("stored");
        assert_eq!(redriven.submitted.task, id("cli.a-r2"), "both letters are of one task");
    }
}

async fn an_edited_redrive_takes_the_new_input(fleet: Fleet) {
    kill(&fleet, "a", "exit").await;
    let entry = Box::pin(fleet.client.dead(DeadFilter::default())).next().await.expect("one").expect("read");
    let edit = Some(Payload::json("42"));
    fleet.client.redrive(&entry.letter, Redrive { edit }).await.expect("stored");
    let worker = fleet.worker();
    let (task, delivery) = worker.take_one().await;
    assert_eq!(&task.payload.bytes[..], b"42");
    worker.end(&task, &delivery, OutcomeKind::Completed, Payload::json("1")).await;
}
