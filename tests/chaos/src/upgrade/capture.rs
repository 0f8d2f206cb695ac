//! One message of each kind that a broker holds, as test data: what a release writes is read by every later one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use nova_broker::{BrokerRef, Scan, Stored};
use nova_wire::name;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// How many messages are read at once.
const PAGE: usize = 1_000;
/// The longest body that is kept: chunks of large payloads are no messages of their own.
const BODY: usize = 4 * 1024;
/// Streams of Nova's begin with one of these.
const STREAMS: [&str; 3] = ["NOVA_", "KV_nova-", "OBJ_nova-"];

/// A message as it was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Of which stream.
    pub stream: String,
    /// Its subject.
    pub subject: String,
    /// Its sequence.
    pub sequence: u64,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body, when it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its bytes, when they are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<u8>,
}

/// The first message of each kind.
///
/// # Errors
/// When the broker does not answer.
pub async fn capture(broker: &BrokerRef) -> anyhow::Result<Vec<Captured>> {
    let mut all = Vec::new();
    for prefix in STREAMS {
        for stream in broker.streams(prefix.to_owned()).await? {
            let (stream, mut kinds, mut from) = (stream.spec.name, BTreeSet::new(), 1);
            loop {
                let page = broker.scan(Scan::all(&*stream, ">", PAGE).from(from)).await?;
                let Some(last) = page.last() else { break };
                from = last.sequence + 1;
                all.extend(
                    page.into_iter()
                        .filter(|stored| stored.body.len() <= BODY && kinds.insert(kind(stored)))
                        .map(|stored| captured(&stream, stored)),
                );
            }
        }
    }
    Ok(all)
}

/// Writes them, one a line.
///
/// # Errors
/// When they cannot be had or written.
pub async fn write(broker: &BrokerRef, path: &std::path::Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for message in capture(broker).await? {
        text += &serde_json::to_string(&message)?;
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

/// What makes two messages of one kind: the words of the subject that are no names, the headers, the fields of the body, and
/// how the task ended.
fn kind(stored: &Stored) -> String {
    let words = if stored.subject.starts_with("nova.event.") { 4 } else { 3 };
    let words: Vec<&str> = stored.subject.split('.').take(words).collect();
    let names: BTreeSet<&str> = stored.headers.iter().map(|(name, _)| name).collect();
    let end = [name::OUTCOME, name::DEAD].map(|name| {
        let value = stored.headers.get(name).unwrap_or_default();
        value.split(';').next().unwrap_or_default().to_owned()
    });
    let fields: BTreeMap<String, IgnoredAny> = serde_json::from_slice(&stored.body).unwrap_or_default();
    format!("{words:?} {names:?} {end:?} {:?}", fields.keys())
}

fn captured(stream: &str, stored: Stored) -> Captured {
    let headers = stored.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let (text, bytes) = match String::from_utf8(stored.body.to_vec()) {
        Ok(text) => (Some(text), Vec::new()),
        Err(error) => (None, error.into_bytes()),
    };
    Captured { stream: stream.to_owned(), subject: stored.subject, sequence: stored.sequence, headers, text, bytes }
}
