//! Ordinary calls: what is sent, what comes back, what each status means.

use std::time::Duration;

use nova_http::error::Next;
use serde_json::json;

use crate::server::{Answer, Server, respond};
use crate::{call, open};

#[tokio::test]
async fn a_get_returns_status_headers_body_and_address() {
    let server = Server::saying("200 OK\r\nx-one: 1\r\nset-cookie: a=1\r\nset-cookie: b=2", "hello").await;
    let result = call(&open(), json!({"url": server.url("/path?q=1#frag")})).await.unwrap();
    assert_eq!((result.status, result.body.as_deref()), (200, Some("hello")));
    assert_eq!((&*result.headers["x-one"], &*result.headers["set-cookie"]), ("1", "a=1\nb=2"));
    assert_eq!((result.url, result.address), (server.url("/path?q=1#frag"), server.address.to_string()));
    assert!(result.redirects.is_empty());
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "GET /path?q=1 HTTP/1.1");
    assert_eq!(seen.header("host"), Some(&*server.address.to_string()));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert_eq!(seen.header("content-length"), None);
    assert!(seen.header("user-agent").unwrap().starts_with("nova-http/"));
}

#[tokio::test]
async fn a_post_carries_body_type_and_idempotency_key() {
    let server = Server::saying("201 Created", "").await;
    let input = json!({"url": server.url("/"), "method": "POST", "body": {"a": 1}, "headers": {"X-Key": "k"}});
    assert_eq!(call(&open(), input).await.unwrap().status, 201);
    let seen = &server.seen()[0];
    assert_eq!((seen.line(), &*seen.body), ("POST / HTTP/1.1", r#"{"a":1}"#));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("idempotency-key"), Some("_.task-1"));
    assert_eq!(seen.header("x-key"), Some("k"));
    assert_eq!(seen.header("content-length"), Some("7"));
}

#[tokio::test]
async fn an_empty_post_says_so() {
    let server = Server::saying("204 No Content", "").await;
    call(&open(), json!({"url": server.url("/"), "method": "POST"})).await.unwrap();
    assert_eq!(server.seen()[0].header("content-length"), Some("0"));
}

#[tokio::test]
async fn the_host_header_names_the_host_and_only_an_unusual_port() {
    let server = Server::saying("200 OK", "").await;
    let url = format!("http://Name.Test:{}/", server.port());
    call(&open(), json!({"url": url})).await.unwrap();
    assert_eq!(server.seen()[0].header("host"), Some(&*format!("name.test:{}", server.port())));
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_base64_and_nothing_is_unpacked() {
    let server = Server::start(|_| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n".to_vec();
        bytes.extend_from_slice(&[0x1f, 0x8b, 0x08, 0xff]);
        Answer::Bytes(bytes)
    })
    .await;
    let result = call(&open(), json!({"url": server.url("/")})).await.unwrap();
    assert_eq!((result.body, result.body_base64.as_deref()), (None, Some("H4sI/w==")));
    assert_eq!(result.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn chunked_bodies_and_bodies_that_end_with_the_connection_are_read() {
    for body in
        ["transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "connection: close\r\n\r\nabcde"]
    {
        let server = Server::start(move |_| Answer::Bytes(format!("HTTP/1.1 200 OK\r\n{body}").into())).await;
        let result = call(&open(), json!({"url": server.url("/")})).await.unwrap();
        assert_eq!(result.body.as_deref(), Some("abcde"));
    }
}

#[tokio::test]
async fn a_head_has_no_body_whatever_its_length_says() {
    let server = Server::start(|_| Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n".to_vec())).await;
    let result = call(&open(), json!({"url": server.url("/"), "method": "HEAD"})).await.unwrap();
    assert_eq!((result.body.as_deref(), &*result.headers["content-length"]), (Some(""), "9999999"));
}

#[tokio::test]
async fn each_status_class_has_its_verdict() {
    for (status, code, next) in [
        ("400 Bad Request", "http_400", Next::Reject),
        ("404 Not Found", "http_404", Next::Reject),
        ("408 Request Timeout", "http_408", Next::Retry(None)),
        ("425 Too Early", "http_425", Next::Retry(None)),
        ("429 Too Many\r\nretry-after: 7", "http_429", Next::Retry(Some(Duration::from_secs(7)))),
        ("500 Oops", "http_500", Next::Retry(None)),
        ("501 No", "http_501", Next::Reject),
        ("502 Bad Gateway", "http_502", Next::Retry(None)),
        ("503 Busy\r\nretry-after: 999999", "http_503", Next::Retry(Some(Duration::from_secs(3600)))),
        ("504 Late", "http_504", Next::Retry(None)),
        ("304 Not Modified", "http_304", Next::Reject),
    ] {
        let server = Server::saying(status, "because").await;
        let error = call(&open(), json!({"url": server.url("/x?secret=1")})).await.unwrap_err();
        assert_eq!((&*error.code(), error.next()), (code, next));
        assert!(!error.told().contains("secret"), "{}", error.told());
        let nova_http::CallError::Status { body, .. } = error else { panic!("{error:?}") };
        assert_eq!(body, if code == "http_304" { "" } else { "because" });
    }
}

#[tokio::test]
async fn an_expected_status_is_a_success() {
    let server = Server::saying("404 Not Found", "gone").await;
    let result = call(&open(), json!({"url": server.url("/"), "expect": [200, 404]})).await.unwrap();
    assert_eq!((result.status, result.body.as_deref()), (404, Some("gone")));
    let server = Server::saying("200 OK", "").await;
    let error = call(&open(), json!({"url": server.url("/"), "expect": [201]})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), ("http_200", Next::Reject));
}

#[tokio::test]
async fn nobody_listening_is_retried() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = call(&open(), json!({"url": format!("http://{gone}/")})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), ("connect", Next::Retry(None)));
    assert!(error.told().contains("refused"), "{}", error.told());
}

#[tokio::test]
async fn a_second_address_is_tried_when_the_first_is_dead() {
    let server = Server::start(|_| Answer::Bytes(respond("200 OK", ""))).await;
    let resolver = crate::Scripted::new(&[&[[127, 0, 0, 9], [127, 0, 0, 1]]]);
    let url = format!("http://name.test:{}/", server.port());
    let result = crate::call_with(&open(), resolver, json!({"url": url})).await.unwrap();
    assert_eq!(result.address, server.address.to_string());
}

#[tokio::test]
async fn a_name_without_addresses_is_retried_as_dns() {
    let resolver = crate::Scripted::new(&[&[]]);
    let error = crate::call_with(&open(), resolver, json!({"url": "http://name.test/"})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), ("dns", Next::Retry(None)));
}

#[tokio::test]
async fn the_machines_resolver_finds_localhost() {
    let server = Server::saying("200 OK", "").await;
    let client = nova_http::Client::new(&open()).unwrap();
    let url = format!("http://localhost:{}/", server.port());
    let input = nova_http::Input { url, ..Default::default() };
    assert_eq!(client.call(input.check(&open(), "k").unwrap()).await.unwrap().address, server.address.to_string());
}
