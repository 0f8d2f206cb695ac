//! Why a run cannot be moved just now; it stays as it was.

use nova_workflow::{BlobName, Decision};

/// Why a run cannot be moved just now.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Stuck {
    /// It needs these objects first; load them and ask again.
    #[error("{} objects must be loaded first", .0.len())]
    Wants(Vec<BlobName>),
    /// It is of a version this code does not know: someone who knows it must move it.
    #[error("the run is parked: {0}")]
    Parked(String),
    /// Its record does not follow from its events, so that nothing may be decided upon it.
    #[error("the record differs: {0}")]
    Diverged(Box<Divergence>),
}

/// The first place where a recorded run differs from what the engine decides.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("transition {n} holds {} decisions, the engine comes to {}", .expected.len(), .found.len())]
pub struct Divergence {
    /// The transition's number.
    pub n: u64,
    /// What is recorded.
    pub expected: Vec<Decision>,
    /// What the engine decides.
    pub found: Vec<Decision>,
}
