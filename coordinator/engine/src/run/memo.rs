//! What is remembered between calls so that nothing is converted twice; forgetting it changes no decision.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use nova_types::StepId;
use nova_workflow::{BlobName, Bound, Started};
use serde_json::Value;

use super::shared::Shared;
use super::state::Ended;

/// The large values of a run that are at hand.
pub trait Data {
    /// The content of an object, when it is loaded.
    fn get(&self, blob: &BlobName) -> Option<Arc<Value>>;
}

/// Values held in a map.
#[derive(Debug, Clone, Default)]
pub struct Loaded(pub BTreeMap<BlobName, Arc<Value>>);

impl Data for Loaded {
    fn get(&self, blob: &BlobName) -> Option<Arc<Value>> {
        self.0.get(blob).cloned()
    }
}

/// Conversions of one run's values; each is valid only beside the very object it was made of.
#[derive(Default)]
pub struct Memo {
    pub(super) input: Option<(Shared<Started>, Bound)>,
    pub(super) run: Option<(Shared<Started>, Bound)>,
    pub(super) steps: BTreeMap<StepId, (Shared<Ended>, Bound)>,
    pub(super) lists: BTreeMap<StepId, (Shared<u32>, Arc<Vec<Value>>)>,
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memo").field("steps", &self.steps.len()).field("lists", &self.lists.len()).finish()
    }
}
