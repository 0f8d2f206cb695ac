//! One request and its response over one connection.

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Response};
use hyper_util::rt::TokioIo;
use url::Url;

use crate::connect::Stream;
use crate::error::CallError;
use crate::input::Request;

/// Largest response head; common servers send no more than 8 or 16 KiB.
pub(crate) const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most response headers.
const MAX_HEADERS: usize = 256;

/// A response whose body is still on its way; dropping it closes the connection.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    host: String,
    _connection: Driver,
}

/// The task that moves the bytes, ended with the answer that needs them.
struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends `request` over `stream` and waits for the head of the response.
pub(crate) async fn exchange(stream: Stream, request: &Request) -> Result<Answer, CallError> {
    let host = request.url.host_str().unwrap_or_default().to_owned();
    let failed = |source: hyper::Error| failure(&host, source);
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let driver = Driver(tokio::spawn(async move {
        // Whatever ends the connection also ends the response, which is where it is reported.
        let _ = connection.await;
    }));
    let response = sender.send_request(on_wire(request)).await.map_err(failed)?;
    Ok(Answer { response, host, _connection: driver })
}

impl Answer {
    /// The whole body, as far as it is within `limit`.
    pub(crate) async fn body(mut self, limit: u64) -> Result<Bytes, CallError> {
        let too_large = || CallError::BodyTooLarge { limit };
        let body = self.response.body_mut();
        if body.size_hint().lower() > limit {
            return Err(too_large());
        }
        let mut bytes = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| failure(&self.host, source))?;
            let Ok(data) = frame.into_data() else { continue };
            if u64::try_from(bytes.len() + data.len()).unwrap_or(u64::MAX) > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.freeze())
    }

    /// The first bytes of the body, whatever happens to the rest.
    pub(crate) async fn beginning(mut self, length: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        while bytes.len() < length {
            let Some(Ok(frame)) = self.response.body_mut().frame().await else { break };
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data[..data.len().min(length - bytes.len())]);
            }
        }
        bytes.freeze()
    }
}

/// The request as it is written: the path alone, the headers of the connection, and nothing that a task could override.
fn on_wire(request: &Request) -> hyper::Request<Full<Bytes>> {
    let mut sent = hyper::Request::new(Full::new(request.body.clone()));
    *sent.method_mut() = request.method.clone();
    let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
    *sent.uri_mut() = target.parse().expect("a parsed url's path and query are an origin-form target");
    *sent.headers_mut() = request.headers.clone();
    let headers = sent.headers_mut();
    let default = |value: &'static str| HeaderValue::from_static(value);
    headers.entry(header::USER_AGENT).or_insert(default(concat!("nova-http/", env!("CARGO_PKG_VERSION"))));
    headers.entry(header::ACCEPT).or_insert(default("*/*"));
    // Nothing here decompresses, so that a small response cannot become a large one.
    headers.entry(header::ACCEPT_ENCODING).or_insert(default("identity"));
    headers.insert(header::HOST, host(&request.url));
    headers.insert(header::CONNECTION, default("close"));
    if request.body.is_empty() && matches!(request.method, Method::POST | Method::PUT | Method::PATCH) {
        // Where a body is usual, its absence is said; servers answer 411 otherwise.
        headers.insert(header::CONTENT_LENGTH, default("0"));
    }
    sent
}

fn host(url: &Url) -> HeaderValue {
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    HeaderValue::from_str(host).expect("a parsed url's host holds only visible ascii")
}

fn failure(host: &str, source: hyper::Error) -> CallError {
    // The question has a name in hyper's server half only; a test holds this one to its words.
    if source.is_parse() && source.to_string().contains("too large") {
        return CallError::HeadTooLarge { limit: MAX_HEAD_BYTES };
    }
    CallError::Protocol { host: host.to_owned(), source }
}
