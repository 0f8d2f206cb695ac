//! Subjects of runs: their histories, snapshots, orders and events.

use nova_types::{RunId, TaskId, WorkflowName, partition_scope};

/// The subjects of the stream of runs.
pub const RUN_SPACES: [&str; 3] = ["nova.run.*.*", "nova.snap.*.*", "nova.order.*.*.*"];
/// Every order to a run, for the coordinators.
pub const ALL_ORDERS: &str = "nova.order.>";
/// The history of every run.
pub const ALL_RUNS: &str = "nova.run.*.*";

/// The history of a run, one message per transition.
#[must_use]
pub fn run(partition: u32, run: &RunId) -> String {
    format!("nova.run.{partition}.{run}")
}

/// The history of a run whose partition is not known.
#[must_use]
pub fn run_of_any_partition(run: &RunId) -> String {
    format!("nova.run.*.{run}")
}

/// The partition and run of a history's subject.
#[must_use]
pub fn parse_run(subject: &str) -> Option<(u32, RunId)> {
    let (partition, run) = subject.strip_prefix("nova.run.")?.split_once('.')?;
    Some((super::number(partition)?, RunId::new(run).ok()?))
}

/// The snapshot of a run.
#[must_use]
pub fn snapshot(partition: u32, run: &RunId) -> String {
    format!("nova.snap.{partition}.{run}")
}

/// An order to the run that is this task: `signal`, `approve`, `reject`, `pause` or `resume`.
#[must_use]
pub fn order(verb: &str, task: &TaskId) -> String {
    format!("nova.order.{verb}.{task}")
}

/// The verb and task of an order.
#[must_use]
pub fn parse_order(subject: &str) -> Option<(&str, TaskId)> {
    let (verb, task) = subject.strip_prefix("nova.order.")?.split_once('.')?;
    if task.matches('.').count() != 1 {
        return None;
    }
    Some((verb, task.parse().ok()?))
}

/// All orders to the run that is this task.
#[must_use]
pub fn orders_of(task: &TaskId) -> String {
    format!("nova.order.*.{task}")
}

/// The outcomes of the tasks of one partition's runs.
#[must_use]
pub fn outcomes_of_partition(partition: u32) -> String {
    format!("nova.outcome.*.{}.*", partition_scope(partition))
}

/// One lifecycle fact of a run.
#[must_use]
pub fn run_event(kind: &str, workflow: &WorkflowName, run: &RunId) -> String {
    format!("nova.event.run.{kind}.{workflow}.{run}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_and_orders_parse_to_what_they_were_built_from() {
        let of: RunId = "a-b".parse().expect("a run");
        assert_eq!(parse_run(&run(3, &of)), Some((3, of)));
        let id: TaskId = "s.n".parse().expect("an id");
        assert_eq!(parse_order(&order("signal", &id)), Some(("signal", id)));
    }
}
