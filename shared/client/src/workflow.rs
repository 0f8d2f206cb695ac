//! Workflow definitions: kept for ever by their hash, and found by their name.
//!
//! Bucket `nova-workflows`: `def.<hash>` is a definition and never changes, `name.<workflow>` says which is the present
//! one and which there were.

use nova_broker::{Bucket, Expect, PublishError};
use nova_types::{UnixMillis, WorkflowName};
use nova_wire::assets;
use nova_workflow::{Plan, Problem};

use crate::workflow_read::{NameRecord, read_name};
use crate::{Client, QueryError, VersionEntry};

/// How often a name is tried to be moved while others move it, too.
const TRIES: u32 = 32;
/// How many versions a name remembers; a run finds older ones by their hash all the same.
const VERSIONS: usize = 500;

/// What putting a workflow came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutWorkflow {
    /// Its name.
    pub workflow: WorkflowName,
    /// The version's hash.
    pub hash: String,
    /// The version that was the present one before.
    pub before: Option<String>,
}

impl PutWorkflow {
    /// Whether new runs take another version than before.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.before.as_ref() != Some(&self.hash)
    }
}

/// A workflow that was not put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// It names skills or workflows that there are not.
    #[error("workflow `{workflow}` names what the fleet does not have")]
    Unknown {
        /// The workflow.
        workflow: WorkflowName,
        /// What, and where in it.
        problems: Vec<Problem>,
    },
    /// It is larger than one message may be.
    #[error("workflow `{workflow}` has {bytes} bytes as JSON; the broker takes {most}")]
    TooLarge {
        /// The workflow.
        workflow: WorkflowName,
        /// Its size.
        bytes: usize,
        /// The broker's limit.
        most: usize,
    },
    /// Others put it again and again at the same time.
    #[error("workflow `{workflow}` was put by others {TRIES} times meanwhile")]
    Busy {
        /// The workflow.
        workflow: WorkflowName,
    },
    /// It could not be written.
    #[error("could not store workflow `{workflow}`")]
    Write {
        /// The workflow.
        workflow: WorkflowName,
        /// Why.
        #[source]
        source: PublishError,
    },
    /// What is there could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
}

impl PutError {
    /// The code to look up or match on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "bad_workflow",
            Self::TooLarge { .. } => "too_large",
            Self::Busy { .. } => "busy",
            Self::Write { .. } => "write",
            Self::Query(source) => source.code(),
        }
    }

    /// Whether the same request may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::TooLarge { .. } => false,
            Self::Busy { .. } => true,
            Self::Write { source, .. } => source.is_transient(),
            Self::Query(source) => source.is_transient(),
        }
    }
}

impl Client {
    /// Stores a workflow and makes it the version that new runs take; runs under way keep theirs.
    ///
    /// Every skill and workflow it names must be there. Putting what is the present version already changes nothing; of
    /// two who put at once the later one's version is the present one, and both are kept.
    ///
    /// # Errors
    /// [`PutError`]; safe to call again.
    pub async fn put_workflow(&self, plan: &Plan) -> Result<PutWorkflow, PutError> {
        let workflow = plan.workflow().workflow.clone();
        let problems = self.unknown_names(plan.workflow()).await?;
        if !problems.is_empty() {
            return Err(PutError::Unknown { workflow, problems });
        }
        let write = |source| PutError::Write { workflow: workflow.clone(), source };
        let hash = plan.hash().to_owned();
        let key = format!("def.{hash}");
        let names = self.workflow_bucket();
        let read = || QueryError::broker(format!("read workflow `{workflow}`"));
        if names.get(&key).await.map_err(read())?.is_none() {
            let body = nova_workflow::canonical(plan.workflow());
            let most = self.inner.broker.server().max_payload;
            if most > 0 && body.len() > most {
                return Err(PutError::TooLarge { workflow, bytes: body.len(), most });
            }
            // The same bytes whoever writes them: no need to compare.
            names.put(&key, body, None, Expect::Any).await.map_err(write)?;
        }
        let key = format!("name.{workflow}");
        for _ in 0..TRIES {
            let entry = names.get(&key).await.map_err(read())?;
            let record = entry.as_ref().map(|entry| read_name(&workflow, &entry.value)).transpose()?;
            let before = record.as_ref().map(|record| record.hash.clone());
            let put = PutWorkflow { workflow: workflow.clone(), hash: hash.clone(), before };
            if !put.is_changed() {
                return Ok(put);
            }
            let body =
                serde_json::to_vec(&next_name(record, &hash, self.now())).expect("a plain record always encodes");
            let expect = Expect::Last(entry.map_or(0, |entry| entry.revision));
            match names.put(&key, body, None, expect).await {
                Ok(_) => return Ok(put),
                // Someone else moved it, or we did and the receipt was lost: the record says which.
                Err(PublishError::Conflict { .. } | PublishError::Unknown { .. }) => {}
                Err(source) => return Err(write(source)),
            }
        }
        Err(PutError::Busy { workflow })
    }

    pub(crate) fn workflow_bucket(&self) -> Bucket {
        Bucket::new(self.inner.broker.clone(), assets::WORKFLOWS_BUCKET)
    }
}

/// The name's record once `hash` is the present version.
fn next_name(before: Option<NameRecord>, hash: &str, at: UnixMillis) -> NameRecord {
    let mut versions = before.map(|record| record.versions).unwrap_or_default();
    versions.retain(|entry| entry.hash != hash);
    versions.push(VersionEntry { hash: hash.to_owned(), at });
    let surplus = versions.len().saturating_sub(VERSIONS);
    versions.drain(..surplus);
    NameRecord { hash: hash.to_owned(), at, versions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_put_again_is_the_present_one_and_stands_once() {
        let mut record = None;
        for (at, hash) in ["a", "b", "a"].into_iter().enumerate() {
            record = Some(next_name(record, hash, UnixMillis(at as i64)));
        }
        let record = record.expect("three were put");
        let versions: Vec<(&str, i64)> = record.versions.iter().map(|v| (v.hash.as_str(), v.at.0)).collect();
        assert_eq!((record.hash.as_str(), versions), ("a", vec![("b", 1), ("a", 2)]));
    }

    #[test]
    fn a_name_remembers_only_so_many_versions() {
        let record = (0..2 * VERSIONS).fold(None, |before, n| Some(next_name(before, &n.to_string(), UnixMillis(0))));
        assert_eq!(record.expect("many were put").versions.len(), VERSIONS);
    }
}
