//! Makes the request a redirect leads to; pure.

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};

use crate::input::{Request, check_url};

/// A redirect that is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RedirectError {
    /// There is no usable `Location`.
    #[error("the redirect names no readable location")]
    Location,
    /// The location is a URL that no task could name either.
    #[error("the redirect leads to a URL that is not allowed: {0}")]
    Url(&'static str),
    /// It leads out of TLS.
    #[error("the redirect leads from https to http")]
    Downgrade,
}

/// Whether a redirect may lead from https to http.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// The request that `status` and `Location` ask for after `sent`.
///
/// Another origin gets neither credentials nor any other header it has no need of; a body is sent again only where the
/// status says so.
///
/// # Errors
/// When the redirect must not be followed.
pub fn follow(
    sent: &Request,
    status: StatusCode,
    headers: &HeaderMap,
    downgrade: Downgrade,
) -> Result<Request, RedirectError> {
    let location = headers.get(header::LOCATION).ok_or(RedirectError::Location)?;
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| RedirectError::Location)?;
    let url = sent.url.join(location).map_err(|_| RedirectError::Location)?;
    check_url(&url).map_err(RedirectError::Url)?;
    if sent.url.scheme() == "https" && url.scheme() == "http" && downgrade == Downgrade::Refused {
        return Err(RedirectError::Downgrade);
    }
    let mut next = Request { url, ..sent.clone() };
    if becomes_get(status, &sent.method) {
        next.method = Method::GET;
        next.body = Bytes::new();
        let goes = |name: &HeaderName| name.as_str().starts_with("content-") || name == "idempotency-key";
        retain(&mut next.headers, |name| !goes(name));
    }
    if next.url.origin() != sent.url.origin() {
        retain(&mut next.headers, travels);
    }
    Ok(next)
}

/// See other turns everything but HEAD into GET; the two oldest do so for POST, as all clients came to do.
fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    }
}

/// Headers another origin may see. A list of what may go, because secrets have any name (`X-Api-Key`, `Private-Token`).
fn travels(name: &HeaderName) -> bool {
    const HARMLESS: [&str; 6] =
        ["accept", "accept-language", "accept-encoding", "user-agent", "idempotency-key", "range"];
    HARMLESS.contains(&name.as_str()) || name.as_str().starts_with("content-")
}

fn retain(headers: &mut HeaderMap, keep: impl Fn(&HeaderName) -> bool) {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| !keep(name)).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn sent(method: &str, url: &str) -> Request {
        let headers = ["authorization", "cookie", "x-api-key", "accept", "content-type", "idempotency-key"];
        Request {
            method: method.parse().unwrap(),
            url: url.parse().unwrap(),
            headers: headers.iter().map(|n| (n.parse().unwrap(), HeaderValue::from_static("v"))).collect(),
            body: Bytes::from_static(b"body"),
        }
    }

    fn go(sent: &Request, status: u16, location: &str) -> Result<Request, RedirectError> {
        let headers = [(header::LOCATION, HeaderValue::from_str(location).unwrap())].into_iter().collect();
        follow(sent, StatusCode::from_u16(status).unwrap(), &headers, Downgrade::Refused)
    }

    fn names(request: &Request) -> Vec<&str> {
        let mut names: Vec<&str> = request.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_status_decides_over_method_and_body() {
        for (status, method, expect) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (301, "PUT", "PUT"),
            (307, "POST", "POST"),
            (308, "DELETE", "DELETE"),
        ] {
            let next = go(&sent(method, "http://a.example/x"), status, "/y").unwrap();
            assert_eq!(next.method, expect, "{status} {method}");
            assert_eq!(next.body.is_empty(), expect == "GET", "{status} {method}");
            assert_eq!(next.headers.contains_key("content-type"), expect != "GET", "{status} {method}");
            assert_eq!(next.url.as_str(), "http://a.example/y");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        let sent = sent("PUT", "https://a.example/x");
        let all = ["accept", "authorization", "content-type", "cookie", "idempotency-key", "x-api-key"];
        assert_eq!(names(&go(&sent, 307, "https://a.example:443/y").unwrap()), all);
        for elsewhere in ["https://b.example/", "https://sub.a.example/", "https://a.example:444/", "//b.example/"] {
            let next = go(&sent, 307, elsewhere).unwrap();
            assert_eq!(names(&next), ["accept", "content-type", "idempotency-key"], "{elsewhere}");
        }
    }

    #[test]
    fn a_redirect_may_not_lead_where_a_task_may_not_go() {
        let sent = sent("GET", "https://a.example/x");
        assert_eq!(go(&sent, 302, "http://a.example/").unwrap_err(), RedirectError::Downgrade);
        assert!(matches!(go(&sent, 302, "file:///etc/passwd"), Err(RedirectError::Url(_))));
        assert!(matches!(go(&sent, 302, "https://u:p@b.example/"), Err(RedirectError::Url(_))));
        assert_eq!(go(&sent, 302, "https://[").unwrap_err(), RedirectError::Location);
        let none = follow(&sent, StatusCode::FOUND, &HeaderMap::new(), Downgrade::Refused);
        assert_eq!(none.unwrap_err(), RedirectError::Location);
        let headers = [(header::LOCATION, HeaderValue::from_static("http://a.example/"))].into_iter().collect();
        assert!(follow(&sent, StatusCode::FOUND, &headers, Downgrade::Allowed).is_ok());
    }
}
