//! Decides what a response means for the task; pure.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use jiff::fmt::rfc2822::DateTimeParser;

/// What to do about a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It is the result.
    Success,
    /// It may lead elsewhere.
    Redirect,
    /// It may go better later; after the given time when the server named one.
    Retry(Option<Duration>),
    /// It will not go better.
    Reject,
}

/// Judges a response by its status, by what the task expects and by what the server asks for.
///
/// `follow` is whether the task wants redirects followed at all; one that does not takes them as its result.
pub fn judge(status: StatusCode, headers: &HeaderMap, expect: Option<&[StatusCode]>, follow: Follow) -> Judgement {
    match (expect, status.as_u16()) {
        (Some(expect), _) if expect.contains(&status) => Judgement::Success,
        (_, 301 | 302 | 303 | 307 | 308) if follow == Follow::Yes => Judgement::Redirect,
        (None, 200..=299) => Judgement::Success,
        (None, 300..=399) if follow == Follow::No => Judgement::Success,
        // Not implemented, version, negotiation, loop, not extended, log in first: the same request gets the same answer.
        (_, 501 | 505 | 506 | 508 | 510 | 511) => Judgement::Reject,
        (_, 408 | 425 | 429 | 500..=599) => Judgement::Retry(retry_after(headers)),
        _ => Judgement::Reject,
    }
}

/// Whether redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// They are, as far as their number allows.
    Yes,
    /// They are not; the task asked for none.
    No,
}

/// The wait the server asks for.
///
/// A date is read against the response's own `Date`, so that neither clock has to be right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?;
    let text = value.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit mean "very long", which the caller caps.
        Duration::from_secs(text.parse().unwrap_or(u32::MAX.into()))
    } else {
        let seconds = date(value)? - date(headers.get(header::DATE)?)?;
        Duration::from_secs(u64::try_from(seconds).ok()?)
    };
    // "At once" is no request to wait; the usual backoff protects both sides better.
    (!wait.is_zero()).then_some(wait)
}

fn date(value: &HeaderValue) -> Option<i64> {
    const PARSER: DateTimeParser = DateTimeParser::new();
    Some(PARSER.parse_timestamp(value.to_str().ok()?).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(&'static str, &'static str)], expect: Judgement) {
        let status = StatusCode::from_u16(status).unwrap();
        let headers = headers.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))).collect();
        assert_eq!(judge(status, &headers, None, Follow::Yes), expect, "{status} {headers:?}");
    }

    #[test]
    fn every_status_has_its_class() {
        for status in [200, 201, 204, 206, 299] {
            check(status, &[], Judgement::Success);
        }
        for status in [301, 302, 303, 307, 308] {
            check(status, &[], Judgement::Redirect);
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 507, 520, 599] {
            check(status, &[], Judgement::Retry(None));
        }
        for status in [101, 300, 304, 305, 400, 401, 403, 404, 409, 410, 422, 451, 501, 505, 511, 600] {
            check(status, &[], Judgement::Reject);
        }
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let wait = |secs| Judgement::Retry(Some(Duration::from_secs(secs)));
        check(503, &[("retry-after", "120")], wait(120));
        check(429, &[("retry-after", " 7 ")], wait(7));
        check(429, &[("retry-after", "99999999999999999999")], wait(u32::MAX.into()));
        let date = ("date", "Wed, 21 Oct 2015 07:28:00 GMT");
        check(503, &[("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT"), date], wait(90));
        // In the past, without a date to compare with, at once, nonsense: the usual backoff.
        check(503, &[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"), date], Judgement::Retry(None));
        check(503, &[("retry-after", "Wed, 21 Oct 2015 07:29:30 GMT")], Judgement::Retry(None));
        check(503, &[("retry-after", "0")], Judgement::Retry(None));
        check(503, &[("retry-after", "-5")], Judgement::Retry(None));
        check(503, &[("retry-after", "soon")], Judgement::Retry(None));
        check(404, &[("retry-after", "120")], Judgement::Reject);
    }

    #[test]
    fn what_the_task_expects_wins() {
        let expecting = |status: u16, follow| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(status, &HeaderMap::new(), Some(&[StatusCode::NOT_FOUND, StatusCode::FOUND]), follow)
        };
        assert_eq!(expecting(404, Follow::Yes), Judgement::Success);
        assert_eq!(expecting(302, Follow::Yes), Judgement::Success);
        assert_eq!(expecting(301, Follow::Yes), Judgement::Redirect);
        assert_eq!(expecting(301, Follow::No), Judgement::Reject);
        assert_eq!(expecting(200, Follow::Yes), Judgement::Reject);
        assert_eq!(expecting(503, Follow::Yes), Judgement::Retry(None));
        assert_eq!(judge(StatusCode::FOUND, &HeaderMap::new(), None, Follow::No), Judgement::Success);
    }
}
