//! The skill itself: hands a task's input to the client and turns its answer into a result or a verdict.

use std::sync::Arc;
use std::time::Duration;

use nova_worker::{Context, Skill, Verdict};
use serde_json::json;
use tokio::time::Instant;

use crate::client::{Client, ClientError};
use crate::config::HttpConfig;
use crate::error::{CallError, Next};
use crate::input::Input;
use crate::output::HttpResult;
use crate::resolve::{Resolver, SystemResolver};

/// The `http` skill.
pub struct Http {
    config: HttpConfig,
    client: Client,
}

impl Http {
    /// Makes the skill as the deployment configures it.
    ///
    /// # Errors
    /// When the configuration names a network or a file that cannot be read.
    pub fn new(config: HttpConfig) -> Result<Self, ClientError> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// Makes the skill with another resolver.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_resolver(config: HttpConfig, resolver: Arc<dyn Resolver>) -> Result<Self, ClientError> {
        let client = Client::with_resolver(&config, resolver)?;
        Ok(Self { config, client })
    }
}

impl Skill for Http {
    type Input = Input;
    type Output = HttpResult;

    fn name(&self) -> &str {
        "http"
    }

    fn version(&self) -> &str {
        env!("CARGO_PKG_VERSION")
    }

    async fn run(&self, input: Input, cx: Context) -> Result<HttpResult, Verdict> {
        let mut call = input.check(&self.config, &cx.idempotency_key()).map_err(|e| verdict(&e.into()))?;
        // A call that outlives its attempt has nobody to tell.
        call.timeout = call.timeout.min(cx.deadline().saturating_duration_since(Instant::now()));
        tokio::select! {
            answer = self.client.call(call) => answer.map_err(|e| verdict(&e)),
            () = cx.cancelled() => Err(Verdict::retry("stopped", "the attempt had to stop before the answer came")),
        }
    }
}

/// What the worker is told about a failed call.
fn verdict(error: &CallError) -> Verdict {
    let (code, told) = (error.code(), error.told());
    let verdict = match error.next() {
        Next::Retry(None) => Verdict::retry(&*code, &*told),
        Next::Retry(Some(after)) => Verdict::retry_after(after.max(Duration::from_millis(1)), &*code, &*told),
        Next::Reject => Verdict::reject(&*code, &*told),
    };
    match error {
        CallError::Status { status, url, body, .. } => {
            verdict.with_details(json!({"status": status.as_u16(), "url": url, "body": body}))
        }
        _ => verdict,
    }
}
