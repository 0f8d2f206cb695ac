//! Redirects: followed within limits, judged again at every hop.

use nova_http::HttpConfig;
use nova_http::error::Next;
use serde_json::json;

use crate::server::{Answer, Server, respond};
use crate::{Scripted, call, call_with, only_localhost, open};

async fn to(location: impl Into<String>) -> Server {
    let location = location.into();
    Server::start(move |_| Answer::Bytes(respond(&format!("302 Found\r\nlocation: {location}"), ""))).await
}

#[tokio::test]
async fn hops_are_told_and_relative_locations_work() {
    let server = Server::start(|seen| match seen.line() {
        "POST /a/b?x=1 HTTP/1.1" => Answer::Bytes(respond("303 See Other\r\nlocation: ../c?y=2", "")),
        "GET /c?y=2 HTTP/1.1" => Answer::Bytes(respond("200 OK", "there")),
        other => panic!("{other}"),
    })
    .await;
    let input = json!({"url": server.url("/a/b?x=1"), "method": "POST", "body": "text"});
    let result = call(&open(), input).await.unwrap();
    assert_eq!((result.url, result.body.as_deref()), (server.url("/c?y=2"), Some("there")));
    assert_eq!(result.redirects.len(), 1);
    assert_eq!((&*result.redirects[0].url, result.redirects[0].status), (&*server.url("/a/b?x=1"), 303));
    let second = &server.seen()[1];
    assert_eq!((second.header("content-type"), second.header("idempotency-key"), &*second.body), (None, None, ""));
}

#[tokio::test]
async fn another_origin_gets_no_credentials() {
    let target = Server::saying("200 OK", "").await;
    let server = to(target.url("/")).await;
    let headers = json!({"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "k", "Accept": "text/plain"});
    call(&open(), json!({"url": server.url("/"), "headers": headers})).await.unwrap();
    let (first, second) = (&server.seen()[0], &target.seen()[0]);
    for name in ["authorization", "cookie", "x-api-key"] {
        assert!(first.header(name).is_some() && second.header(name).is_none(), "{name}");
    }
    assert_eq!(second.header("accept"), Some("text/plain"));
}

#[tokio::test]
async fn a_redirect_to_a_private_address_is_refused_without_a_connection() {
    let secret = Server::saying("200 OK", "secret").await;
    for location in [
        format!("http://127.0.0.2:{}/", secret.port()),
        format!("http://[::1]:{}/", secret.port()),
        format!("http://[::ffff:127.0.0.2]:{}/", secret.port()),
        format!("http://0.0.0.0:{}/", secret.port()),
        "http://169.254.169.254/latest/meta-data/".into(),
        "http://0xa9fea9fe/".into(),
        "http://10.0.0.1/".into(),
    ] {
        let server = to(location.clone()).await;
        let error = call(&only_localhost(), json!({"url": server.url("/")})).await.unwrap_err();
        assert_eq!((&*error.code(), error.next()), ("private_address", Next::Reject), "{location}");
    }
    assert!(secret.seen().is_empty());
}

#[tokio::test]
async fn a_loop_ends_at_the_limit() {
    let server = to("/").await;
    let error = call(&open(), json!({"url": server.url("/")})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next()), ("redirect", Next::Reject));
    assert_eq!(server.seen().len(), 6);
    let error = call(&open(), json!({"url": server.url("/"), "redirects": 1})).await.unwrap_err();
    assert_eq!((error.to_string(), server.seen().len()), ("more than 1 redirects".into(), 8));
}

#[tokio::test]
async fn without_redirects_the_redirect_is_the_result() {
    let server = to("http://10.0.0.1/").await;
    let result = call(&open(), json!({"url": server.url("/"), "redirects": 0})).await.unwrap();
    assert_eq!((result.status, &*result.headers["location"]), (302, "http://10.0.0.1/"));
}

#[tokio::test]
async fn a_location_no_task_could_name_is_refused() {
    for location in ["file:///etc/passwd", "http://u:p@example.com/", "gopher://x/", "http://[", "\u{fffd}\r\nx: y"] {
        let server = to(location).await;
        let error = call(&open(), json!({"url": server.url("/")})).await;
        // The last one is a relative path of odd characters, which leads back to the same server until the limit.
        assert_eq!(error.unwrap_err().code(), "redirect", "{location}");
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let server = Server::saying("200 OK", "").await;
    let url = format!("http://rebind.test:{}/", server.port());
    // A second look-up would lead to a private address; there is none.
    let resolver = Scripted::new(&[&[[127, 0, 0, 1]], &[[127, 0, 0, 2]]]);
    let result = call_with(&only_localhost(), resolver.clone(), json!({"url": url})).await.unwrap();
    assert_eq!((result.address, resolver.asked()), (server.address.to_string(), 1));
}

#[tokio::test]
async fn a_name_that_rebinds_between_hops_is_refused_at_the_second() {
    let server = Server::start(|_| Answer::Bytes(respond("307 Again\r\nlocation: /", ""))).await;
    let url = format!("http://rebind.test:{}/", server.port());
    let resolver = Scripted::new(&[&[[127, 0, 0, 1]], &[[127, 0, 0, 2]]]);
    let error = call_with(&only_localhost(), resolver.clone(), json!({"url": url})).await.unwrap_err();
    assert_eq!((&*error.code(), resolver.asked(), server.seen().len()), ("private_address", 2, 1));
}

#[tokio::test]
async fn private_addresses_among_public_ones_are_passed_over() {
    let server = Server::saying("200 OK", "").await;
    let url = format!("http://mixed.test:{}/", server.port());
    let resolver = Scripted::new(&[&[[127, 0, 0, 2], [10, 0, 0, 1], [127, 0, 0, 1]]]);
    let result = call_with(&only_localhost(), resolver, json!({"url": url})).await.unwrap();
    assert_eq!(result.address, server.address.to_string());
}

#[tokio::test]
async fn by_default_nothing_on_this_machine_can_be_called() {
    let server = Server::saying("200 OK", "").await;
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"] {
        let url = format!("http://{host}:{}/", server.port());
        let error = call(&HttpConfig::default(), json!({"url": url})).await.unwrap_err();
        assert_eq!(error.code(), "private_address", "{host}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn host_lists_hold_at_every_hop() {
    let target = Server::saying("200 OK", "").await;
    let server = to(format!("http://denied.test:{}/", target.port())).await;
    let config = HttpConfig { deny_hosts: vec!["denied.test".into()], ..open() };
    let error = call(&config, json!({"url": server.url("/")})).await.unwrap_err();
    assert_eq!((&*error.code(), error.next(), target.seen().len()), ("host_denied", Next::Reject, 0));
}
