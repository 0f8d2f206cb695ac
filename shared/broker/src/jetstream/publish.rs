//! Publishing into a stream, and understanding the receipt.

use std::time::Duration;

use async_nats::{HeaderName, HeaderValue, Subject};
use futures_util::FutureExt as _;
use nova_wire::name;
use serde::Deserialize;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::mux::{Patience, Slot};
use super::outbox::Outgoing;
use super::{JetStream, convert, is_no_responders, millis};
use crate::{Expect, Message, PublishError, Receipt};

/// How long a receipt is waited for. A leader's re-election takes longer: whoever retries does so on purpose.
const RECEIPT: Duration = Duration::from_secs(5);

/// The broker's codes for a subject whose last sequence is another: known to be, and about to be (replicated streams).
pub(super) const WRONG_LAST_SEQUENCE: [u64; 2] = [10071, 10164];
/// Replicating servers have a message of this id that is not stored yet, and may never be.
const DUPLICATE_IN_PROCESS: u64 = 10158;
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
    pub(super) async fn publish_one(&self, message: Message, expect: Expect) -> Result<Receipt, PublishError> {
        let Message { subject, headers, body, .. } = message;
        let (bytes, subject) = (body.len(), Subject::from(subject));
        let refused =
            |description: String| PublishError::Refused { subject: subject.to_string(), code: 0, description };
        let mut headers = convert::to_nats(&headers)
            .map_err(|header| refused(format!("header `{header}` holds what a header cannot")))?;
        if let Expect::Last(sequence) = expect {
            let condition = HeaderName::from_static(name::EXPECTED_LAST_SUBJECT_SEQUENCE);
            headers.get_or_insert_default().append(condition, HeaderValue::from(sequence));
        }
        if !convert::is_sendable(&subject) {
            return Err(refused("the subject is malformed".to_owned()));
        }
        if convert::wire_bytes(headers.as_ref()) + bytes > self.client.max_payload() {
            return Err(PublishError::TooLarge { subject: subject.to_string(), bytes });
        }
        let unknown = || PublishError::Unknown { subject: subject.to_string(), after_ms: millis(RECEIPT) };
        let until = Instant::now() + RECEIPT;
        let epoch = self.epoch(RECEIPT).await.ok_or_else(unknown)?;
        let mut slot = self.mux.publishes.claim(1, Some(Patience { until, epoch })).await;
        let outgoing = Outgoing { headers, ..Outgoing::new(subject.clone(), body).with_reply(slot.subject()) };
        let answer = match self.outbox.room() {
            Ok(room) => {
                room.send(outgoing);
                slot.next().await
            }
            Err(TrySendError::Full(())) => self.publish_late(outgoing, &mut slot).boxed().await,
            Err(TrySendError::Closed(())) => None,
        };
        match answer {
            Some(answer) if is_no_responders(&answer) => Err(PublishError::NoStream { subject: subject.to_string() }),
            Some(answer) => receipt(&subject, bytes, &answer.payload).unwrap_or_else(|| Err(unknown())),
            // It was lost with its connection, or is late; the message may be stored or not.
            None => Err(unknown()),
        }
    }

    /// Sends once there is room; a way out that is full must not be waited for without end, either.
    async fn publish_late(&self, outgoing: Outgoing, slot: &mut Slot) -> Option<async_nats::Message> {
        let sent = self.outbox.send(outgoing);
        tokio::pin!(sent);
        tokio::select! {
            biased;
            sent = &mut sent => match sent {
                Ok(()) => slot.next().await,
                Err(_closed) => None,
            },
            answer = slot.next() => answer,
        }
    }
}

/// Reads a receipt; `None` when it is none, or leaves open what becomes of the message.
fn receipt(subject: &str, bytes: usize, body: &[u8]) -> Option<Result<Receipt, PublishError>> {
    let ack: PubAck = serde_json::from_slice(body).ok()?;
    let Some(error) = ack.error else {
        return Some(Ok(Receipt { stream: ack.stream, sequence: ack.seq, is_duplicate: ack.duplicate }));
    };
    if error.err_code == DUPLICATE_IN_PROCESS {
        return None;
    }
    let subject = subject.to_owned();
    Some(Err(match error.err_code {
        code if WRONG_LAST_SEQUENCE.contains(&code) => PublishError::Conflict { subject },
        MESSAGE_TOO_LARGE => PublishError::TooLarge { subject, bytes },
        code if FULL.contains(&code) => PublishError::Full { subject, description: error.description },
        code => PublishError::Refused { subject, code, description: error.description },
    }))
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
        assert!(read(&error(DUPLICATE_IN_PROCESS)).is_none(), "the first copy may be stored yet");
        assert!(matches!(read(&error(1)), Some(Err(PublishError::Refused { code: 1, .. }))));
        assert!(read("no").is_none());
    }
}
