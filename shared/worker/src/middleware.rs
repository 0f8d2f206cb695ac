//! Code around every attempt of a worker: logging, tracing, rate limits, redaction.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use nova_wire::Payload;

use crate::skill::AnySkill;
use crate::{Context, Verdict};

/// Wraps the attempts of every skill of a worker.
///
/// ```
/// use futures_util::future::BoxFuture;
/// use nova_worker::{Context, Middleware, Next, Payload, Verdict};
///
/// /// Refuses what is too large for this worker.
/// struct AtMost(usize);
///
/// impl Middleware for AtMost {
///     fn handle<'a>(&'a self, input: Payload, cx: Context, next: Next<'a>) -> BoxFuture<'a, Result<Payload, Verdict>> {
///         Box::pin(async move {
///             match input.bytes.len() {
///                 n if n > self.0 => Err(Verdict::reject("too_large", "more than this worker takes")),
///                 _ => next.run(input, cx).await,
///             }
///         })
///     }
/// }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Handles one attempt, usually by calling [`Next::run`].
    fn handle<'a>(&'a self, input: Payload, cx: Context, next: Next<'a>) -> BoxFuture<'a, Result<Payload, Verdict>>;
}

/// What stands behind a middleware: the next one, at last the skill.
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    skill: &'a dyn AnySkill,
}

impl<'a> Next<'a> {
    pub(crate) fn new(rest: &'a [Arc<dyn Middleware>], skill: &'a dyn AnySkill) -> Self {
        Self { rest, skill }
    }

    /// Goes on.
    #[must_use]
    pub fn run(self, input: Payload, cx: Context) -> BoxFuture<'a, Result<Payload, Verdict>> {
        match self.rest.split_first() {
            Some((first, rest)) => first.handle(input, cx, Next { rest, skill: self.skill }),
            None => self.skill.run(input, cx),
        }
    }
}
