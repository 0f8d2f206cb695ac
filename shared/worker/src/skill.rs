//! The trait a skill implements, and its object-safe face.

use std::future::Future;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nova_types::codes;
use nova_wire::Payload;

use crate::{Context, FromPayload, IntoPayload, Verdict};

/// One thing a worker can do.
///
/// A skill is shared by all attempts of its process: what it holds (a pool, a model) is made once.
pub trait Skill: Send + Sync + 'static {
    /// What it is asked: anything serde can decode, or [`Raw`](crate::Raw).
    type Input: FromPayload;
    /// What it answers: anything serde can encode, or [`Raw`](crate::Raw).
    type Output: IntoPayload;

    /// Its name in the catalogue, `[a-z0-9-]{1,48}`.
    fn name(&self) -> &str;

    /// Its version, shown in presence and discovery.
    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    /// Runs one attempt.
    ///
    /// It may run more than once for one task: side effects should be safe to repeat, or carry the task's id as their
    /// key. When [`Context::cancelled`] resolves it must stop; after the grace it is dropped where it stands.
    /// Code that blocks belongs into a [`BlockingSkill`](crate::BlockingSkill); `tokio::task::block_in_place` panics here.
    fn run(&self, input: Self::Input, cx: Context) -> impl Future<Output = Result<Self::Output, Verdict>> + Send;
}

/// A skill without its types: bytes in, bytes out.
pub(crate) trait AnySkill: Send + Sync + 'static {
    fn name(&self) -> &str;
    fn version(&self) -> &str;
    fn run(&self, input: Payload, cx: Context) -> BoxFuture<'_, Result<Payload, Verdict>>;
}

impl<S: Skill> AnySkill for S {
    fn name(&self) -> &str {
        Skill::name(self)
    }

    fn version(&self) -> &str {
        Skill::version(self)
    }

    fn run(&self, input: Payload, cx: Context) -> BoxFuture<'_, Result<Payload, Verdict>> {
        async move {
            let content_type = input.content_type;
            let input = S::Input::from_payload(input).map_err(|error| {
                let mut message = error.to_string();
                if let Some(cause) = std::error::Error::source(&error) {
                    message.push_str(": ");
                    message.push_str(&cause.to_string());
                }
                Verdict::reject(error.code(), message)
            })?;
            let output = Skill::run(self, input, cx).await?;
            output.into_payload(content_type).map_err(|error| Verdict::reject(codes::BAD_RESULT, error.to_string()))
        }
        .boxed()
    }
}
