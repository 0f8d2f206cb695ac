//! What a coordinator measures.

use nova_broker::PauseState;
use nova_coordinator::{CoordinatorConfig, Parts};
use nova_testkit::wait_until;
use nova_types::{Priority, UnixMillis};
use nova_wire::assets;

use crate::support::{DEADLINE, Fleet, echo, shows};

fn value(parts: &Parts, metric: &str) -> Option<f64> {
    parts.metrics.render().lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn a_queue_shows_what_waits_and_whether_it_is_paused() {
    let mut fleet = Fleet::real().await;
    for n in 0..3 {
        fleet.submit(&format!("cli.n{n}"), Priority::Low, "1").await;
    }
    let stream = assets::tasks_stream(&echo());
    let pause = PauseState { until: Some(UnixMillis(4_000_000_000_000)) };
    fleet.broker.pause_consumer(stream, "low".to_owned(), pause).await.expect("paused");
    let parts = fleet.start("c1").await;
    for line in [
        r#"nova_queue_waiting_tasks{priority="low",skill="echo"} 3"#,
        r#"nova_queue_paused{priority="low",skill="echo"} 1"#,
        r#"nova_queue_paused{priority="high",skill="echo"} 0"#,
        r#"nova_law_imbalance_tasks{skill="echo"} 0"#,
        r#"nova_tasks_orphaned{skill="echo"} 0"#,
    ] {
        wait_until(line, DEADLINE, async || shows(&parts, line).then_some(())).await;
    }
    wait_until("the age of the oldest", DEADLINE, async || {
        value(&parts, r#"nova_oldest_waiting_seconds{priority="low",skill="echo"}"#).filter(|age| *age > 0.0)
    })
    .await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_task_on_a_subject_nobody_reads_is_an_orphan() {
    let mut fleet = Fleet::real().await;
    let stream = assets::tasks_stream(&echo());
    fleet.submit("cli.a", Priority::High, "1").await;
    fleet.broker.delete_consumer(stream, "high".to_owned()).await.expect("deleted by hand");
    let parts = fleet.start("c1").await;
    let line = r#"nova_tasks_orphaned{skill="echo"} 1"#;
    wait_until(line, DEADLINE, async || shows(&parts, line).then_some(())).await;
    fleet.stop().await;
}

#[tokio::test]
async fn a_canary_flies_through_the_echo_skill() {
    let mut fleet = Fleet::real().await;
    let worker = fleet.worker("w1").await;
    let config = CoordinatorConfig { canary_secs: Some(1), ..CoordinatorConfig::default() };
    let parts = fleet.start_with("c1", config).await;
    wait_until("a canary", DEADLINE, async || value(&parts, "nova_canary_seconds").filter(|time| *time > 0.0)).await;
    worker.abort();
    fleet.stop().await;
}
