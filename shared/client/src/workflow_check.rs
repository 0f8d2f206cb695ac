//! What a workflow names that the fleet does not have.

use std::collections::BTreeSet;

use nova_types::{Skill, WorkflowName};
use nova_wire::assets;
use nova_workflow::{Known, Problem, Workflow};

use crate::{Client, QueryError};

impl Client {
    /// Says which skills and workflows a workflow names that are not there; it may name itself.
    ///
    /// A skill is there when it has a queue, whether or not a worker is present now.
    ///
    /// # Errors
    /// [`QueryError::Broker`]; safe to call again.
    pub async fn unknown_names(&self, workflow: &Workflow) -> Result<Vec<Problem>, QueryError> {
        let streams = self.inner.broker.streams(assets::TASKS_PREFIX.to_owned()).await;
        let streams = streams.map_err(QueryError::broker("list the queues"))?;
        let skills: BTreeSet<Skill> =
            streams.iter().filter_map(|stream| assets::skill_of_stream(&stream.spec.name)).collect();
        let workflows: BTreeSet<WorkflowName> =
            self.workflows().await?.into_iter().map(|entry| entry.workflow).collect();
        Ok(Known { skills: Some(&skills), workflows: Some(&workflows) }.check(workflow))
    }
}
