//! Makes a whole call: connect, ask, follow redirects, judge the answer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use crate::config::HttpConfig;
use crate::connect::Connector;
use crate::error::{CallError, Next};
use crate::exchange::{Answer, exchange};
use crate::input::{Call, Request};
use crate::judge::{Follow, Judgement, judge};
use crate::output::{Hop, HttpResult, body_fields, header_map, millis};
use crate::policy::{BadNetwork, Policy};
use crate::redirect::{Downgrade, follow};
use crate::resolve::{Resolver, SystemResolver};

mod trust;
pub use trust::TrustError;

/// How much of a failed response's body goes into the outcome: enough for a reason, too little to hurt.
const SNIPPET_BYTES: usize = 1024;
/// How long to wait for it.
const SNIPPET_TIME: Duration = Duration::from_secs(1);

/// Calls URLs within a deployment's limits; shared by all tasks of a worker.
pub struct Client {
    connector: Connector,
    downgrade: Downgrade,
    max_retry_after: Duration,
}

/// A configuration no client can be made of.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A network is written in no known way.
    #[error("`http.allow_networks` holds something else")]
    Network(#[from] BadNetwork),
    /// The certificate authorities cannot be read.
    #[error("could not load the certificate authorities")]
    Trust(#[from] TrustError),
}

impl Client {
    /// Makes a client with the machine's resolver.
    ///
    /// # Errors
    /// When the configuration names a network or a file that cannot be read.
    pub fn new(config: &HttpConfig) -> Result<Self, ClientError> {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// Makes a client with another resolver.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_resolver(config: &HttpConfig, resolver: Arc<dyn Resolver>) -> Result<Self, ClientError> {
        let (policy, tls) = (Policy::new(config)?, trust::tls_config(config.ca_file.as_deref())?);
        Ok(Self {
            connector: Connector { policy, resolver, tls, timeout: config.connect_timeout() },
            downgrade: if config.allow_downgrade { Downgrade::Allowed } else { Downgrade::Refused },
            max_retry_after: config.max_retry_after(),
        })
    }

    /// Makes the call; gives up when its time is over.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::next`] says whether another attempt may help.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection; what the other side did by then stays done.
    pub async fn call(&self, call: Call) -> Result<HttpResult, CallError> {
        let time = call.timeout;
        tokio::time::timeout(time, self.call_untimed(call)).await.unwrap_or(Err(CallError::Timeout(time)))
    }

    async fn call_untimed(&self, call: Call) -> Result<HttpResult, CallError> {
        let started = Instant::now();
        let Call { mut request, max_response_bytes, redirects, expect, .. } = call;
        let following = if redirects == 0 { Follow::No } else { Follow::Yes };
        let mut hops: Vec<Hop> = Vec::new();
        loop {
            let (stream, address) = self.connector.connect(&request.url).await?;
            let answer = exchange(stream, &request).await?;
            let status = answer.response.status();
            let next = match judge(status, answer.response.headers(), expect.as_deref(), following) {
                Judgement::Success => {
                    let headers = header_map(answer.response.headers());
                    let (body, body_base64) = body_fields(&answer.body(max_response_bytes).await?);
                    return Ok(HttpResult {
                        status: status.as_u16(),
                        headers,
                        body,
                        body_base64,
                        url: request.url.into(),
                        redirects: hops,
                        elapsed_ms: millis(started.elapsed()),
                        address: address.to_string(),
                    });
                }
                Judgement::Redirect if hops.len() < usize::from(redirects) => {
                    let source = follow(&request, status, answer.response.headers(), self.downgrade);
                    let next = source.map_err(|source| CallError::Redirect { url: plain(&request.url), source })?;
                    let sent = std::mem::replace(&mut request, next);
                    hops.push(Hop { url: sent.url.into(), status: status.as_u16(), address: address.to_string() });
                    continue;
                }
                Judgement::Redirect => return Err(CallError::TooManyRedirects { limit: redirects }),
                Judgement::Retry(after) => Next::Retry(after.map(|after| after.min(self.max_retry_after))),
                Judgement::Reject => Next::Reject,
            };
            return Err(refused(&request, answer, next).await);
        }
    }
}

async fn refused(request: &Request, answer: Answer, next: Next) -> CallError {
    let status = answer.response.status();
    let body = tokio::time::timeout(SNIPPET_TIME, answer.beginning(SNIPPET_BYTES)).await.unwrap_or_default();
    CallError::Status {
        method: request.method.clone(),
        url: plain(&request.url),
        status,
        next,
        body: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// The URL without query and fragment, where secrets hide.
fn plain(url: &Url) -> String {
    url[..url::Position::AfterPath].to_owned()
}
