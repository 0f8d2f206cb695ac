//! TLS: whom the client believes.

use std::path::Path;
use std::sync::Arc;

use nova_http::HttpConfig;
use nova_http::error::Next;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::server::{Answer, Server, respond};
use crate::{call, open};

// Made once by openssl for these tests alone: an authority, a certificate it signed for
// `secure.test` and 127.0.0.1, and one that signed itself for the same names. All are valid for a hundred years.
const LEAF: &[u8] = include_bytes!("tls/leaf.der");
const SELF_SIGNED: &[u8] = include_bytes!("tls/self-signed.der");
const KEY: &[u8] = include_bytes!("tls/leaf-key.der");

fn acceptor(certificate: &'static [u8]) -> TlsAcceptor {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate)], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn trusting() -> HttpConfig {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/tls/ca.pem");
    HttpConfig { ca_file: Some(file), ..open() }
}

async fn serve(certificate: &'static [u8], head: &'static str) -> Server {
    Server::start_tls(acceptor(certificate), move |_| Answer::Bytes(respond(head, "safe"))).await
}

#[tokio::test]
async fn a_certificate_of_a_trusted_authority_is_accepted_by_name_and_by_address() {
    let server = serve(LEAF, "200 OK").await;
    for host in ["secure.test", "secure.test.", "127.0.0.1"] {
        let url = format!("https://{host}:{}/", server.port());
        assert_eq!(call(&trusting(), json!({"url": url})).await.unwrap().body.as_deref(), Some("safe"), "{host}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused() {
    let server = serve(SELF_SIGNED, "200 OK").await;
    for config in [open(), trusting()] {
        let url = format!("https://secure.test:{}/", server.port());
        let error = call(&config, json!({"url": url})).await.unwrap_err();
        assert_eq!((&*error.code(), error.next()), ("tls", Next::Reject), "{}", error.told());
        assert!(error.told().contains("certificate"), "{}", error.told());
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = serve(LEAF, "200 OK").await;
    let url = format!("https://other.test:{}/", server.port());
    assert_eq!(call(&trusting(), json!({"url": url})).await.unwrap_err().code(), "tls");
}

#[tokio::test]
async fn a_server_without_tls_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://secure.test:{}/", listener.local_addr().unwrap().port());
    let speaking = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    assert_eq!(call(&trusting(), json!({"url": url})).await.unwrap_err().code(), "tls");
    speaking.await.unwrap();
}

#[tokio::test]
async fn a_redirect_out_of_tls_is_refused_unless_allowed() {
    let target = Server::saying("200 OK", "plain").await;
    let location: &'static str = format!("302 Found\r\nlocation: {}", target.url("/")).leak();
    let server = serve(LEAF, location).await;
    let input = json!({"url": format!("https://secure.test:{}/", server.port())});
    let error = call(&trusting(), input.clone()).await.unwrap_err();
    assert_eq!((&*error.code(), target.seen().len()), ("redirect", 0));
    let allowing = HttpConfig { allow_downgrade: true, ..trusting() };
    assert_eq!(call(&allowing, input).await.unwrap().body.as_deref(), Some("plain"));
}

#[test]
fn an_authority_file_that_cannot_be_used_is_told_at_the_start() {
    for file in ["/nowhere/ca.pem", "/dev/null", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let config = HttpConfig { ca_file: Some(file.into()), ..open() };
        assert!(nova_http::Client::new(&config).is_err(), "{file}");
    }
}
