//! The result of an `http` task.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use hyper::header::{self, HeaderMap};
use serde::{Deserialize, Serialize};

/// What a successful call returned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HttpResult {
    /// The status of the last response.
    pub status: u16,
    /// Its headers in lower case; values that came more than once are joined by `, `, cookies by a line feed.
    pub headers: BTreeMap<String, String>,
    /// The body, when it is UTF-8 text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body as base64, when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// The URL that answered, after all redirects.
    pub url: String,
    /// The redirects on the way, in order.
    pub redirects: Vec<Hop>,
    /// How long the whole call took.
    pub elapsed_ms: u64,
    /// The address and port that answered, as text in every encoding.
    pub address: String,
}

/// One redirect on the way to the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// The URL that redirected.
    pub url: String,
    /// The status it redirected with.
    pub status: u16,
    /// The address and port it was asked at.
    pub address: String,
}

/// Headers as a map of text; bytes that are no UTF-8 are replaced.
pub(crate) fn header_map(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut map = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let text = String::from_utf8_lossy(value.as_bytes());
        let joined = map.entry(name.as_str().to_owned()).or_default();
        if headers.get(name).is_some_and(|first| !std::ptr::eq(first, value)) {
            joined.push_str(if name == header::SET_COOKIE { "\n" } else { ", " });
        }
        joined.push_str(&text);
    }
    map
}

/// A body as text, or as base64 when it is none.
pub(crate) fn body_fields(body: &Bytes) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(body) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(base64::engine::general_purpose::STANDARD.encode(body))),
    }
}

/// A time in whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn repeated_headers_are_joined() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("a", "1"), ("set-cookie", "x=1, 2"), ("a", "2"), ("set-cookie", "y=3"), ("b", "")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let map = header_map(&headers);
        assert_eq!((&*map["a"], &*map["set-cookie"], &*map["b"]), ("1, 2", "x=1, 2\ny=3", ""));
    }

    #[test]
    fn bodies_that_are_no_text_become_base64() {
        assert_eq!(body_fields(&Bytes::from_static("é".as_bytes())), (Some("é".into()), None));
        assert_eq!(body_fields(&Bytes::from_static(&[0xff, 0])), (None, Some("/wA=".into())));
    }
}
