//! A task's terminal record with its body.

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use nova_broker::{BlobError, Blobs};
use nova_types::{Outcome, OutcomeKind};
use nova_wire::{
    BlobRef, ContentType, DecodeError, ErrorBody, Headers, InvalidBlobRef, InvalidOutcome, Payload, name, parse_outcome,
};

/// How a task ended, with its result or its error.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskOutcome {
    /// The record's facts.
    pub outcome: Outcome,
    /// The result when completed, else the error as `{code, message, details}`.
    pub body: Payload,
}

/// A record that is not what the contract says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// It has no outcome header.
    #[error("it has no {} header", name::OUTCOME)]
    NoHeader,
    /// Its outcome header is malformed.
    #[error(transparent)]
    Header(#[from] InvalidOutcome),
    /// Its blob header is malformed.
    #[error(transparent)]
    Blob(#[from] InvalidBlobRef),
    /// Its content type is not of the contract.
    #[error("its content type `{0}` is neither JSON nor MessagePack")]
    ContentType(String),
}

impl TaskOutcome {
    /// The error of a task that did not complete; a body that is none yields the code alone.
    #[must_use]
    pub fn error(&self) -> Option<ErrorBody> {
        if self.outcome.kind == OutcomeKind::Completed {
            return None;
        }
        let bare = || {
            let code = self.outcome.code.as_ref().map_or(self.outcome.kind.as_str(), |code| code.as_str());
            ErrorBody::new(code, "")
        };
        Some(self.body.decode().unwrap_or_else(|_| bare()))
    }

    /// The result of a completed task, decoded; `None` when it did not complete.
    ///
    /// # Errors
    /// [`DecodeError`] when the result is not a `T`.
    pub fn result<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>, DecodeError> {
        match self.outcome.kind {
            OutcomeKind::Completed => self.body.decode().map(Some),
            OutcomeKind::Dead | OutcomeKind::Cancelled => Ok(None),
        }
    }
}

type Fetched = Result<TaskOutcome, BlobError>;

/// A record as read, its body possibly elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct RawOutcome {
    pub(crate) outcome: Outcome,
    body: Payload,
    blob: Option<BlobRef>,
}

impl RawOutcome {
    pub(crate) fn parse(headers: &Headers, body: Bytes) -> Result<Self, InvalidRecord> {
        let outcome = parse_outcome(headers.get(name::OUTCOME).ok_or(InvalidRecord::NoHeader)?)?;
        let content_type = read_content_type(headers)?;
        let blob = headers.get(name::BLOB).map(BlobRef::parse).transpose()?;
        Ok(Self { outcome, body: Payload { content_type, bytes: body }, blob })
    }

    /// The outcome with its body; one that is elsewhere is fetched, on the heap, as that is rare.
    pub(crate) fn fetch(self, blobs: &Blobs) -> Either<Ready<Fetched>, BoxFuture<'_, Fetched>> {
        let Self { outcome, mut body, blob } = self;
        let Some(blob) = blob else { return Either::Left(ready(Ok(TaskOutcome { outcome, body }))) };
        let fetched = async move {
            body.bytes = blobs.get(&blob).await?;
            Ok(TaskOutcome { outcome, body })
        };
        Either::Right(fetched.boxed())
    }
}

pub(crate) fn read_content_type(headers: &Headers) -> Result<ContentType, InvalidRecord> {
    match headers.get(name::CONTENT_TYPE) {
        None => Ok(ContentType::Json),
        Some(text) => ContentType::from_media_type(text).ok_or_else(|| InvalidRecord::ContentType(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str, body: &'static str) -> RawOutcome {
        let headers = Headers::new().with(name::OUTCOME, header);
        RawOutcome::parse(&headers, Bytes::from_static(body.as_bytes())).expect("well formed")
    }

    #[test]
    fn an_error_is_read_from_the_body_or_made_from_the_code() {
        let header = r#"dead;task="a";skill="echo";attempt=2;finished=5;code="exit""#;
        for (body, message) in [(r#"{"code":"exit","message":"status 1"}"#, "status 1"), ("]", "")] {
            let raw = parse(header, body);
            let outcome = TaskOutcome { outcome: raw.outcome, body: raw.body };
            let error = outcome.error().expect("it is dead");
            assert_eq!((error.code.as_str(), error.message.as_str()), ("exit", message));
            assert_eq!(outcome.result::<u32>().expect("no result to decode"), None);
        }
    }

    #[test]
    fn a_result_is_decoded() {
        let raw = parse(r#"completed;task="a";skill="echo";attempt=1;finished=5"#, "7");
        let outcome = TaskOutcome { outcome: raw.outcome, body: raw.body };
        assert_eq!(outcome.result::<u32>().expect("a number"), Some(7));
        assert_eq!(outcome.error(), None);
    }

    #[test]
    fn a_record_without_its_header_is_refused() {
        let refused = RawOutcome::parse(&Headers::new(), Bytes::new()).expect_err("no header");
        assert_eq!(refused, InvalidRecord::NoHeader);
    }
}
