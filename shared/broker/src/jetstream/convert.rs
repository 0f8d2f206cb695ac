//! Headers and messages between async-nats and the ports.

use std::borrow::Cow;
use std::str::FromStr as _;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use nova_wire::{Headers, name};

use crate::Message;

/// Headers for async-nats; `None` when there are none, which spares the header block.
///
/// # Errors
/// The name of the first line that no NATS message can carry, such as one with a line break in its value.
pub(crate) fn to_nats(headers: &Headers) -> Result<Option<HeaderMap>, &str> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter() {
        // Those that nearly every message has need no check and no copy.
        let key = match name::of(name) {
            Cow::Borrowed(name) => HeaderName::from_static(name),
            Cow::Owned(_) => HeaderName::from_str(name).map_err(|_| name)?,
        };
        map.append(key, HeaderValue::from_str(value).map_err(|_| name)?);
    }
    Ok(Some(map))
}

/// The same for a message that nobody waits for: a line that cannot be sent is left out.
pub(crate) fn to_nats_lossy(headers: &Headers) -> Option<HeaderMap> {
    to_nats(headers).unwrap_or_else(|_| {
        let mut sendable = HeaderMap::new();
        for (name, value) in headers.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_str(name), HeaderValue::from_str(value)) {
                sendable.append(name, value);
            }
        }
        Some(sendable)
    })
}

/// How many bytes of a message its headers take.
pub(crate) fn wire_bytes(headers: Option<&HeaderMap>) -> usize {
    let Some(map) = headers else { return 0 };
    let lines = map.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    // `NATS/1.0`, then `name: value` lines, then an empty one, each with its line break.
    lines.map(|(name, value)| <HeaderName as AsRef<str>>::as_ref(name).len() + value.as_str().len() + 4).sum::<usize>()
        + 12
}

/// Whether a message can go to a subject.
pub(crate) fn is_sendable(subject: &str) -> bool {
    !subject.is_empty() && !subject.bytes().any(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
}

/// Headers from async-nats.
pub(crate) fn from_nats(map: Option<&HeaderMap>) -> Headers {
    let Some(map) = map else { return Headers::new() };
    map.iter()
        .flat_map(|(name, values)| values.iter().map(move |value| (name::of(name.as_ref()), value.as_str().to_owned())))
        .collect()
}

/// A message from async-nats, its status line as headers `Status` and `Description`.
pub(crate) fn to_message(message: async_nats::Message) -> Message {
    let mut headers = from_nats(message.headers.as_ref());
    if let Some(status) = message.status {
        headers.push("Status", status.as_u16().to_string());
        headers.push("Description", message.description.unwrap_or_default());
    }
    Message {
        subject: message.subject.to_string(),
        headers,
        body: message.payload,
        reply: message.reply.map(|reply| reply.to_string()),
    }
}

/// Headers from the raw block of a stored message, however malformed: lines without a colon are passed over, bytes that
/// are no UTF-8 replaced. The one way to look at a message that a client library refuses to parse.
pub(crate) fn from_block(block: &[u8]) -> Headers {
    let text = String::from_utf8_lossy(block);
    text.split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| {
            let clean = |text: &str| text.trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            (clean(name), clean(value))
        })
        .filter(|(name, _): &(String, String)| !name.is_empty())
        .collect()
}

/// Whether the client library can read a header block; no block at all is fine.
///
/// One it cannot read costs whoever receives it the connection. A status of its own would pass for the broker's, and a
/// lone carriage return in a value makes the library panic.
pub(crate) fn is_readable(block: &[u8]) -> bool {
    if block.is_empty() {
        return true;
    }
    let Ok(text) = std::str::from_utf8(block) else { return false };
    let mut lines = text.lines();
    let is_plain =
        lines.next().and_then(|line| line.strip_prefix("NATS/1.0")).is_some_and(|rest| rest.trim().is_empty());
    let mut is_first = true;
    is_plain
        && lines.filter(|line| !line.is_empty()).all(|line| {
            // A line that begins with a space goes on where the one before ended.
            let continues = !is_first && line.starts_with(char::is_whitespace);
            is_first = false;
            let named = line.split_once(':').is_some_and(|(name, _)| HeaderName::from_str(name).is_ok());
            (continues || named) && !line.contains('\r')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_survive_both_ways() {
        let headers = Headers::new().with("A", "1").with("A", "2");
        assert_eq!(from_nats(to_nats(&headers).expect("sendable").as_ref()).count("A"), 2);
        assert_eq!(to_nats(&Headers::new()), Ok(None));
        let broken = headers.with("B", "1\r\n2");
        assert_eq!(to_nats(&broken), Err("B"));
        assert_eq!(from_nats(to_nats_lossy(&broken).as_ref()).count("A"), 2);
    }

    #[test]
    fn blocks_that_break_a_connection_are_told_from_others() {
        for good in ["", "NATS/1.0\r\n\r\n", "NATS/1.0\r\nA: \u{e9}\r\n b\r\nEmpty:\r\n\r\n"] {
            assert!(is_readable(good.as_bytes()), "{good:?}");
        }
        for bad in [
            &b"NATS/1.0\r\nNo-Colon\r\n\r\n"[..],
            b"NATS/1.0\r\nA: \xff\r\n\r\n",
            b"NATS/1.0\r\nA b: c\r\n\r\n",
            b"NATS/1.0\r\nA: b\rc\r\n\r\n",
            b"NATS/1.0\r\n goes: on\r\n\r\n",
            b"NATS/1.0 404 None\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
        ] {
            assert!(!is_readable(bad), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn a_malformed_block_still_shows_what_can_be_read() {
        let headers = from_block(b"NATS/1.0\r\nNo-Colon\r\nNats-Msg-Id: a\xff\r\n: x\r\n\r\n");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Nats-Msg-Id", "a\u{fffd}")]);
    }
}
