//! Listing tasks.

use nova_client::TaskFilter;
use nova_types::{Priority, TaskState};
use nova_wire::TaskOptions;

use crate::support::{Fleet, echo, on_both, task};

on_both!(tasks_are_listed_by_state_newest_first, labels_find_tasks_that_have_not_ended);

async fn names(fleet: &Fleet, filter: TaskFilter) -> Vec<String> {
    let rows = fleet.client.tasks(&filter).await.expect("read");
    let mut names: Vec<String> = rows.iter().map(|row| format!("{} {:?}", row.task.name(), row.state)).collect();
    // Tasks of one millisecond have no order of their own.
    names.sort();
    names
}

async fn tasks_are_listed_by_state_newest_first(fleet: Fleet) {
    for name in ["a", "b", "c", "d"] {
        fleet.client.submit(task(name, &1)).await.expect("stored");
    }
    let worker = fleet.worker();
    let taken = worker.take(3).await;
    // Acked out of order: `b` lies above the floor and has ended.
    worker.echo(&taken[1].0, &taken[1].1).await;
    worker.give_up(&taken[2].0, &taken[2].1, "exit").await;
    let all = names(&fleet, TaskFilter::default()).await;
    assert_eq!(all, ["a Running", "b Completed", "c Dead", "d Available"]);
    let states = vec![TaskState::Running, TaskState::Dead];
    assert_eq!(names(&fleet, TaskFilter { states, ..Default::default() }).await, ["a Running", "c Dead"]);
    let filter = TaskFilter { states: vec![TaskState::Completed], skill: Some(echo()), ..Default::default() };
    assert_eq!(names(&fleet, filter).await, ["b Completed"]);
    let since = Some(crate::support::far_future());
    assert_eq!(names(&fleet, TaskFilter { since, ..Default::default() }).await, [""; 0]);
    assert_eq!(fleet.client.tasks(&TaskFilter { limit: 1, ..Default::default() }).await.expect("read").len(), 2);
}

async fn labels_find_tasks_that_have_not_ended(fleet: Fleet) {
    let labelled = |name: &str, value: &str| {
        let labels = [("team".to_owned(), value.to_owned())].into();
        task(name, &1).with_options(TaskOptions { labels, ..TaskOptions::default() }).with_priority(Priority::Low)
    };
    fleet.client.submit(labelled("a", "x")).await.expect("stored");
    fleet.client.submit(labelled("b", "y")).await.expect("stored");
    let labels = [("team".to_owned(), "y".to_owned())].into();
    assert_eq!(names(&fleet, TaskFilter { labels, ..Default::default() }).await, ["b Available"]);
}
