//! Servers that stall, flood, lie and break off: every call ends, within its limits, with the right code.

use std::time::{Duration, Instant};

use nova_http::HttpConfig;
use nova_http::error::Next;
use serde_json::{Value, json};

use crate::server::{Answer, Server};
use crate::{call, open};

async fn check(answer: impl Fn() -> Answer + Send + Sync + 'static, more: Value, code: &str, next: Next) {
    let server = Server::start(move |_| answer()).await;
    let mut input = json!({"url": server.url("/"), "timeout_ms": 20_000});
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let error = call(&open(), input).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), (code, next), "{}", error.told());
}

fn bytes(text: &str) -> Answer {
    Answer::Bytes(text.as_bytes().to_vec())
}

#[tokio::test]
async fn silence_is_a_timeout_wherever_it_begins() {
    for said in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"] {
        let short = json!({"timeout_ms": 150});
        check(|| Answer::Stall(said.into()), short, "timeout", Next::Retry(None)).await;
    }
}

#[tokio::test]
async fn an_endless_body_stops_at_the_limit() {
    for head in ["", "transfer-encoding: chunked\r\n"] {
        let chunk = if head.is_empty() { "x".repeat(4096) } else { format!("1000\r\n{}\r\n", "x".repeat(4096)) };
        let answer =
            move || Answer::Endless(format!("HTTP/1.1 200 OK\r\n{head}\r\n").into_bytes(), chunk.clone().into_bytes());
        check(answer, json!({}), "limit_output", Next::Reject).await;
    }
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_it_is_read() {
    let answer = || Answer::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n".to_vec());
    check(answer, json!({"max_response_bytes": 10}), "limit_output", Next::Reject).await;
    let huge = || Answer::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n".to_vec());
    let server = Server::start(move |_| huge()).await;
    let error = call(&open(), json!({"url": server.url("/"), "timeout_ms": 20_000})).await.unwrap_err();
    assert!(["limit_output", "protocol"].contains(&&*error.code()), "{}", error.told());
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_is_returned() {
    let server = Server::saying("200 OK", "0123456789").await;
    let result = call(&open(), json!({"url": server.url("/"), "max_response_bytes": 10})).await.unwrap();
    assert_eq!(result.body.as_deref(), Some("0123456789"));
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let long = || bytes(&format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000)));
    check(long, json!({}), "limit_output", Next::Reject).await;
    let many = || bytes(&format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(1_000)));
    check(many, json!({}), "limit_output", Next::Reject).await;
    let endless = || Answer::Endless(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; 4096]);
    check(endless, json!({}), "limit_output", Next::Reject).await;
}

#[tokio::test]
async fn what_is_not_http_is_a_retry() {
    for said in [
        "",
        "hello\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        check(|| bytes(said), json!({}), "protocol", Next::Retry(None)).await;
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_retry() {
    for said in [
        "content-length: 5\r\n\r\nab",
        "transfer-encoding: chunked\r\n\r\n5\r\nab",
        "transfer-encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\nabcd\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nab\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
    ] {
        check(move || bytes(&format!("HTTP/1.1 200 OK\r\n{said}")), json!({}), "protocol", Next::Retry(None)).await;
    }
}

#[tokio::test]
async fn the_body_of_a_failure_can_neither_stall_nor_flood() {
    let start = Instant::now();
    let stall = || Answer::Stall(b"HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\nab".to_vec());
    check(stall, json!({}), "http_503", Next::Retry(None)).await;
    let flood = || Answer::Endless(b"HTTP/1.1 404 Gone\r\n\r\n".to_vec(), vec![b'x'; 4096]);
    check(flood, json!({}), "http_404", Next::Reject).await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_machine_that_accepts_and_never_shakes_hands_is_a_connect_failure() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let config = HttpConfig { connect_timeout_ms: 100, ..open() };
    let error = call(&config, json!({"url": url})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), ("connect", Next::Retry(None)), "{}", error.told());
}

#[tokio::test]
async fn early_hints_come_before_the_answer_and_are_no_answer() {
    let server = Server::start(|_| {
        bytes("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    })
    .await;
    assert_eq!(call(&open(), json!({"url": server.url("/")})).await.unwrap().body.as_deref(), Some("ok"));
}
