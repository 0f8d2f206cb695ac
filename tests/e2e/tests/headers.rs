//! Header blocks that no client library can read: the queue goes on, and the bytes end in a dead letter.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use nova_e2e::{Fleet, PATIENCE};
use nova_testkit::wait_until;
use nova_types::OutcomeKind;
use nova_wire::assets;

/// Publishes a header block as it is, over a bare socket.
fn publish_raw(fleet: &Fleet, subject: &str, headers: &[u8], body: &[u8]) {
    let mut socket = TcpStream::connect(fleet.server.address()).expect("the server listens");
    let mut message = b"CONNECT {\"verbose\":false,\"headers\":true,\"lang\":\"raw\",\"version\":\"1\"}\r\n".to_vec();
    let (head, all) = (headers.len(), headers.len() + body.len());
    message.extend_from_slice(format!("HPUB {subject} {head} {all}\r\n").as_bytes());
    message.extend_from_slice(headers);
    message.extend_from_slice(body);
    message.extend_from_slice(b"\r\nPING\r\n");
    socket.write_all(&message).expect("the server takes it");
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    // INFO comes first, PONG when all before it is done.
    while !answer.windows(4).any(|four| four == b"PONG") {
        let n = socket.read(&mut chunk).expect("the server answers");
        assert!(n > 0, "the server hung up: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&chunk[..n]);
    }
}

#[tokio::test]
async fn a_header_block_that_breaks_the_client_ends_as_a_dead_letter() {
    let mut fleet = Fleet::start().await;
    fleet.coordinator().await;
    let mut worker = fleet.worker("echo", "w0", &[]).await;
    // A lone carriage return in a value ends the client library's connection task; the others end the connection.
    let blocks: [&[u8]; 3] = [
        b"NATS/1.0\r\nNova-Labels: a\rb\r\n\r\n",
        b"NATS/1.0\r\nno colon here\r\n\r\n",
        b"NATS/1.0\r\nX: \xff\xfe\r\n\r\n",
    ];
    for block in blocks {
        publish_raw(&fleet, "nova.task.echo", block, b"{\"n\":1}");
    }
    for n in 0..20 {
        fleet.request("nova.task.echo", &[("Nats-Msg-Id", &format!("good{n}"))], "1").await;
    }
    // A supervisor starts a worker anew when it ends, as `nova dev`, systemd or a container platform does.
    let mut restarts = 0;
    let all = 20 + blocks.len() as u64;
    let deadline = tokio::time::Instant::now() + 4 * PATIENCE;
    loop {
        let stored = fleet.broker.stream(assets::OUTCOMES.to_owned()).await.expect("readable").expect("there");
        if stored.messages >= all {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{} of {all} outcomes", stored.messages);
        if fleet.process(worker).try_exit().is_some() {
            restarts += 1;
            worker = fleet.spawn("nova-echo", &format!("w{restarts}"), &[]);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    println!("the worker was started anew {restarts} times");
    for n in 0..20 {
        assert_eq!(fleet.outcome("echo", &format!("_.good{n}")).await.0.kind, OutcomeKind::Completed);
    }
    let letters = wait_until("three dead letters", PATIENCE, || async {
        let scan = nova_broker::Scan::all(assets::DEAD, "nova.dead.echo.>", 10);
        let letters = fleet.broker.scan(scan).await.ok()?;
        (letters.len() == blocks.len()).then_some(letters)
    })
    .await;
    for letter in letters {
        assert_eq!(&letter.body[..], b"{\"n\":1}", "the original bytes are kept");
        assert!(letter.headers.get("Nova-Dead").is_some_and(|cause| cause.starts_with("bad_header")));
    }
    assert_eq!(fleet.count(assets::OUTCOMES, "nova.outcome.>").await as u64, all);
}
