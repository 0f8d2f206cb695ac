//! Showing, finding and explaining one task.

use nova_broker::{Expect, Message};
use nova_client::{Ahead, QueryError, Reason, Submit};
use nova_types::{Code, OutcomeKind, Skill, TaskState, UnixMillis, WorkerId};
use nova_wire::{AttemptRecord, FailedAttempt, Payload, WorkerRow, WorkerSkill, subject};

use crate::support::{DEADLINE, Fleet, MiniWorker, echo, id, on_both, task};

on_both!(
    a_task_is_shown_at_every_step_of_its_life,
    a_failed_task_in_its_pause_is_retryable,
    a_plain_id_finds_its_skill,
    a_named_moment_finds_a_task_in_a_long_queue,
    a_waiting_task_says_why,
);

async fn a_task_is_shown_at_every_step_of_its_life(fleet: Fleet) {
    let client = &fleet.client;
    assert!(client.show(&echo(), &id("cli.b")).await.expect_err("not yet").is_not_found());
    for name in ["a", "b"] {
        client.submit(task(name, &1)).await.expect("stored");
    }
    let view = client.show(&echo(), &id("cli.b")).await.expect("there");
    let place = view.place.expect("it waits");
    assert_eq!((view.state, place.sequence, place.ahead), (TaskState::Available, 2, Some(Ahead::Exactly(1))));
    let worker = fleet.worker();
    let taken = worker.take(2).await;
    let view = client.show(&echo(), &id("cli.b")).await.expect("there");
    assert_eq!((view.state, view.place.expect("in its queue").ahead), (TaskState::Running, None));
    for (task, delivery) in &taken {
        worker.echo(task, delivery).await;
    }
    let view = client.show(&echo(), &id("cli.b")).await.expect("there");
    assert_eq!((view.state, view.place), (TaskState::Completed, None));
    let result = client.result(&echo(), &id("cli.b")).await.expect("read").expect("it ended");
    assert_eq!(result.outcome.kind, OutcomeKind::Completed);
    let (_, why) = client.why(&echo(), &id("cli.b")).await.expect("there");
    assert_eq!(why, [Reason::Ended { kind: OutcomeKind::Completed, code: None }]);
}

async fn a_failed_task_in_its_pause_is_retryable(fleet: Fleet) {
    fleet.client.submit(task("a", &1)).await.expect("stored");
    let (_, delivery) = fleet.worker().take_one().await;
    let mut record = AttemptRecord::default();
    record.fail(FailedAttempt {
        attempt: 1,
        worker: WorkerId::new("w").expect("an id"),
        started: delivery.at,
        finished: delivery.at.plus(DEADLINE),
        code: Code::new("exit"),
        message: "status 1".into(),
    });
    let body = serde_json::to_vec(&record).expect("encodes");
    let message = Message::new(subject::attempt(&echo(), &id("cli.a")), body);
    fleet.broker.publish(message, Expect::NOTHING).await.expect("stored");
    let (view, why) = fleet.client.why(&echo(), &id("cli.a")).await.expect("there");
    assert_eq!(view.state, TaskState::Retryable);
    assert!(
        matches!(&why[0], Reason::Backoff { failed: 1, code: Some(code), .. } if code.as_str() == "exit"),
        "{why:?}"
    );
}

async fn a_plain_id_finds_its_skill(fleet: Fleet) {
    let other = Skill::new("other").expect("a skill");
    fleet.add_skill(&other, -1).await;
    let client = &fleet.client;
    client.submit(task("a", &1)).await.expect("stored");
    assert_eq!(client.find_skill(&id("cli.a")).await.expect("it waits"), echo());
    let unknown = client.find_skill(&id("cli.x")).await.expect_err("nobody knows it");
    assert!(unknown.is_not_found());
    let twin = Submit { skill: other.clone(), ..task("a", &1) };
    client.submit(twin).await.expect("ids are unique per skill");
    match client.find_skill(&id("cli.a")).await.expect_err("two have it") {
        QueryError::Ambiguous { skills, .. } => assert_eq!(skills, [echo(), other.clone()]),
        error => panic!("not ambiguous: {error}"),
    }
    fleet.broker.publish(Message::new(subject::task(&other, Default::default()), "1"), Expect::Any).await.expect("raw");
    assert_eq!(client.find_skill(&id("_seq.2")).await.expect("the raw one"), other);
    for (skill, count) in [(echo(), 1), (other, 2)] {
        let worker = MiniWorker { skill, ..fleet.worker() };
        for (task, delivery) in worker.take(count).await {
            worker.echo(&task, &delivery).await;
        }
    }
    assert_eq!(client.find_skill(&id("_seq.2")).await.expect("by its outcome"), Skill::new("other").expect("a skill"));
}

async fn a_named_moment_finds_a_task_in_a_long_queue(fleet: Fleet) {
    // Only the halving by time can find it: the search depth ends far before.
    let client = fleet.client_with(|options| options.search_depth = 10);
    let filler = || (0..1500).map(|_| Submit::new(echo(), Payload::json("1")));
    client.submit_all(filler(), |_| {}).await;
    let submitted = client.submit(Submit::new(echo(), Payload::json("1"))).await.expect("stored");
    client.submit_all(filler(), |_| {}).await;
    let place = client.locate(&echo(), &submitted.task).await.expect("read");
    // The memory broker's clock begins on a fixed date, so that a UUID of the real time lies outside it.
    if fleet.memory.is_none() {
        let place = place.expect("found");
        assert_eq!((place.sequence, place.ahead), (submitted.sequence, Some(Ahead::Exactly(1500))));
    }
}

async fn a_waiting_task_says_why(fleet: Fleet) {
    let client = &fleet.client;
    client.submit(task("a", &1)).await.expect("stored");
    let why = async || client.why(&echo(), &id("cli.a")).await.expect("there").1;
    assert_eq!(why().await, [Reason::NoWorker { skill: echo() }]);
    let row = WorkerRow {
        worker: WorkerId::new("w").expect("an id"),
        pid: 1,
        host: "h".into(),
        skills: vec![WorkerSkill { name: echo(), version: "1".into() }],
        version: "1".into(),
        slots: 1,
        running: 1,
        draining: false,
        nonce: String::new(),
        started: UnixMillis(0),
        seen: UnixMillis(0),
        http: None,
        labels: Default::default(),
    };
    let body = serde_json::to_vec(&row).expect("encodes");
    fleet.broker.publish(Message::new(subject::presence(&row.worker), body), Expect::Any).await.expect("stored");
    assert_eq!(client.workers().await.expect("read"), std::slice::from_ref(&row));
    assert_eq!(why().await, [Reason::Busy { slots: 1 }]);
    client.cancel(&echo(), &id("cli.a")).await.expect("accepted");
    assert_eq!(why().await, [Reason::CancelAsked, Reason::Busy { slots: 1 }]);
    client.drain_worker(&row.worker).await.expect("ordered");
    let order = fleet.broker.last("KV_nova-config".into(), "$KV.nova-config.drain.w".into()).await.expect("read");
    assert_eq!(&order.expect("there").body[..], b"1");
    let absent = WorkerId::new("x").expect("an id");
    assert_eq!(client.drain_worker(&absent).await.expect_err("absent").code(), "unknown_worker");
}
