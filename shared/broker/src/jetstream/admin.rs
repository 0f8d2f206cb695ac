//! Administration over the broker's JSON API.

use std::time::Duration;

use async_nats::Message as NatsMessage;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::publish::ApiError;
use super::read::SLOW_ANSWER;
use super::{ANSWER, JetStream, config, is_no_responders};
use crate::{BrokerError, ConsumerInfo, ConsumerSpec, Message, PauseState, Purge, StreamInfo, StreamSpec};

impl JetStream {
    /// Asks the broker's API and returns its answer, an error part turned into an error.
    pub(super) async fn api(&self, what: &str, subject: String, body: Value) -> Result<Value, BrokerError> {
        self.api_within(what, subject, body, ANSWER).await
    }

    /// The same for what takes the broker longer.
    pub(super) async fn api_within(
        &self,
        what: &str,
        subject: String,
        body: Value,
        wait: Duration,
    ) -> Result<Value, BrokerError> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let answer: NatsMessage = self.request(what, Message::new(subject, body), wait).await?;
        if is_no_responders(&answer) {
            return Err(BrokerError::NotFound { what: format!("JetStream on the server, asked for {what},") });
        }
        self.understand_answer(what, &answer)
    }

    /// An answer of the broker's API, an error part turned into an error.
    pub(super) fn understand_answer(&self, what: &str, answer: &NatsMessage) -> Result<Value, BrokerError> {
        let value: Value = serde_json::from_slice(&answer.payload)
            .map_err(|error| BrokerError::Garbled { what: what.to_owned(), source: error.into() })?;
        let Some(error) = value.get("error") else { return Ok(value) };
        let error: ApiError = self.understand(what, error.clone())?;
        Err(match error.code {
            404 => BrokerError::NotFound { what: what.to_owned() },
            _ => BrokerError::Refused { what: what.to_owned(), code: error.err_code, description: error.description },
        })
    }

    pub(super) fn understand<T: DeserializeOwned>(&self, what: &str, value: Value) -> Result<T, BrokerError> {
        serde_json::from_value(value)
            .map_err(|error| BrokerError::Garbled { what: what.to_owned(), source: error.into() })
    }

    pub(super) async fn remove(&self, subject: String, what: String) -> Result<(), BrokerError> {
        self.api_within(&what, subject, Value::Null, SLOW_ANSWER).await.map(|_| ())
    }

    pub(super) async fn stream_info(&self, name: String) -> Result<Option<StreamInfo>, BrokerError> {
        let what = format!("stream {name}");
        match self.api(&what, format!("$JS.API.STREAM.INFO.{name}"), Value::Null).await {
            Ok(value) => Ok(Some(config::stream_info(&value))),
            Err(BrokerError::NotFound { what: missing }) if missing == what => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn stream_list(&self, prefix: String) -> Result<Vec<StreamInfo>, BrokerError> {
        let all = self.list("the list of streams", "$JS.API.STREAM.LIST".to_owned()).await?;
        let mut all: Vec<StreamInfo> =
            all.iter().map(config::stream_info).filter(|info| info.spec.name.starts_with(&prefix)).collect();
        all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        Ok(all)
    }

    pub(super) async fn consumer_list(&self, stream: String) -> Result<Vec<ConsumerInfo>, BrokerError> {
        let what = format!("the list of consumers of stream {stream}");
        let all = match self.list(&what, format!("$JS.API.CONSUMER.LIST.{stream}")).await {
            Err(BrokerError::NotFound { what: missing }) if missing == what => Vec::new(),
            other => other?,
        };
        let mut all: Vec<ConsumerInfo> = all.iter().map(|info| config::consumer_info(&stream, info)).collect();
        all.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        Ok(all)
    }

    /// Reads a list page by page.
    async fn list(&self, what: &str, subject: String) -> Result<Vec<Value>, BrokerError> {
        #[derive(Deserialize)]
        struct Page {
            total: usize,
            #[serde(default, alias = "consumers")]
            streams: Option<Vec<Value>>,
        }
        let mut all = Vec::new();
        loop {
            let value = self.api(what, subject.clone(), json!({ "offset": all.len() })).await?;
            let page: Page = self.understand(what, value)?;
            let page_items = page.streams.unwrap_or_default();
            let is_end = page_items.is_empty() || all.len() + page_items.len() >= page.total;
            all.extend(page_items);
            if is_end {
                return Ok(all);
            }
        }
    }

    pub(super) async fn write_stream(&self, spec: StreamSpec) -> Result<(), BrokerError> {
        let what = format!("stream {}", spec.name);
        let verb = if self.stream_info(spec.name.clone()).await?.is_some() { "UPDATE" } else { "CREATE" };
        let subject = format!("$JS.API.STREAM.{verb}.{}", spec.name);
        self.api_within(&what, subject, config::stream_json(&spec), SLOW_ANSWER).await.map(|_| ())
    }

    pub(super) async fn consumer_info(
        &self,
        stream: String,
        name: String,
    ) -> Result<Option<ConsumerInfo>, BrokerError> {
        let what = format!("consumer {name} of stream {stream}");
        match self.api(&what, format!("$JS.API.CONSUMER.INFO.{stream}.{name}"), Value::Null).await {
            Ok(value) => Ok(Some(config::consumer_info(&stream, &value))),
            Err(BrokerError::NotFound { what: missing }) if missing == what => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write_consumer(&self, spec: ConsumerSpec) -> Result<(), BrokerError> {
        let what = format!("consumer {} of stream {}", spec.name, spec.stream);
        let current = self.consumer_info(spec.stream.clone(), spec.name.clone()).await?;
        // The start of an existing consumer cannot be changed: its position is its own by now.
        let start = match &current {
            Some(info) => info.spec.start,
            None => spec.start,
        };
        let subject = format!("$JS.API.CONSUMER.CREATE.{}.{}.{}", spec.stream, spec.name, spec.filter);
        let body = json!({
            "stream_name": spec.stream,
            "config": config::consumer_json(&spec, start),
            "action": if current.is_some() { "update" } else { "create" },
        });
        self.api(&what, subject, body).await.map(|_| ())
    }

    pub(super) async fn write_pause(&self, stream: String, name: String, pause: PauseState) -> Result<(), BrokerError> {
        let what = format!("consumer {name} of stream {stream}");
        let body = match pause.until {
            Some(until) => json!({ "pause_until": nova_wire::format_rfc3339(until) }),
            None => json!({}),
        };
        self.api(&what, format!("$JS.API.CONSUMER.PAUSE.{stream}.{name}"), body).await.map(|_| ())
    }

    pub(super) async fn delete_messages(&self, stream: String, what: Purge) -> Result<u64, BrokerError> {
        let told = format!("a purge of stream {stream}");
        let (subject, body) = match what {
            Purge::Below(sequence) => (format!("$JS.API.STREAM.PURGE.{stream}"), json!({ "seq": sequence })),
            Purge::Subject(filter) => (format!("$JS.API.STREAM.PURGE.{stream}"), json!({ "filter": filter })),
            Purge::Sequence(sequence) => {
                let body = json!({ "seq": sequence, "no_erase": true });
                let subject = format!("$JS.API.STREAM.MSG.DELETE.{stream}");
                return match self.api(&told, subject, body).await {
                    Ok(_) => Ok(1),
                    Err(BrokerError::NotFound { .. }) => Ok(0),
                    // Deleted before, or never given yet.
                    Err(BrokerError::Refused { code: 10043, .. }) => Ok(0),
                    Err(BrokerError::Refused { code: 10057, description, .. }) if description.ends_with("EOF") => Ok(0),
                    Err(error) => Err(error),
                };
            }
        };
        let answer = self.api_within(&told, subject, body, SLOW_ANSWER).await?;
        Ok(answer.get("purged").and_then(Value::as_u64).unwrap_or(0))
    }
}
