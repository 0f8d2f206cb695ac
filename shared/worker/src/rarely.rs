//! Keeps what rarely happens out of the futures of what always does.

use std::future::Future;

use futures_util::future::BoxFuture;

/// Puts a branch that is rarely taken on the heap.
///
/// A future has room for the largest of its branches; that of a task is made, moved and freed for each task.
#[cold]
pub(crate) fn rarely<'a, T>(branch: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(branch)
}
