//! Reading messages back: direct get, which any replica answers and which creates no consumer.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use nova_types::UnixMillis;
use serde::Deserialize;
use serde_json::json;

use super::outbox::Outgoing;
use super::{ANSWER, JetStream, convert, is_no_responders, millis};
use crate::{BrokerError, Inspected, Message, Scan, Stored};

/// The most messages the broker sends for one batched read.
const PAGE: usize = 1000;

impl JetStream {
    pub(super) async fn read_last(&self, stream: String, subject: String) -> Result<Option<Stored>, BrokerError> {
        let what = format!("the last message of {subject}");
        let ask = Message::new(format!("$JS.API.DIRECT.GET.{stream}.{subject}"), Bytes::new());
        let answer = self.request(&what, ask, ANSWER).await?;
        read_one(&what, &stream, answer)
    }

    pub(super) async fn read_sequence(&self, stream: String, sequence: u64) -> Result<Option<Stored>, BrokerError> {
        let what = format!("message {sequence} of {stream}");
        Ok(self.read_raw(&what, &stream, json!({ "seq": sequence })).await?.map(|inspected| inspected.stored))
    }

    pub(super) async fn read_next(
        &self,
        stream: String,
        subject: String,
        from: u64,
    ) -> Result<Option<Inspected>, BrokerError> {
        let what = format!("the next message of {subject}");
        self.read_raw(&what, &stream, json!({ "seq": from.max(1), "next_by_subj": subject })).await
    }

    /// Reads through the JSON API: it carries the headers as bytes, so that even a message whose headers no client can
    /// parse is readable.
    async fn read_raw(
        &self,
        what: &str,
        stream: &str,
        ask: serde_json::Value,
    ) -> Result<Option<Inspected>, BrokerError> {
        #[derive(Deserialize)]
        struct Answer {
            message: Option<Raw>,
        }
        #[derive(Deserialize)]
        struct Raw {
            subject: String,
            seq: u64,
            time: String,
            #[serde(default)]
            hdrs: String,
            #[serde(default)]
            data: String,
        }
        let answer: Answer = match self.api(what, format!("$JS.API.STREAM.MSG.GET.{stream}"), ask).await {
            Ok(answer) => self.understand(what, answer)?,
            Err(BrokerError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let garbled = |error: base64::DecodeError| BrokerError::Garbled { what: what.to_owned(), source: error.into() };
        let Some(raw) = answer.message else { return Ok(None) };
        let block = STANDARD.decode(raw.hdrs).map_err(garbled)?;
        let stored = Stored {
            subject: raw.subject,
            sequence: raw.seq,
            at: nova_wire::parse_rfc3339(&raw.time).unwrap_or_default(),
            headers: convert::from_block(&block),
            body: STANDARD.decode(raw.data).map_err(garbled)?.into(),
        };
        let unreadable = (!convert::is_readable(&block)).then(|| Bytes::from(block));
        Ok(Some(Inspected { stored, unreadable }))
    }

    pub(super) async fn read_many(&self, scan: Scan) -> Result<Vec<Stored>, BrokerError> {
        let what = format!("messages of {}", scan.subject);
        let mut all = Vec::new();
        let mut from = scan.from.max(1);
        while all.len() < scan.limit {
            let batch = PAGE.min(scan.limit - all.len());
            let ask = if scan.last_per_subject {
                json!({ "multi_last": [scan.subject], "batch": batch, "seq": from })
            } else {
                json!({ "next_by_subj": scan.subject, "batch": batch, "seq": from })
            };
            let (page, is_end) = self.read_page(&what, &scan.stream, ask, batch).await?;
            let Some(last) = page.last() else { break };
            from = last.sequence + 1;
            all.extend(page);
            if is_end {
                break;
            }
        }
        Ok(all)
    }

    /// One batched read, and whether nothing is left behind it.
    async fn read_page(
        &self,
        what: &str,
        stream: &str,
        ask: serde_json::Value,
        batch: usize,
    ) -> Result<(Vec<Stored>, bool), BrokerError> {
        let lost = || BrokerError::Disconnected { what: what.to_owned() };
        let mut link = self.link(ANSWER).await.ok_or_else(lost)?;
        let mut slot = self.mux.requests.claim(batch + 2, None).await;
        let asked = Outgoing::new(format!("$JS.API.DIRECT.GET.{stream}"), ask.to_string()).with_reply(slot.subject());
        self.outbox.send(asked).await.map_err(|_| lost())?;
        let mut page = Vec::new();
        loop {
            let answer = tokio::select! {
                answer = tokio::time::timeout(ANSWER, slot.next()) => answer,
                () = link.lost() => return Err(lost()),
            };
            let Ok(Some(answer)) = answer else {
                return Err(BrokerError::Timeout { what: what.to_owned(), after_ms: millis(ANSWER) });
            };
            // 204 is the end of a batch; it tells how much is left.
            if answer.status.is_some_and(|status| status.as_u16() == 204) {
                slot.end();
                let left = answer.headers.as_ref().and_then(|h| h.get("Nats-Num-Pending"));
                return Ok((page, left.is_none_or(|left| left.as_str() == "0")));
            }
            match read_one(what, stream, answer) {
                Ok(Some(stored)) => page.push(stored),
                Ok(None) => {
                    slot.end();
                    return Ok((page, true));
                }
                Err(error) => {
                    // A status is all there is to come; behind a garbled message the rest of its batch still arrives.
                    if matches!(error, BrokerError::Refused { .. } | BrokerError::NotFound { .. }) {
                        slot.end();
                    }
                    return Err(error);
                }
            }
        }
    }
}

/// Understands one answer of a direct get; `None` when there is no such message.
fn read_one(what: &str, stream: &str, answer: async_nats::Message) -> Result<Option<Stored>, BrokerError> {
    if is_no_responders(&answer) {
        return Err(BrokerError::NotFound { what: format!("stream {stream}") });
    }
    match answer.status.map(|status| status.as_u16()) {
        None => {}
        Some(404) => return Ok(None),
        Some(code) => {
            let description = answer.description.unwrap_or_default();
            return Err(BrokerError::Refused { what: what.to_owned(), code: code.into(), description });
        }
    }
    let missing = |name: &'static str| BrokerError::Garbled {
        what: what.to_owned(),
        source: format!("the answer lacks a valid {name}").into(),
    };
    // The broker adds its lines behind those of the message, which may bear the same names: the last one is its word.
    let told = |name: &'static str| {
        let value = answer.headers.as_ref().and_then(|headers| headers.get_last(name));
        value.map(|value| value.as_str()).ok_or_else(|| missing(name))
    };
    let subject = told("Nats-Subject")?.to_owned();
    let sequence = told("Nats-Sequence")?.parse().map_err(|_| missing("Nats-Sequence"))?;
    let at: UnixMillis =
        nova_wire::parse_rfc3339(told("Nats-Time-Stamp")?).ok_or_else(|| missing("Nats-Time-Stamp"))?;
    let mut headers = convert::from_nats(answer.headers.as_ref());
    headers.retain(|name| {
        ![
            "Nats-Stream",
            "Nats-Subject",
            "Nats-Sequence",
            "Nats-Time-Stamp",
            "Nats-Num-Pending",
            "Nats-Last-Sequence",
            "Nats-UpTo-Sequence",
        ]
        .contains(&name)
    });
    Ok(Some(Stored { subject, sequence, at, headers, body: answer.payload }))
}

/// How long a stream may take to list, delete or purge: it is file work.
pub(super) const SLOW_ANSWER: Duration = Duration::from_secs(60);
