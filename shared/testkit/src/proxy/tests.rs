//! The proxy against plain sockets and a real nats-server.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::NatsServer;

const SOON: Duration = Duration::from_secs(20);

/// A client behind a proxy and the server's end of the same connection.
async fn pair() -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::start_seeded(listener.local_addr().unwrap(), 7).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, client, server)
}

async fn read(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    tokio::time::timeout(SOON, stream.read_exact(&mut bytes)).await.expect("bytes in time")?;
    Ok(bytes)
}

/// Whether nothing arrives for a moment; only ever used to show that held bytes stay held.
async fn silent(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(60), stream.read_u8()).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end() {
    let (_proxy, mut client, mut server) = pair().await;
    client.write_all(b"up").await.unwrap();
    assert_eq!(read(&mut server, 2).await.unwrap(), b"up");
    server.write_all(b"down").await.unwrap();
    assert_eq!(read(&mut client, 4).await.unwrap(), b"down");
    client.shutdown().await.unwrap();
    assert_eq!(read(&mut server, 1).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    server.write_all(b"late").await.unwrap();
    assert_eq!(read(&mut client, 4).await.unwrap(), b"late");
}

#[tokio::test]
async fn delay_holds_one_direction_and_keeps_the_order() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.set(Direction::Up, Mode::Delay { by: Duration::from_millis(80), jitter: Duration::from_millis(40) });
    let start = Instant::now();
    for word in [b"a", b"b", b"c"] {
        client.write_all(word).await.unwrap();
        client.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    server.write_all(b"x").await.unwrap();
    read(&mut client, 1).await.unwrap();
    assert_eq!(read(&mut server, 3).await.unwrap(), b"abc");
    assert!(start.elapsed() >= Duration::from_millis(80), "{:?}", start.elapsed());
}

#[tokio::test]
async fn blackholed_bytes_arrive_when_it_passes_again() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.blackhole();
    client.write_all(b"held").await.unwrap();
    assert!(silent(&mut server).await);
    proxy.pass();
    assert_eq!(read(&mut server, 4).await.unwrap(), b"held");
}

#[tokio::test]
async fn rate_spreads_the_bytes_over_time() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.rate(100_000);
    let start = Instant::now();
    let sent = tokio::spawn(async move {
        client.write_all(&[1; 20_000]).await.unwrap();
        client
    });
    read(&mut server, 20_000).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    sent.await.unwrap();
}

#[tokio::test]
async fn reset_reaches_both_sides_and_new_connections_work() {
    let (proxy, mut client, mut server) = pair().await;
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await.unwrap();
    proxy.reset();
    assert_eq!(read(&mut client, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(read(&mut server, 1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn refuse_lasts_until_pass() {
    let nats = NatsServer::start();
    let proxy = Proxy::start(nats.address()).await.unwrap();
    proxy.refuse();
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(read(&mut refused, 4).await.is_err());
    proxy.pass();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(read(&mut stream, 4).await.unwrap(), b"INFO");
}

#[tokio::test]
async fn half_close_ends_one_direction_only() {
    let (proxy, mut client, mut server) = pair().await;
    client.write_all(b"x").await.unwrap();
    read(&mut server, 1).await.unwrap();
    proxy.half_close(Direction::Up);
    assert_eq!(read(&mut server, 1).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    client.write_all(b"thrown away").await.unwrap();
    server.write_all(b"still here").await.unwrap();
    assert_eq!(read(&mut client, 10).await.unwrap(), b"still here");
}

#[tokio::test]
async fn a_dead_upstream_looks_dead() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(read(&mut client, 1).await.is_err());
}

#[tokio::test]
async fn nats_speaks_through_it() {
    let nats = NatsServer::start();
    let proxy = Proxy::start(nats.address()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").await.unwrap();
    let mut said = String::new();
    while !said.contains("PONG") {
        said.push(char::from(read(&mut client, 1).await.unwrap()[0]));
    }
    assert!(said.starts_with("INFO "));
}
