//! Publishing into a stream, and understanding the receipt.

use std::time::Duration;

use async_nats::client::PublishErrorKind;
use nova_wire::name;
use serde::Deserialize;

use super::{JetStream, convert, is_no_responders, millis};
use crate::{Expect, Message, PublishError, Receipt};

/// How long a receipt is waited for. A leader's re-election takes longer: whoever retries does so on purpose.
const RECEIPT: Duration = Duration::from_secs(5);

/// The broker's codes for a subject whose last sequence is another: known to be, and about to be (replicated streams).
const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];
/// Its codes for a stream or an account that is full, and for a store that cannot take more.
const FULL: [u64; 4] = [10077, 10047, 10023, 10028];
/// Its code for a message over the stream's own limit.
const MESSAGE_TOO_LARGE: u64 = 10054;

#[derive(Deserialize)]
struct PubAck {
    #[serde(default)]
    stream: String,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<ApiError>,
}

/// The error part of any answer of the broker's API.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: u64,
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

impl JetStream {
    pub(super) async fn publish_one(&self, mut message: Message, expect: Expect) -> Result<Receipt, PublishError> {
        let subject = message.subject.clone();
        if let Expect::Last(sequence) = expect {
            message.headers.push(name::EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
        }
        if let Some(header) = convert::refusal(&message.headers) {
            let description = format!("header `{header}` holds what a header cannot");
            return Err(PublishError::Refused { subject, code: 0, description });
        }
        let bytes = message.body.len();
        let unknown = || PublishError::Unknown { subject: subject.clone(), after_ms: millis(RECEIPT) };
        let mut link = self.link(RECEIPT).await.ok_or_else(unknown)?;
        let mut slot = self.mux.publishes.claim(1).await;
        let reply = slot.subject(&self.mux);
        // One deadline for both: a full client buffer must not be waited for without end, either.
        let exchange = async {
            self.send(message, Some(&reply)).await?;
            Ok::<_, async_nats::client::PublishError>(slot.next().await)
        };
        let exchanged = tokio::select! {
            exchanged = tokio::time::timeout(RECEIPT, exchange) => exchanged,
            // The receipt was lost with the connection; the message may be stored or not.
            () = link.lost() => return Err(unknown()),
        };
        match exchanged {
            Ok(Ok(Some(answer))) if is_no_responders(&answer) => Err(PublishError::NoStream { subject }),
            Ok(Ok(Some(answer))) => receipt(&subject, bytes, &answer.payload).unwrap_or_else(|| Err(unknown())),
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                Err(PublishError::TooLarge { subject, bytes })
            }
            Ok(Err(error)) if error.kind() == PublishErrorKind::InvalidSubject => {
                let description = "the subject is malformed".to_owned();
                Err(PublishError::Refused { subject, code: 0, description })
            }
            _ => Err(unknown()),
        }
    }
}

/// Reads a receipt; `None` when it is none.
fn receipt(subject: &str, bytes: usize, body: &[u8]) -> Option<Result<Receipt, PublishError>> {
    let ack: PubAck = serde_json::from_slice(body).ok()?;
    let subject = subject.to_owned();
    Some(match ack.error {
        None => Ok(Receipt { stream: ack.stream, sequence: ack.seq, is_duplicate: ack.duplicate }),
        Some(error) if WRONG_LAST_SEQUENCE.contains(&error.err_code) => Err(PublishError::Conflict { subject }),
        Some(error) if error.err_code == MESSAGE_TOO_LARGE => Err(PublishError::TooLarge { subject, bytes }),
        Some(error) if FULL.contains(&error.err_code) => {
            Err(PublishError::Full { subject, description: error.description })
        }
        Some(error) => Err(PublishError::Refused { subject, code: error.err_code, description: error.description }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_told_apart() {
        let read = |text: &str| receipt("s", 1, text.as_bytes());
        let stored =
            read(r#"{"stream":"S","seq":7,"duplicate":true,"domain":"d"}"#).expect("a receipt").expect("stored");
        assert_eq!((stored.sequence, stored.is_duplicate), (7, true));
        let error = |code: u64| {
            format!(r#"{{"error":{{"code":400,"err_code":{code},"description":"x"}},"stream":"S","seq":0}}"#)
        };
        for code in [10071, 10164] {
            assert!(matches!(read(&error(code)), Some(Err(PublishError::Conflict { .. }))));
        }
        assert!(matches!(read(&error(10077)), Some(Err(PublishError::Full { .. }))));
        assert!(matches!(read(&error(1)), Some(Err(PublishError::Refused { code: 1, .. }))));
        assert!(read("no").is_none());
    }
}
