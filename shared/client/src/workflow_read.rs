//! Reading workflows: by name, by version, and as plans.

use nova_types::{UnixMillis, WorkflowName};
use nova_workflow::{Plan, Workflow};
use serde::{Deserialize, Serialize};

use crate::{Client, QueryError};

/// A workflow as its name is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRecord {
    pub(crate) hash: String,
    pub(crate) at: UnixMillis,
    #[serde(default)]
    pub(crate) versions: Vec<VersionEntry>,
}

/// One version of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// The SHA-256 of its definition, in hex.
    pub hash: String,
    /// When it was last put.
    pub at: UnixMillis,
}

/// A workflow by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowEntry {
    /// Its name.
    pub workflow: WorkflowName,
    /// The version that new runs take.
    pub present: VersionEntry,
    /// All versions that are remembered, the present one last.
    pub versions: Vec<VersionEntry>,
}

impl Client {
    /// All workflows, by name.
    ///
    /// # Errors
    /// [`QueryError::Broker`], [`QueryError::GarbledRun`]; safe to call again.
    pub async fn workflows(&self) -> Result<Vec<WorkflowEntry>, QueryError> {
        let entries = self.workflow_bucket().entries_of("name.*").await;
        let entries = entries.map_err(QueryError::broker("list the workflows"))?;
        let named = entries.into_iter().filter_map(|entry| {
            let workflow = WorkflowName::new(entry.key.strip_prefix("name.")?).ok()?;
            Some(read_name(&workflow, &entry.value).map(|record| record.entry(workflow)))
        });
        let mut all = named.collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| a.workflow.cmp(&b.workflow));
        Ok(all)
    }

    /// One workflow's versions.
    ///
    /// # Errors
    /// [`QueryError::UnknownWorkflow`], [`QueryError::Broker`]; safe to call again.
    pub async fn workflow_versions(&self, workflow: &WorkflowName) -> Result<WorkflowEntry, QueryError> {
        let entry = self.workflow_bucket().get(&format!("name.{workflow}")).await;
        let entry = entry.map_err(QueryError::broker(format!("read workflow `{workflow}`")))?;
        let unknown = || QueryError::UnknownWorkflow { workflow: workflow.clone(), version: None };
        Ok(read_name(workflow, &entry.ok_or_else(unknown)?.value)?.entry(workflow.clone()))
    }

    /// A workflow's definition: the present one, or the one whose hash is, or begins with, `version`.
    ///
    /// # Errors
    /// [`QueryError::UnknownWorkflow`], [`QueryError::AmbiguousVersion`], [`QueryError::Broker`]; safe to call again.
    pub async fn workflow(&self, workflow: &WorkflowName, version: Option<&str>) -> Result<Plan, QueryError> {
        let hash = match version {
            Some(hash) if hash.len() == 64 => hash.to_owned(),
            other => self.pick_version(workflow, other).await?,
        };
        let unknown = || QueryError::UnknownWorkflow {
            workflow: workflow.clone(),
            version: Some(version.unwrap_or(&hash).to_owned()),
        };
        let entry = self.workflow_bucket().get(&format!("def.{hash}")).await;
        let entry = entry.map_err(QueryError::broker(format!("read version {hash} of workflow `{workflow}`")))?;
        let plan = read_plan(&hash, &entry.ok_or_else(unknown)?.value)?;
        if plan.workflow().workflow == *workflow { Ok(plan) } else { Err(unknown()) }
    }

    async fn pick_version(&self, workflow: &WorkflowName, version: Option<&str>) -> Result<String, QueryError> {
        let known = self.workflow_versions(workflow).await?;
        let Some(version) = version else { return Ok(known.present.hash) };
        let versions: Vec<String> =
            known.versions.into_iter().map(|entry| entry.hash).filter(|hash| hash.starts_with(version)).collect();
        match versions.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(QueryError::UnknownWorkflow { workflow: workflow.clone(), version: Some(version.to_owned()) }),
            _ => {
                Err(QueryError::AmbiguousVersion { workflow: workflow.clone(), version: version.to_owned(), versions })
            }
        }
    }
}

impl NameRecord {
    fn entry(self, workflow: WorkflowName) -> WorkflowEntry {
        let present = VersionEntry { hash: self.hash, at: self.at };
        WorkflowEntry { workflow, present, versions: self.versions }
    }
}

pub(crate) fn read_name(workflow: &WorkflowName, bytes: &[u8]) -> Result<NameRecord, QueryError> {
    let what = || format!("the record of workflow `{workflow}`");
    serde_json::from_slice(bytes).map_err(|source| QueryError::garbled_run(what(), source))
}

fn read_plan(hash: &str, bytes: &[u8]) -> Result<Plan, QueryError> {
    let what = || format!("definition {hash}");
    let workflow: Workflow = serde_json::from_slice(bytes).map_err(|source| QueryError::garbled_run(what(), source))?;
    Plan::new(workflow).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        QueryError::garbled_run(what(), told.join("; "))
    })
}
