//! Why a call failed, and whether another attempt may help.

use std::borrow::Cow;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::StatusCode;

use crate::input::InputError;
use crate::redirect::RedirectError;

/// A call that gave no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The input cannot be sent.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The deployment does not let this host be called.
    #[error("calls to `{host}` are not allowed here")]
    HostDenied {
        /// The host of the URL.
        host: String,
    },
    /// Every address of the host is of a kind that may not be called.
    #[error("`{host}` has only addresses that may not be called ({kind})")]
    PrivateAddress {
        /// The host of the URL.
        host: String,
        /// The kind of the first of them.
        kind: &'static str,
    },
    /// The host's name has no address, or could not be looked up.
    #[error("could not look up `{host}`")]
    Dns {
        /// The host of the URL.
        host: String,
        /// Why, when the resolver said so.
        #[source]
        source: Option<io::Error>,
    },
    /// No connection came about.
    #[error("could not connect to {address}")]
    Connect {
        /// The address tried last.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side is not who the URL says, or speaks no TLS we accept.
    #[error("no trusted TLS connection to `{host}`")]
    Tls {
        /// The host of the URL.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The other side did not speak HTTP to its end.
    #[error("`{host}` broke off or did not speak http")]
    Protocol {
        /// The host of the URL.
        host: String,
        /// What was wrong.
        #[source]
        source: hyper::Error,
    },
    /// The time for the call is over.
    #[error("no whole answer within {0:?}")]
    Timeout(Duration),
    /// The response body is larger than allowed.
    #[error("the response body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit.
        limit: u64,
    },
    /// The response head is larger than allowed.
    #[error("the response head is larger than {limit} bytes or has too many headers")]
    HeadTooLarge {
        /// The limit.
        limit: usize,
    },
    /// A redirect may not be followed.
    #[error("a redirect of `{url}` was refused")]
    Redirect {
        /// The URL that redirected, without its query.
        url: String,
        /// Why.
        #[source]
        source: RedirectError,
    },
    /// There were more redirects than allowed.
    #[error("more than {limit} redirects")]
    TooManyRedirects {
        /// The limit.
        limit: u8,
    },
    /// The status is no success.
    #[error("{method} {url} answered {status}")]
    Status {
        /// The method.
        method: hyper::Method,
        /// The URL, without its query.
        url: String,
        /// The status.
        status: StatusCode,
        /// What to do about it.
        next: Next,
        /// The first bytes of the body, to tell why.
        body: String,
    },
}

/// What may be done after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt may help, after the given time when the server named one.
    Retry(Option<Duration>),
    /// No attempt will.
    Reject,
}

impl CallError {
    /// The code the task's outcome carries.
    pub fn code(&self) -> Cow<'static, str> {
        match self {
            Self::Input(_) => "bad_input".into(),
            Self::HostDenied { .. } => "host_denied".into(),
            Self::PrivateAddress { .. } => "private_address".into(),
            Self::Dns { .. } => "dns".into(),
            Self::Connect { .. } => "connect".into(),
            Self::Tls { .. } => "tls".into(),
            Self::Protocol { .. } => "protocol".into(),
            Self::Timeout(_) => "timeout".into(),
            Self::BodyTooLarge { .. } | Self::HeadTooLarge { .. } => "limit_output".into(),
            Self::Redirect { .. } | Self::TooManyRedirects { .. } => "redirect".into(),
            Self::Status { status, .. } => format!("http_{}", status.as_u16()).into(),
        }
    }

    /// Whether another attempt may help.
    pub fn next(&self) -> Next {
        match self {
            Self::Dns { .. } | Self::Connect { .. } | Self::Protocol { .. } | Self::Timeout(_) => Next::Retry(None),
            Self::Status { next, .. } => *next,
            Self::Input(_)
            | Self::HostDenied { .. }
            | Self::PrivateAddress { .. }
            | Self::Tls { .. }
            | Self::BodyTooLarge { .. }
            | Self::HeadTooLarge { .. }
            | Self::Redirect { .. }
            | Self::TooManyRedirects { .. } => Next::Reject,
        }
    }

    /// Whether another attempt may help.
    pub fn is_transient(&self) -> bool {
        matches!(self.next(), Next::Retry(_))
    }

    /// The whole story in one line: this error and everything behind it.
    pub fn told(&self) -> String {
        let mut told = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            told = format!("{told}: {cause}");
            source = cause.source();
        }
        told
    }
}
