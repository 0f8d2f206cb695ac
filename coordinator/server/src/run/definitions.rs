//! Workflow definitions: each by its hash, never changing, and which one is a workflow's present version.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use nova_broker::{BrokerError, Bucket};
use nova_types::WorkflowName;
use nova_wire::assets;
use nova_workflow::{Plan, Workflow};
use serde::Deserialize;

use crate::Parts;

/// How many definitions are kept ready: more are hardly ever used at once, and each is read again in one round trip.
const READY: usize = 1000;

/// Why there is no definition to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DefinitionError {
    #[error("could not read the definition {key}")]
    Read {
        key: String,
        #[source]
        source: BrokerError,
    },
    #[error("no {what} is known")]
    Unknown { what: String },
    #[error("definition {hash} cannot be run: {why}")]
    Unsound { hash: String, why: String },
}

/// The definitions of the fleet.
pub(crate) struct Definitions {
    bucket: Bucket,
    ready: Mutex<HashMap<String, Arc<Plan>>>,
}

/// The record of a workflow's versions; what else it says concerns its readers.
#[derive(Deserialize)]
struct Present {
    hash: String,
}

impl Definitions {
    pub(crate) fn new(parts: &Parts) -> Self {
        let bucket = Bucket::new(Arc::clone(&parts.broker), assets::WORKFLOWS_BUCKET);
        Self { bucket, ready: Mutex::default() }
    }

    /// The hash of a workflow's present version.
    pub(crate) async fn present(&self, workflow: &WorkflowName) -> Result<String, DefinitionError> {
        let key = format!("name.{workflow}");
        let entry = self.bucket.get(&key).await.map_err(|source| DefinitionError::Read { key, source })?;
        let entry = entry.ok_or_else(|| DefinitionError::Unknown { what: format!("workflow `{workflow}`") })?;
        let present: Result<Present, _> = serde_json::from_slice(&entry.value);
        present.map(|present| present.hash).map_err(|error| DefinitionError::Unsound {
            hash: format!("of `{workflow}`"),
            why: format!("the record of its versions is malformed: {error}"),
        })
    }

    /// The definition of a hash.
    pub(crate) async fn get(&self, hash: &str) -> Result<Arc<Plan>, DefinitionError> {
        if let Some(plan) = self.lock().get(hash) {
            return Ok(Arc::clone(plan));
        }
        let unknown = || DefinitionError::Unknown { what: format!("definition `{hash}`") };
        // It becomes a key: what is no hash never names one.
        if hash.is_empty() || hash.len() > 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let key = format!("def.{hash}");
        let entry = self.bucket.get(&key).await.map_err(|source| DefinitionError::Read { key, source })?;
        let entry = entry.ok_or_else(unknown)?;
        let unsound = |why: String| DefinitionError::Unsound { hash: hash.to_owned(), why };
        let workflow: Workflow = serde_json::from_slice(&entry.value).map_err(|error| unsound(error.to_string()))?;
        let plan = Plan::new(workflow).map_err(|problems| {
            let first = problems.first().map(|problem| problem.message.clone());
            unsound(first.unwrap_or_else(|| "it is unsound".to_owned()))
        })?;
        if plan.hash() != hash {
            return Err(unsound(format!("what is stored there has the hash {}", plan.hash())));
        }
        let plan = Arc::new(plan);
        let mut ready = self.lock();
        if ready.len() >= READY {
            ready.clear();
        }
        ready.insert(hash.to_owned(), Arc::clone(&plan));
        Ok(plan)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Plan>>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
