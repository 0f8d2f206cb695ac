//! A recorded run folded again by the engine, its large values fetched when the engine asks for them.

use std::sync::Arc;

use futures_util::future::try_join_all;
use nova_client::{Client, Recorded, RunRow};
use nova_engine::run::{Loaded, Memo, Run, Stuck, apply};
use nova_types::{RunId, WorkflowName};
use nova_workflow::{BlobName, Event, Plan, Transition};
use serde_json::Value;

use crate::cx::Cx;
use crate::exit::Exit;
use crate::failure::Failure;

/// A run's history with the definition it is pinned to.
pub(crate) struct Replay {
    pub(crate) plan: Arc<Plan>,
    pub(crate) history: Vec<Recorded>,
    pub(crate) values: Values,
}

impl Replay {
    /// Reads a run's history and definition.
    pub(crate) async fn load(cx: &Cx, row: &RunRow) -> Result<Self, Failure> {
        let history = cx.client.run_history(&row.summary.run).await?;
        let plan = plan_of(&cx.client, &row.summary.workflow, &row.summary.version).await?;
        Ok(Self { plan, history, values: Values::new(cx.client.clone()) })
    }

    /// The transitions alone.
    pub(crate) fn transitions(&self) -> Vec<Transition> {
        self.history.iter().map(|recorded| recorded.transition.clone()).collect()
    }

    /// A large value, fetched.
    pub(crate) async fn value(&self, blob: &BlobName) -> Result<Value, Failure> {
        Ok(self.values.client.run_value(blob).await?)
    }

    /// The run as its history left it.
    pub(crate) async fn fold(&mut self, run: &RunId) -> Result<Run, Failure> {
        let mut folded = Run::new(run.clone());
        let mut memo = Memo::default();
        for recorded in &self.history {
            folded = fold_one(&mut self.values, &self.plan, &folded, &recorded.transition, &mut memo).await?;
        }
        Ok(folded)
    }
}

/// One more transition of a run that is followed.
pub(crate) async fn fold_one(
    values: &mut Values,
    plan: &Plan,
    run: &Run,
    transition: &Transition,
    memo: &mut Memo,
) -> Result<Run, Failure> {
    values.with(|loaded| apply(run, plan, transition, loaded, memo)).await
}

/// The definition a run is pinned to.
pub(crate) async fn plan_of(client: &Client, workflow: &WorkflowName, version: &str) -> Result<Arc<Plan>, Failure> {
    Ok(Arc::new(client.workflow(workflow, Some(version)).await?))
}

/// The version a history says that its run is pinned to.
pub(crate) fn pinned(transition: &Transition) -> Option<(&WorkflowName, &str)> {
    transition.events.iter().find_map(|event| match event {
        Event::Started(started) => Some((&started.workflow, started.definition.as_str())),
        _ => None,
    })
}

/// Large values of runs, fetched once.
pub(crate) struct Values {
    client: Client,
    loaded: Loaded,
}

impl Values {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, loaded: Loaded::default() }
    }

    /// Asks the engine, and fetches what it wants before asking again.
    pub(crate) async fn with<T>(&mut self, mut ask: impl FnMut(&Loaded) -> Result<T, Stuck>) -> Result<T, Failure> {
        loop {
            let wanted = match ask(&self.loaded) {
                Ok(answer) => return Ok(answer),
                Err(Stuck::Wants(wanted)) => wanted,
                Err(stuck) => return Err(stuck.into()),
            };
            let fetched = try_join_all(wanted.iter().map(|blob| self.client.run_value(blob))).await?;
            self.loaded.0.extend(wanted.into_iter().zip(fetched.into_iter().map(Arc::new)));
        }
    }
}

impl From<Stuck> for Failure {
    fn from(stuck: Stuck) -> Self {
        let (code, help) = match &stuck {
            Stuck::Wants(_) => ("bad_blob", "see whether the object store has them: nats object ls nova-blobs"),
            Stuck::Parked(_) => ("parked", "use the nova of the coordinators, or a later one"),
            Stuck::Diverged(_) => ("diverged", "report it, with the output of: nova run show RUN --history --json"),
        };
        Self::because(Exit::FAILURE, code, stuck).help(help)
    }
}
