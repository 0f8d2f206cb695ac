//! What a task may ask for beside its skill's policy, as headers say it.

use std::collections::BTreeMap;
use std::time::Duration;

use nova_types::{Backoff, DurationText, UnixMillis};

use crate::headers::{Headers, name};
use crate::{TaskKey, is_bundle_size, limits, subject, time};

/// What a task may ask for; whatever is `None` follows its skill's policy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskOptions {
    /// The longest one attempt may run.
    pub timeout: Option<Duration>,
    /// The moment after which no attempt may run.
    pub deadline: Option<UnixMillis>,
    /// How many attempts may fail.
    pub max_attempts: Option<u32>,
    /// The pause between attempts.
    pub backoff: Option<Backoff>,
    /// How long the outcome is kept.
    pub outcome_ttl: Option<Duration>,
    /// A subject `nova.reply.<scope>.<token>` that is told the outcome.
    pub reply: Option<String>,
    /// Its key, for a keyed skill: tasks of one key run in order. It stands in the subject, too.
    pub key: Option<String>,
    /// How many items its body lists, when it is a bundle.
    pub bundle: Option<u32>,
    /// Words to find tasks by.
    pub labels: BTreeMap<String, String>,
}

impl TaskOptions {
    /// Reads the options among a task's headers.
    ///
    /// # Errors
    /// A sentence that names the header and what it should be.
    pub fn from_headers(headers: &Headers) -> Result<Self, String> {
        let duration = |key: &str| -> Result<Option<Duration>, String> {
            let read = |text: &str| text.parse::<DurationText>().map(|d| d.0).map_err(|e| format!("{key}: {e}"));
            headers.get(key).map(read).transpose()
        };
        let deadline = match headers.get(name::DEADLINE) {
            None => None,
            Some(text) => Some(time::parse_rfc3339(text).ok_or_else(|| {
                format!("{}: `{}` is not an RFC 3339 moment", name::DEADLINE, limits::clip(text, 64))
            })?),
        };
        let max_attempts = match headers.get(name::MAX_ATTEMPTS) {
            None => None,
            Some(text) => {
                let parsed = text.parse().ok().filter(|n| (1..=limits::MAX_ATTEMPTS).contains(n));
                Some(parsed.ok_or_else(|| {
                    format!("{}: not a whole number from 1 to {}", name::MAX_ATTEMPTS, limits::MAX_ATTEMPTS)
                })?)
            }
        };
        let backoff = match headers.get(name::BACKOFF) {
            None => None,
            Some(text) => Some(text.parse().map_err(|e| format!("{}: {e}", name::BACKOFF))?),
        };
        let bundle = match headers.get(name::BUNDLE) {
            None => None,
            Some(text) => {
                let parsed = text.parse().ok().filter(|items| is_bundle_size(*items));
                Some(parsed.ok_or_else(|| {
                    format!("{}: not a whole number from 1 to {}", name::BUNDLE, limits::BUNDLE_ITEMS)
                })?)
            }
        };
        let timeout = duration(name::TIMEOUT)?;
        if timeout.is_some_and(|t| t.is_zero()) {
            return Err(format!("{}: an attempt needs some time", name::TIMEOUT));
        }
        let key = headers.get(name::KEY).map(ToOwned::to_owned);
        if let Some(Err(error)) = key.as_ref().map(|key| TaskKey::new(key.as_str())) {
            return Err(format!("{}: {error}", name::KEY));
        }
        let reply = headers.get(name::REPLY).map(ToOwned::to_owned);
        if reply.as_deref().is_some_and(|text| subject::parse_reply(text).is_none()) {
            return Err(format!("{}: not nova.reply.<scope>.<token>", name::REPLY));
        }
        Ok(Self {
            timeout,
            deadline,
            max_attempts,
            backoff,
            outcome_ttl: duration(name::OUTCOME_TTL)?,
            reply,
            key,
            bundle,
            labels: parse_labels(headers.get(name::LABELS).unwrap_or_default())?,
        })
    }

    /// Adds the headers that say the same.
    pub fn write(&self, headers: &mut Headers) {
        let mut put = |key: &'static str, value: Option<String>| {
            if let Some(value) = value {
                headers.set(key, value);
            }
        };
        put(name::TIMEOUT, self.timeout.map(|d| DurationText(d).to_string()));
        put(name::DEADLINE, self.deadline.map(time::format_rfc3339));
        put(name::MAX_ATTEMPTS, self.max_attempts.map(|n| n.to_string()));
        put(name::BACKOFF, self.backoff.map(|b| b.to_string()));
        put(name::OUTCOME_TTL, self.outcome_ttl.map(|d| DurationText(d).to_string()));
        put(name::REPLY, self.reply.clone());
        put(name::KEY, self.key.clone());
        put(name::BUNDLE, self.bundle.map(|items| items.to_string()));
        if !self.labels.is_empty() {
            let line: Vec<String> = self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            put(name::LABELS, Some(line.join(",")));
        }
    }
}

fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, String> {
    let fits = |word: &str| {
        (1..=64).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:@".contains(&b))
    };
    text.split(',')
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if fits(key) && fits(value) => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("{}: `{}` is not key=value", name::LABELS, limits::clip(pair, 64))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_as_they_were_written() {
        let options = TaskOptions {
            timeout: Some(Duration::from_secs(90)),
            deadline: Some(UnixMillis(1_795_370_000_123)),
            max_attempts: Some(3),
            backoff: Some(Backoff::default()),
            outcome_ttl: Some(Duration::from_secs(7200)),
            reply: Some("nova.reply.cli.x".into()),
            key: Some("order/7".into()),
            bundle: Some(1000),
            labels: [("a".to_owned(), "b".to_owned())].into(),
        };
        let mut headers = Headers::new();
        options.write(&mut headers);
        assert_eq!(TaskOptions::from_headers(&headers), Ok(options));
    }
}
