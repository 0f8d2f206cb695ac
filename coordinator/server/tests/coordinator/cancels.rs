//! Cancels of tasks that wait.

use bytes::Bytes;
use nova_broker::{Expect, Message};
use nova_types::{Code, OutcomeKind, Priority};
use nova_wire::{Headers, assets, name, subject};

use crate::support::{Fleet, ask, echo};

async fn cancel(fleet: &Fleet, id: &str) {
    let subject = subject::cancel(&echo(), &id.parse().expect("an id"));
    fleet.broker.publish(Message::new(subject, Bytes::new()), Expect::Any).await.expect("accepted");
}

async fn ends_what_waits(mut fleet: Fleet) {
    fleet.start("c1").await;
    fleet.start("c2").await;
    fleet.submit("cli.waits", Priority::Normal, "1").await;
    cancel(&fleet, "cli.waits").await;
    cancel(&fleet, "cli.never-came").await;
    for id in ["cli.waits", "cli.never-came"] {
        let (outcome, stored) = fleet.outcome(id).await;
        assert_eq!((outcome.kind, outcome.attempt), (OutcomeKind::Cancelled, 0));
        assert_eq!(outcome.code, Some(Code::new("cancelled")));
        assert!(stored.body.starts_with(b"{\"code\":\"cancelled\""));
    }
    fleet.stop().await;
}

#[tokio::test]
async fn a_waiting_task_is_cancelled() {
    ends_what_waits(Fleet::real().await).await;
}

#[tokio::test]
async fn a_waiting_task_is_cancelled_in_memory() {
    ends_what_waits(Fleet::memory().await).await;
}

#[tokio::test]
async fn a_cancel_leaves_an_outcome_as_it_is() {
    let mut fleet = Fleet::real().await;
    let worker = fleet.worker("w1").await;
    fleet.submit("cli.done", Priority::Normal, "1").await;
    fleet.outcome("cli.done").await;
    fleet.start("c1").await;
    cancel(&fleet, "cli.done").await;
    // The one behind it shows that it was handled.
    cancel(&fleet, "cli.other").await;
    fleet.outcome("cli.other").await;
    assert_eq!(fleet.outcome("cli.done").await.0.kind, OutcomeKind::Completed);
    worker.abort();
    fleet.stop().await;
}

#[tokio::test]
async fn a_cancelled_schedule_never_fires() {
    let mut fleet = Fleet::real().await;
    fleet.start("c1").await;
    let headers = Headers::new().with(name::WHEN, "@in 1h");
    let answer = ask(&fleet.broker, Message::new("nova.later.echo.cli.later", "1").with_headers(headers)).await;
    assert!(answer.body.starts_with(b"{"), "{answer:?}");
    cancel(&fleet, "cli.later").await;
    fleet.outcome("cli.later").await;
    let schedule = subject::schedule(&echo(), &"cli.later".parse().expect("an id"));
    let left = fleet.broker.last(assets::SCHEDULES.to_owned(), schedule).await.expect("readable");
    assert_eq!(left, None);
    fleet.stop().await;
}
