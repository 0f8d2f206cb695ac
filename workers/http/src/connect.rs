//! Opens a connection to an address that was checked, and to no other.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use url::{Host, Url};

use crate::error::CallError;
use crate::policy::Policy;
use crate::resolve::Resolver;

/// Most addresses tried for one host: enough for a sick machine or address family, not a scan.
const MAX_ADDRESSES: usize = 4;

/// A connection, with or without TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What is needed to open connections.
pub(crate) struct Connector {
    pub(crate) policy: Policy,
    pub(crate) resolver: Arc<dyn Resolver>,
    pub(crate) tls: Arc<ClientConfig>,
    pub(crate) timeout: Duration,
}

impl Connector {
    /// Connects to the host of `url`; the address that answered comes with the stream.
    ///
    /// The name is looked up once, its addresses are filtered, and the connection is made to what passed: there is no
    /// second look-up in which a hostile name server could change its mind.
    pub(crate) async fn connect(&self, url: &Url) -> Result<(Stream, SocketAddr), CallError> {
        let host = url.host_str().unwrap_or_default();
        if !self.policy.host(host) {
            return Err(CallError::HostDenied { host: host.to_owned() });
        }
        let addresses = self.checked_addresses(url).await?;
        let port = url.port_or_known_default().unwrap_or(80);
        let mut failure = None;
        for ip in addresses.into_iter().take(MAX_ADDRESSES) {
            let address = SocketAddr::new(ip, port);
            match self.open(url, host, address).await {
                Ok(stream) => return Ok((stream, address)),
                // Another address of the same host would show the same certificate.
                Err(e @ CallError::Tls { .. }) => return Err(e),
                Err(e) => failure = Some(e),
            }
        }
        Err(failure.unwrap_or(CallError::Dns { host: host.to_owned(), source: None }))
    }

    async fn checked_addresses(&self, url: &Url) -> Result<Vec<IpAddr>, CallError> {
        let (host, found) = match url.host() {
            Some(Host::Ipv4(ip)) => (ip.to_string(), vec![ip.into()]),
            Some(Host::Ipv6(ip)) => (ip.to_string(), vec![ip.into()]),
            Some(Host::Domain(host)) => {
                let looked_up = self.resolver.resolve(host).await;
                let host = host.to_owned();
                match looked_up {
                    Ok(found) => (host, found),
                    Err(e) => return Err(CallError::Dns { host, source: Some(e) }),
                }
            }
            None => (String::new(), Vec::new()),
        };
        let (mut open, mut kind) = (Vec::new(), None);
        for ip in found {
            match self.policy.address(ip) {
                Ok(()) => open.push(ip),
                Err(what) => kind = kind.or(Some(what)),
            }
        }
        match kind {
            Some(kind) if open.is_empty() => Err(CallError::PrivateAddress { host, kind }),
            _ => Ok(open),
        }
    }

    async fn open(&self, url: &Url, host: &str, address: SocketAddr) -> Result<Stream, CallError> {
        let opening = async {
            let connect = |source| CallError::Connect { address, source };
            let stream = TcpStream::connect(address).await.map_err(connect)?;
            stream.set_nodelay(true).map_err(connect)?;
            if url.scheme() == "http" {
                return Ok(Stream::Plain(stream));
            }
            let tls = |source| CallError::Tls { host: host.to_owned(), source };
            let name = server_name(url).ok_or_else(|| tls(io::ErrorKind::InvalidInput.into()))?;
            match TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await {
                Ok(stream) => Ok(Stream::Tls(Box::new(stream))),
                Err(e) if e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => Err(tls(e)),
                Err(e) => Err(connect(e)),
            }
        };
        match tokio::time::timeout(self.timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(CallError::Connect { address, source: io::ErrorKind::TimedOut.into() }),
        }
    }
}

fn server_name(url: &Url) -> Option<ServerName<'static>> {
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Host::Ipv4(ip) => Some(ServerName::IpAddress(IpAddr::V4(ip).into())),
        Host::Ipv6(ip) => Some(ServerName::IpAddress(IpAddr::V6(ip).into())),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
