//! Reads a task's input into a checked call; whatever leaves here is safe to put on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::HttpConfig;

/// Longest URL; what common servers accept.
const MAX_URL_BYTES: usize = 8 * 1024;
/// Most headers and their bytes; what common servers accept.
const MAX_HEADERS: (usize, usize) = (64, 16 * 1024);
/// Redirects followed when the task names no number.
const DEFAULT_REDIRECTS: u8 = 5;
/// Most redirects a task may ask for; browsers stop at 20 as well.
const MAX_REDIRECTS: u8 = 20;

/// The input of an `http` task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Where to call: http or https, without user or password.
    pub url: String,
    /// The method; default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers to send.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: a string is sent as it is, any other value as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// The body as base64, for bytes that are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// Time for the whole call with its redirects; default is the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Largest response body; default and ceiling are the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_bytes: Option<u64>,
    /// Redirects to follow at most; default 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirects: Option<u8>,
    /// Statuses that count as success, instead of 200 to 299.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Vec<u16>>,
}

/// An input that cannot be sent, whatever the other side would say to it.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The URL cannot be read.
    #[error("`url` is no absolute http or https URL: {0}")]
    Url(&'static str),
    /// The method is none that may be sent.
    #[error("`method` `{0}` is not allowed")]
    Method(String),
    /// A header has a name or value that is no header.
    #[error("header `{0}` is malformed")]
    Header(String),
    /// A header belongs to the connection, which is not the task's.
    #[error("header `{0}` is set by the worker and may not be given")]
    ReservedHeader(HeaderName),
    /// A header was given twice, in different spellings.
    #[error("header `{0}` is given twice")]
    RepeatedHeader(HeaderName),
    /// There are too many headers, or too many bytes of them.
    #[error("more than {} headers, or more than {} bytes of them", MAX_HEADERS.0, MAX_HEADERS.1)]
    HeadersTooLarge,
    /// Both forms of a body were given.
    #[error("`body` and `body_base64` exclude one another")]
    TwoBodies,
    /// The base64 body is none.
    #[error("`body_base64` is not base64")]
    Base64(#[source] base64::DecodeError),
    /// A number is out of its range.
    #[error("`{field}` is {given}; allowed is {least} to {most}")]
    Range {
        /// The field of the input.
        field: &'static str,
        /// What was given.
        given: u64,
        /// The least that is allowed.
        least: u64,
        /// The most that is allowed.
        most: u64,
    },
}

/// One request, ready to be sent to one URL.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL, checked by [`check_url`].
    pub url: Url,
    /// The task's headers; those of the connection are added when it is sent.
    pub headers: HeaderMap,
    /// The body, empty for none.
    pub body: Bytes,
}

/// A whole call: the first request and its limits.
#[derive(Debug, Clone)]
pub struct Call {
    /// The first request.
    pub request: Request,
    /// Time for the whole call.
    pub timeout: Duration,
    /// Largest response body.
    pub max_response_bytes: u64,
    /// Redirects to follow at most.
    pub redirects: u8,
    /// Statuses that count as success; none for the usual ones.
    pub expect: Option<Vec<StatusCode>>,
}

impl Input {
    /// Checks the input against the deployment's limits; `key` becomes the `Idempotency-Key` of a call that changes
    /// something.
    ///
    /// # Errors
    /// The first thing that is wrong with the input.
    pub fn check(self, config: &HttpConfig, key: &str) -> Result<Call, InputError> {
        let url = read_url(&self.url)?;
        let method = read_method(self.method.as_deref())?;
        let mut headers = read_headers(&self.headers)?;
        let body = read_body(self.body, self.body_base64, &mut headers)?;
        if !method.is_safe() && !headers.contains_key("idempotency-key") {
            let key = HeaderValue::from_str(key).map_err(|_| InputError::Header("idempotency-key".into()))?;
            headers.insert("idempotency-key", key);
        }
        let limit = |field, given: Option<u64>, default, least, most| {
            let given = given.unwrap_or(default);
            if (least..=most).contains(&given) {
                Ok(given)
            } else {
                Err(InputError::Range { field, given, least, most })
            }
        };
        let timeout = limit("timeout_ms", self.timeout_ms, config.timeout_ms, 1, u64::from(u32::MAX))?;
        let max = config.max_response_bytes;
        let max_response_bytes = limit("max_response_bytes", self.max_response_bytes, max, 0, max)?;
        let redirects = self.redirects.unwrap_or(DEFAULT_REDIRECTS);
        limit("redirects", Some(redirects.into()), 0, 0, MAX_REDIRECTS.into())?;
        let expect = self.expect.map(|list| list.into_iter().map(read_status).collect()).transpose()?;
        let request = Request { method, url, headers, body };
        Ok(Call { request, timeout: Duration::from_millis(timeout), max_response_bytes, redirects, expect })
    }
}

