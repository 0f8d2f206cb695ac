//! A message and a subscription, as core NATS has them.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use nova_wire::Headers;

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Where it goes, or where it came on.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Bytes,
    /// Where an answer is wanted.
    pub reply: Option<String>,
}

impl Message {
    /// A message without headers.
    #[must_use]
    pub fn new(subject: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { subject: subject.into(), body: body.into(), ..Self::default() }
    }

    /// The same with these headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }
}

/// The messages of a core subscription; dropping it ends the subscription.
pub type Listener = BoxStream<'static, Message>;

/// A service as NATS' own discovery shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Its name, `[A-Za-z0-9_-]+`.
    pub name: String,
    /// Its semantic version.
    pub version: String,
    /// What it is, for a person.
    pub description: String,
    /// Notes that travel with it.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// The name and subject of what can be asked, wildcards allowed.
    pub endpoints: Vec<(String, String)>,
}
