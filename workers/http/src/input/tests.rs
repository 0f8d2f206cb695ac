//! What an input becomes, and what is refused.

use serde_json::{Value, json};

use super::*;

fn check(input: Value) -> Result<Call, String> {
    let input: Input = serde_json::from_value(input).map_err(|e| e.to_string())?;
    input.check(&HttpConfig::default(), "_.task-1").map_err(|e| e.to_string())
}

#[track_caller]
fn refused(input: Value, because: &str) {
    let said = check(input).map(|call| call.request).unwrap_err();
    assert!(said.contains(because), "{said}");
}

#[test]
fn a_url_alone_is_a_get_with_the_defaults() {
    let call = check(json!({"url": "https://example.com/a?b=c"})).unwrap();
    assert_eq!(call.request.method, Method::GET);
    assert!(call.request.headers.is_empty() && call.request.body.is_empty());
    assert_eq!((call.timeout, call.max_response_bytes, call.redirects), (Duration::from_secs(30), 1 << 20, 5));
}

#[test]
fn bodies_carry_their_type() {
    for (input, body, kind) in [
        (json!({"body": "hi"}), "hi", "text/plain; charset=utf-8"),
        (json!({"body": {"a": [1, null]}}), r#"{"a":[1,null]}"#, "application/json"),
        (json!({"body": false}), "false", "application/json"),
        (json!({"body_base64": "AAECaGk="}), "\0\u{1}\u{2}hi", "application/octet-stream"),
        (json!({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}), "<a/>", "text/xml"),
    ] {
        let mut whole = json!({"url": "http://example.com", "method": "post"});
        whole.as_object_mut().unwrap().extend(input.as_object().unwrap().clone());
        let request = check(whole).unwrap().request;
        assert_eq!(request.body, body);
        assert_eq!(request.headers["content-type"], kind);
    }
}

#[test]
fn calls_that_change_something_carry_the_task_id() {
    let key = |method: &str, headers: Value| {
        let call = check(json!({"url": "http://example.com", "method": method, "headers": headers})).unwrap();
        call.request.headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned())
    };
    for method in ["POST", "put", "PATCH", "DELETE"] {
        assert_eq!(key(method, json!({})).as_deref(), Some("_.task-1"), "{method}");
    }
    assert_eq!(key("POST", json!({"IDEMPOTENCY-KEY": "mine"})).as_deref(), Some("mine"));
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(key(method, json!({})), None, "{method}");
    }
}

#[test]
fn urls_that_are_not_what_they_seem_are_refused() {
    refused(json!({}), "missing field `url`");
    refused(json!({"url": "/path"}), "cannot be parsed");
    refused(json!({"url": "file:///etc/passwd"}), "scheme");
    refused(json!({"url": "gopher://example.com/"}), "scheme");
    refused(json!({"url": "http://user:pw@example.com"}), "user or a password");
    refused(json!({"url": "http://good.example@evil.example/"}), "user or a password");
    refused(json!({"url": "http://exam\nple.com/"}), "control");
    refused(json!({"url": " http://example.com/"}), "white space");
    refused(json!({"url": "http://example.com:0/"}), "port 0");
    refused(json!({"url": "http://./"}), "names no host");
    refused(json!({"url": "http:///"}), "no absolute");
    refused(json!({"url": format!("http://example.com/{}", "a".repeat(9_000))}), "too long");
    refused(json!({"url": "http://example.com", "uri": 1}), "unknown field");
}

#[test]
fn numeric_hosts_are_addresses_however_they_are_written() {
    for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:7f00:1]"] {
        let url = check(json!({"url": format!("http://{host}/")})).unwrap().request.url;
        let ip: std::net::IpAddr = match url.host().unwrap() {
            url::Host::Ipv4(ip) => ip.into(),
            url::Host::Ipv6(ip) => ip.into(),
            url::Host::Domain(name) => panic!("{host} was read as the name {name}"),
        };
        assert!(!crate::policy::allowed(ip), "{host}");
    }
}

#[test]
fn headers_cannot_be_smuggled() {
    let with = |name: &str, value: &str| json!({"url": "http://example.com", "headers": {name: value}});
    refused(with("x", "a\r\nhost: evil"), "malformed");
    refused(with("x\r\nhost", "evil"), "malformed");
    refused(with("x y", "1"), "malformed");
    refused(with("", "1"), "malformed");
    for name in ["Host", "connection", "Content-Length", "transfer-encoding", "TE", "upgrade", "expect", "keep-alive"] {
        refused(with(name, "1"), "set by the worker");
    }
    refused(json!({"url": "http://example.com", "headers": {"A": "1", "a": "2"}}), "twice");
    refused(with("x", &"y".repeat(20_000)), "more than 64 headers");
    refused(json!({"url": "http://example.com", "headers": {"a": 1}}), "invalid type");
}

#[test]
fn limits_may_be_lowered_and_not_raised() {
    let with = |field: &str, value: Value| json!({"url": "http://example.com", field: value});
    assert_eq!(check(with("max_response_bytes", json!(10))).unwrap().max_response_bytes, 10);
    refused(with("max_response_bytes", json!(1_048_577)), "allowed is 0 to 1048576");
    refused(with("timeout_ms", json!(0)), "`timeout_ms` is 0");
    refused(with("redirects", json!(21)), "`redirects` is 21");
    refused(with("expect", json!([99])), "`expect` is 99");
    refused(with("method", json!("CONNECT")), "not allowed");
    refused(with("method", json!("TRACE")), "not allowed");
    refused(with("method", json!("GE T")), "not allowed");
    refused(with("body_base64", json!("?")), "not base64");
    refused(json!({"url": "http://example.com", "body": 1, "body_base64": ""}), "exclude");
}