fn read_url(text: &str) -> Result<Url, InputError> {
    if text.len() > MAX_URL_BYTES {
        return Err(InputError::Url("it is too long"));
    }
    // The parser would drop these without a word, and what was checked by eye would not be what is called.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(InputError::Url("it holds white space or control characters"));
    }
    let url = Url::parse(text).map_err(|_| InputError::Url("it cannot be parsed"))?;
    check_url(&url).map_err(InputError::Url)?;
    Ok(url)
}

/// Checks what every URL must satisfy, the task's own as well as a redirect's.
///
/// # Errors
/// What is wrong with it.
pub fn check_url(url: &Url) -> Result<(), &'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("its scheme is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password; use a header");
    }
    if url.host_str().is_none_or(|host| host.trim_end_matches('.').is_empty()) {
        return Err("it names no host");
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be called");
    }
    Ok(())
}

fn read_method(method: Option<&str>) -> Result<Method, InputError> {
    let text = method.unwrap_or("GET").to_ascii_uppercase();
    match Method::from_bytes(text.as_bytes()) {
        // One opens a tunnel, the other sends credentials back to whoever can read the answer.
        Ok(Method::CONNECT | Method::TRACE) | Err(_) => Err(InputError::Method(text)),
        Ok(method) => Ok(method),
    }
}

fn read_headers(given: &BTreeMap<String, String>) -> Result<HeaderMap, InputError> {
    let bytes: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MAX_HEADERS.0 || bytes > MAX_HEADERS.1 {
        return Err(InputError::HeadersTooLarge);
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| InputError::Header(name.clone()))?;
        let value = HeaderValue::from_str(value).map_err(|_| InputError::Header(name.clone()))?;
        if is_reserved(&parsed) {
            return Err(InputError::ReservedHeader(parsed));
        }
        if headers.insert(&parsed, value).is_some() {
            return Err(InputError::RepeatedHeader(parsed));
        }
    }
    Ok(headers)
}

/// Headers that say where the request goes, or where its body ends: a task that set them could smuggle a second one.
fn is_reserved(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST
            | header::CONNECTION
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::TE
            | header::TRAILER
            | header::UPGRADE
            | header::EXPECT
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn read_body(
    body: Option<serde_json::Value>,
    base64: Option<String>,
    headers: &mut HeaderMap,
) -> Result<Bytes, InputError> {
    let (bytes, kind) = match (body, base64) {
        (Some(_), Some(_)) => return Err(InputError::TwoBodies),
        (None, None) => return Ok(Bytes::new()),
        (Some(serde_json::Value::String(text)), None) => (text.into(), "text/plain; charset=utf-8"),
        (Some(value), None) => (value.to_string().into(), "application/json"),
        (None, Some(text)) => {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(InputError::Base64)?;
            (bytes.into(), "application/octet-stream")
        }
    };
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    Ok(bytes)
}

fn read_status(number: u16) -> Result<StatusCode, InputError> {
    let range = || InputError::Range { field: "expect", given: number.into(), least: 200, most: 599 };
    match number {
        200..=599 => StatusCode::from_u16(number).map_err(|_| range()),
        _ => Err(range()),
    }
}

#[cfg(test)]
mod tests;
