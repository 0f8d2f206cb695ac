//! The workflow `review` that comes with this command, and how a fleet gets it.

use nova_client::{Client, QueryError};
use nova_types::{Priority, WorkflowName};
use nova_workflow::{Plan, Work, Workflow};

use crate::failure::Failure;

/// The definition as it is shipped.
const REVIEW: &str = include_str!("../../../deploy/workflows/review.yaml");

/// The workflow, its tasks as urgent as they are to be.
///
/// Another urgency is another workflow with a name of its own, so that nobody else's reviews become more urgent by it.
pub(crate) fn plan(priority: Priority) -> Plan {
    let mut workflow = shipped();
    if priority != Priority::Normal {
        let name = format!("{}-{priority}", workflow.workflow);
        workflow.workflow = WorkflowName::new(name).expect("a word and a priority make a name");
        works(&mut workflow).for_each(|work| work.priority = Some(priority));
    }
    Plan::new(workflow).expect("a test shows that the definition is sound")
}

fn shipped() -> Workflow {
    let (workflow, _) = nova_workflow::parse(REVIEW).expect("a test shows that the definition is well formed");
    workflow
}

fn works(workflow: &mut Workflow) -> impl Iterator<Item = &mut Work> {
    workflow.steps.values_mut().filter_map(|step| step.task.as_mut().or(step.map.as_mut().map(|map| &mut map.work)))
}

/// Sees to it that the fleet has this version. Which version is the present one stays as it is, once there is one:
/// a run is pinned to its own.
pub(crate) async fn put(client: &Client, plan: &Plan) -> Result<(), Failure> {
    match client.workflow(&plan.workflow().workflow, Some(plan.hash())).await {
        Ok(_) => Ok(()),
        Err(QueryError::UnknownWorkflow { .. }) => {
            client.put_workflow(plan).await?;
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound_and_knows_its_steps() {
        let plan = plan(Priority::Normal);
        assert_eq!(plan.workflow().workflow.as_str(), "review");
        assert!(plan.order().contains(&super::super::course::review_step()));
    }

    #[test]
    fn another_urgency_is_another_workflow() {
        let low = plan(Priority::Low);
        assert_eq!(low.workflow().workflow.as_str(), "review-low");
        assert!(works(&mut low.workflow().clone()).all(|work| work.priority == Some(Priority::Low)));
        assert_ne!(low.hash(), plan(Priority::Normal).hash());
    }
}
