//! Ask and wait: the status that says the answer is still to come.

/// The `Status` of a reply whose wait ended before the task did; its description is the task's id.
pub const CALL_PENDING_STATUS: &str = "202";
