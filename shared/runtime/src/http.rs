//! The small HTTP server of every process: `/metrics`, `/healthz` and `/readyz`.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use crate::health::{Health, Report};
use crate::metrics::Metrics;

/// The section `[serve]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on, `127.0.0.1:0` (any free port of loopback) unless told; empty turns the server off.
    pub listen: String,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string() }
    }
}

/// Why the server could not begin.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be read.
    #[error("could not read serve.listen `{listen}`: write an address such as `127.0.0.1:9100`, or leave it empty")]
    Address {
        /// The address as given.
        listen: String,
    },
    /// The address cannot be listened on.
    #[error("could not listen on {listen} for metrics and health")]
    Listen {
        /// The address as given.
        listen: SocketAddr,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl HttpError {
    /// Whether trying again may help: a port may become free.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Listen { .. })
    }
}

impl HttpConfig {
    /// The address to listen on, or nothing when the server is off.
    ///
    /// # Errors
    /// [`HttpError::Address`] when it is no socket address.
    pub fn address(&self) -> Result<Option<SocketAddr>, HttpError> {
        match self.listen.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| HttpError::Address { listen: self.listen.clone() }),
        }
    }
}

/// Serves metrics and health.
#[derive(Debug, Clone, Copy)]
pub struct HttpServer;

impl HttpServer {
    /// Listens on `listen` and answers until the runtime ends; returns the address with the port really taken.
    ///
    /// # Errors
    /// [`HttpError::Listen`] when the address is taken or not ours.
    pub async fn start(listen: SocketAddr, metrics: Metrics, health: Health) -> Result<SocketAddr, HttpError> {
        let failed = |source| HttpError::Listen { listen, source };
        let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = Router::new()
            .route("/metrics", get(metrics_page).with_state(metrics))
            .route("/healthz", get(healthz).with_state(health.clone()))
            .route("/readyz", get(readyz).with_state(health));
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, routes).await {
                tracing::error!(%error, "metrics and health server ended");
            }
        });
        Ok(address)
    }
}

async fn metrics_page(State(metrics): State<Metrics>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()).into_response()
}

async fn healthz(State(health): State<Health>) -> Response {
    answer(&health.live())
}

async fn readyz(State(health): State<Health>) -> Response {
    answer(&health.ready())
}

fn answer(report: &Report) -> Response {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::to_string(report).expect("a report has only string keys");
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::health::State as CheckState;
    use crate::metrics::Metric;

    async fn get_page(address: SocketAddr, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: nova\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    #[tokio::test]
    async fn pages_follow_metrics_and_health() {
        let (metrics, health) = (Metrics::new(), Health::new());
        let listen = HttpConfig::default().address().unwrap().unwrap();
        let address = HttpServer::start(listen, metrics.clone(), health.clone()).await.unwrap();
        assert!(address.ip().is_loopback() && address.port() != 0);
        assert_eq!(get_page(address, "/healthz").await.0, 200);
        assert_eq!(get_page(address, "/readyz").await.0, 503);
        assert_eq!(get_page(address, "/nothing").await.0, 404);

        metrics.inc(Metric::Reconnects, &[]);
        health.set("broker", CheckState::Degraded("slow".to_owned()));
        let (status, body) = get_page(address, "/readyz").await;
        assert_eq!(
            (status, body.as_str()),
            (200, r#"{"status":"ok","checks":{"broker":{"state":"degraded","reason":"slow"}}}"#)
        );
        assert!(get_page(address, "/metrics").await.1.contains("nova_reconnects_total 1"));

        health.set("broker", CheckState::Broken("gone".to_owned()));
        assert_eq!(get_page(address, "/healthz").await.0, 503);
    }

    #[tokio::test]
    async fn taken_port_is_named() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr();
        let holder = tokio::net::TcpListener::bind(taken.unwrap()).await.unwrap();
        let address = holder.local_addr().unwrap();
        let error = HttpServer::start(address, Metrics::new(), Health::new()).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn empty_address_turns_the_server_off() {
        assert_eq!(HttpConfig { listen: String::new() }.address().unwrap(), None);
        assert!(HttpConfig { listen: "localhost".to_owned() }.address().is_err());
    }
}
