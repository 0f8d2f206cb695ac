//! What is done to a queue by hand, and told.

use nova_broker::{Expect, Message, PauseState, Purge};
use nova_coordinator::{CoordinatorConfig, Parts};
use nova_testkit::wait_until;
use nova_types::{Outcome, OutcomeKind, Priority, Skill, TaskId, UnixMillis, Usage};
use nova_wire::{Headers, TaskKey, assets, name, subject, write_outcome};

use crate::support::{DEADLINE, Fleet, echo, shows};

const VANISHED: &str = r#"nova_tasks_vanished_total{skill="echo"}"#;

/// A coordinator that leads however busy the machine is: whoever begins to lead has seen nothing before.
async fn leader(fleet: &mut Fleet) -> Parts {
    let config = CoordinatorConfig {
        sweep_secs: 1,
        trim_secs: 1,
        watch_secs: 1,
        leader_secs: 60,
        ..CoordinatorConfig::default()
    };
    let parts = fleet.start_with("c1", config).await;
    shown(&parts, r#"nova_law_imbalance_tasks{skill="echo"} 0"#).await;
    parts
}

async fn shown(parts: &Parts, line: &str) {
    wait_until(line, DEADLINE, async || shows(parts, line).then_some(())).await;
}

#[tokio::test]
async fn a_queue_purged_by_hand_is_told() {
    let mut fleet = Fleet::real().await;
    for n in 0..3 {
        fleet.submit(&format!("cli.n{n}"), Priority::Normal, "1").await;
    }
    let parts = leader(&mut fleet).await;
    let stream = assets::tasks_stream(&echo());
    fleet.broker.purge(stream, Purge::Subject(">".to_owned())).await.expect("purged by hand");
    shown(&parts, &format!("{VANISHED} 3")).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_queue_made_again_by_hand_is_told() {
    let mut fleet = Fleet::real().await;
    for n in 0..2 {
        fleet.submit(&format!("cli.n{n}"), Priority::Low, "1").await;
    }
    let parts = leader(&mut fleet).await;
    fleet.broker.delete_stream(assets::tasks_stream(&echo())).await.expect("deleted by hand");
    fleet.provision().await;
    shown(&parts, &format!("{VANISHED} 2")).await;
    fleet.stop().await;
}

/// What `nova queue purge` does to a task of a paused queue.
async fn cancel_and_delete(fleet: &Fleet, id: &str, sequence: u64) {
    let task: TaskId = id.parse().expect("an id");
    let outcome = Outcome {
        kind: OutcomeKind::Cancelled,
        task: task.clone(),
        skill: echo(),
        attempt: 0,
        worker: None,
        nonce: None,
        submitted: None,
        started: None,
        finished: UnixMillis(1),
        code: None,
        usage: Usage::default(),
        items: None,
    };
    let headers = Headers::new().with(name::OUTCOME, write_outcome(&outcome));
    let record = Message::new(subject::outcome(&echo(), &task), "").with_headers(headers);
    fleet.broker.publish(record, Expect::NOTHING).await.expect("recorded");
    fleet.broker.purge(assets::tasks_stream(&echo()), Purge::Sequence(sequence)).await.expect("deleted");
}

#[tokio::test]
async fn a_queue_that_nova_empties_is_not() {
    let mut fleet = Fleet::real().await;
    let mut tasks = Vec::new();
    for n in 0..5 {
        let id = format!("cli.n{n}");
        let sequence = fleet.submit(&id, Priority::Low, "1").await;
        tasks.push((id, sequence));
    }
    let pause = PauseState { until: Some(UnixMillis(4_000_000_000_000)) };
    fleet.broker.pause_consumer(assets::tasks_stream(&echo()), "low".to_owned(), pause).await.expect("paused");
    let parts = leader(&mut fleet).await;
    for (id, sequence) in tasks {
        cancel_and_delete(&fleet, &id, sequence).await;
    }
    // Two more rounds: what is made wrong behind the first can only be seen by the second.
    let shell = Skill::new("shell").expect("a skill");
    let stream = assets::tasks_stream(&shell);
    fleet.broker.delete_consumer(stream, "high".to_owned()).await.expect("deleted by hand");
    for n in 1..=2 {
        let orphan = Message::new(subject::task(&shell, Priority::High), "1");
        fleet.broker.publish(orphan, Expect::Any).await.expect("stored");
        shown(&parts, &format!(r#"nova_tasks_orphaned{{skill="shell"}} {n}"#)).await;
    }
    assert!(!parts.metrics.render().contains(VANISHED), "{}", parts.metrics.render());
    fleet.stop().await;
}

#[tokio::test]
async fn a_task_whose_partition_nobody_reads_is_an_orphan() {
    let mut fleet = Fleet::real().await;
    let keyed = Skill::new("keyed").expect("a skill");
    let subject = subject::keyed_task(&keyed, Priority::Normal, &TaskKey::new("a").expect("a key"));
    fleet.broker.publish(Message::new(subject, "1"), Expect::Any).await.expect("stored");
    let parts = fleet.start("c1").await;
    shown(&parts, r#"nova_tasks_orphaned{skill="keyed"} 0"#).await;
    let stream = assets::tasks_stream(&keyed);
    for partition in 0..2 {
        let consumer = assets::partition_consumer(partition);
        fleet.broker.delete_consumer(stream.clone(), consumer).await.expect("deleted by hand");
    }
    shown(&parts, r#"nova_tasks_orphaned{skill="keyed"} 1"#).await;
    fleet.stop().await;
}
