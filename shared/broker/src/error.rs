//! What can go wrong between Nova and the broker.

/// A request to the broker that failed.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// No answer in time: whether it was done is not known.
    #[error("no answer to {what} within {after_ms} ms")]
    Timeout {
        /// What was asked, with the asset's name.
        what: String,
        /// How long it was waited for.
        after_ms: u64,
    },
    /// The connection is gone.
    #[error("not connected to the broker while asking for {what}")]
    Disconnected {
        /// What was asked.
        what: String,
    },
    /// The stream, consumer or bucket does not exist, or nobody serves it.
    #[error("{what} does not exist")]
    NotFound {
        /// The asset's name.
        what: String,
    },
    /// The broker said no.
    #[error("{what} was refused: {description} (code {code})")]
    Refused {
        /// What was asked.
        what: String,
        /// The broker's own error code.
        code: u64,
        /// The broker's own words.
        description: String,
    },
    /// The broker's answer could not be understood.
    #[error("could not understand the answer to {what}")]
    Garbled {
        /// What was asked.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A connection could not be made.
    #[error("could not connect to {url}")]
    Connect {
        /// The address, without credentials.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server is older than Nova needs.
    #[error("nats-server {found} at {url} is too old: Nova needs {needed} or later")]
    OldServer {
        /// The address.
        url: String,
        /// Its version.
        found: String,
        /// The oldest that will do.
        needed: &'static str,
    },
}

impl BrokerError {
    /// Whether the same request may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Disconnected { .. } | Self::Connect { .. })
    }
}

/// A publish that was not stored, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The subject's last sequence is not the expected one: someone else was first.
    #[error("{subject} was written by another first")]
    Conflict {
        /// The subject.
        subject: String,
    },
    /// The stream's limit is reached.
    #[error("the stream of {subject} is full: {description}")]
    Full {
        /// The subject.
        subject: String,
        /// The broker's own words.
        description: String,
    },
    /// No stream owns the subject.
    #[error("no stream takes {subject}")]
    NoStream {
        /// The subject.
        subject: String,
    },
    /// The message is larger than the broker takes.
    #[error("a message of {bytes} bytes for {subject} is larger than the broker takes")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Its size in bytes.
        bytes: usize,
    },
    /// No receipt came in time: it may be stored or not. A publish that is not permitted ends like this, too.
    #[error("no receipt for {subject} within {after_ms} ms")]
    Unknown {
        /// The subject.
        subject: String,
        /// How long it was waited for.
        after_ms: u64,
    },
    /// The broker said no for another reason.
    #[error("{subject} was refused: {description} (code {code})")]
    Refused {
        /// The subject.
        subject: String,
        /// The broker's own error code.
        code: u64,
        /// The broker's own words.
        description: String,
    },
}

impl PublishError {
    /// Whether the same publish may succeed later without anyone acting.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Full { .. })
    }
}
